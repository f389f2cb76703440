//! `recado migrate`: applies pending migrations. `recado serve` does so by itself.

use serde_json::json;

use super::{CliError, Outcome, configure, print, print_json};
use crate::app;
use crate::domain::Clock;

/// Apply pending database migrations; 'recado serve' does this at start, too
#[derive(clap::Args)]
#[command(after_help = "Example: DATABASE_URL=postgres://recado@localhost/recado recado migrate")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let store = app::open_store(&config, &Clock::system()).await?;
    let applied = store.pending_migrations().await?;
    store.migrate().await?;
    if args.json {
        print_json(&json!({"applied": applied}))?;
    } else {
        match applied {
            0 => print("the database is up to date already")?,
            1 => print("1 migration was applied; the database is up to date")?,
            count => print(format!("{count} migrations were applied; the database is up to date"))?,
        }
    }
    Ok(Outcome::Done)
}
