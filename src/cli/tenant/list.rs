//! `recado tenant list`.

use super::{text, view_of};
use crate::cli::{CliError, Outcome, open_existing, print, print_json};
use crate::http::views::tenant::TenantView;

/// List the tenants with their senders, enabled blueprints and webhook URLs
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant list --json")]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let snapshot = installation.directory.now();
    let mut views: Vec<TenantView> = snapshot.tenants().map(|tenant| view_of(&installation, tenant)).collect();
    views.sort_by(|a, b| a.slug.cmp(&b.slug));
    if args.json {
        print_json(&views)?;
    } else {
        views.iter().try_for_each(|view| print(text(view)))?;
    }
    Ok(Outcome::Done)
}
