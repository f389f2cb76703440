//! `recado tenant token`: creates, lists and revokes tokens of the REST API.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json};
use crate::domain::TokenScope;
use crate::http::api;

/// Length limit of a token's name.
const NAME_MAX_CHARS: usize = 80;

/// Create, list and revoke tokens of the REST API
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant token add demo --name 'booking page'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a token. It is shown only once
    #[command(after_help = "Examples:\n  recado tenant token add demo --name 'booking page'\n  \
                      recado tenant token add demo --name 'our voice agent' --scope agent")]
    Add {
        /// Slug of the tenant
        slug: String,
        /// Name of the token's purpose
        #[arg(long)]
        name: String,
        /// Access: full (everything of the tenant) or agent (only /api/agent/)
        #[arg(long, default_value_t = TokenScope::Full)]
        scope: TokenScope,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List tokens, without their secrets
    #[command(after_help = "Example: recado tenant token list demo --json")]
    List {
        /// Slug of the tenant
        slug: String,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token
    #[command(after_help = "Example: recado tenant token revoke demo 0199…")]
    Revoke {
        /// Slug of the tenant
        slug: String,
        /// Id of the token, as `list` shows it
        id: Uuid,
    },
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let store = &installation.store;
    match args.command {
        Command::Add { slug, name, scope, json } => {
            let tenant = find_tenant(&installation, &slug)?;
            let name = name.trim();
            if name.is_empty() || name.chars().count() > NAME_MAX_CHARS || name.chars().any(char::is_control) {
                return Err(CliError::Usage(format!("a token's name has 1 to {NAME_MAX_CHARS} characters")));
            }
            let token = api::new_token()?;
            let hash = api::hash_of_token(token.expose_secret());
            let Some(id) = store.add_api_token(tenant.id, name, scope, &hash).await? else {
                return Err(CliError::Refused(format!(
                    "'{slug}' has too many tokens that hold: revoke one with 'recado tenant token revoke {slug} ID'"
                )));
            };
            let token = token.expose_secret();
            match json {
                true => print_json(&json!({ "id": id, "name": name, "scope": scope, "token": token }))?,
                false => {
                    print(format_args!("{token}\n\nIt is shown this once: only its hash is kept. Its id is {id}."))?
                }
            }
        }
        Command::List { slug, json } => {
            let tenant = find_tenant(&installation, &slug)?;
            let tokens = store.api_tokens(tenant.id).await?;
            if json {
                print_json(&tokens)?;
                return Ok(Outcome::Done);
            }
            for token in &tokens {
                let until = token.revoked_at.map_or_else(String::new, |at| format!(", revoked {at}"));
                let opens = if token.scope == TokenScope::Agent { ", for /api/agent/ alone" } else { "" };
                print(format_args!("{}  {}{opens}, made {}{until}", token.id, token.name, token.created_at))?;
            }
            if tokens.is_empty() {
                print(format_args!("'{slug}' has no tokens: make one with 'recado tenant token add {slug} --name …'"))?;
            }
        }
        Command::Revoke { slug, id } => {
            let tenant = find_tenant(&installation, &slug)?;
            if !store.revoke_api_token(tenant.id, id).await? {
                return Err(CliError::Refused(format!(
                    "'{slug}' has no token {id} that holds: see 'recado tenant token list {slug}'"
                )));
            }
            print(format_args!("{id} opens nothing any more."))?;
        }
    }
    Ok(Outcome::Done)
}
