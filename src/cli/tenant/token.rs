//! `recado tenant token`: creates, lists and revokes tokens of the REST API.

use std::time::Duration;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::cli::{CliError, Outcome, find_tenant, open_existing, print, print_json, text};
use crate::domain::TokenScope;
use crate::domain::plain::is_plain;
use crate::http::api;
use crate::store::{ApiToken, NewApiToken};

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
        /// Access: full (everything of the tenant), agent (only /api/agent/, for the customer of a call in progress) or
        /// agent_any_number (only /api/agent/, for any number)
        #[arg(long, default_value_t = TokenScope::Full)]
        scope: TokenScope,
        /// Days until the token expires, 1 to 3650; without it the token does not expire
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
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

fn line(token: &ApiToken) -> String {
    let opens = match token.scope {
        TokenScope::Full => "",
        TokenScope::Agent => ", for /api/agent/ alone",
        TokenScope::AgentAnyNumber => ", for /api/agent/ alone, any number",
    };
    let mut line = format!("{}  {}{opens}, made {}", token.id, text::one_line(&token.name), token.created_at);
    let times = [("expires", token.expires_at), ("last used", token.used_at), ("revoked", token.revoked_at)];
    for (what, at) in times {
        if let Some(at) = at {
            line += &format!(", {what} {at}");
        }
    }
    line
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let store = &installation.store;
    match args.command {
        Command::Add { slug, name, scope, days, json } => {
            let tenant = find_tenant(&installation, &slug)?;
            let name = name.trim();
            if name.is_empty() || name.chars().count() > NAME_MAX_CHARS || !name.chars().all(is_plain) {
                return Err(CliError::Usage(format!("a token's name has 1 to {NAME_MAX_CHARS} characters")));
            }
            let token = api::new_token()?;
            let hash = api::hash_of_token(token.expose_secret());
            let lasts = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3_600);
            let expires_at = days.map(|days| installation.clock.now().plus(lasts(days)));
            let new = NewApiToken { name, scope, hash: &hash, expires_at };
            let Some(id) = store.add_api_token(tenant.id, new).await? else {
                return Err(CliError::Refused(format!(
                    "'{slug}' has too many tokens that hold: revoke one with 'recado tenant token revoke {slug} ID'"
                )));
            };
            let token = token.expose_secret();
            match json {
                true => {
                    let made = json!({
                        "id": id, "name": name, "scope": scope, "token": token, "expires_at": expires_at,
                    });
                    print_json(&made)?
                }
                false => {
                    let until = expires_at.map_or_else(String::new, |at| format!(" It expires at {}.", text::time(at)));
                    print(format_args!(
                        "{token}\n\nIt is shown this once: only its hash is kept. Its id is {id}.{until}"
                    ))?
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
                print(line(token))?;
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
