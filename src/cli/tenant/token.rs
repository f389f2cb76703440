//! `recado tenant token`: who may use the REST API.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json};
use crate::domain::TokenScope;
use crate::http::api;

/// A name's characters, at most.
const NAME_MAX_CHARS: usize = 80;

/// Make, list and revoke tokens of the REST API
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant token add demo --name 'booking page'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token, and show it this once
    #[command(after_help = "Examples:\n  recado tenant token add demo --name 'booking page'\n  \
                      recado tenant token add demo --name 'our voice agent' --scope agent")]
    Add {
        /// The tenant's slug
        slug: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it opens: full (all that is the tenant's) or agent (/api/agent/ alone)
        #[arg(long, default_value_t = TokenScope::Full)]
        scope: TokenScope,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List tokens, without what opens
    #[command(after_help = "Example: recado tenant token list demo --json")]
    List {
        /// The tenant's slug
        slug: String,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Let a token open nothing any more
    #[command(after_help = "Example: recado tenant token revoke demo 0199…")]
    Revoke {
        /// The tenant's slug
        slug: String,
        /// The token's id, as `list` shows it
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
