//! `recado tenant list`.

use super::View;
use crate::cli::{CliError, Outcome, open, print, print_json};

/// List the tenants with their senders, enabled blueprints and webhook URLs
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant list --json")]
pub struct Args {
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let snapshot = installation.directory.now();
    let mut views: Vec<View> = snapshot.tenants().map(|tenant| View::new(&installation, tenant)).collect();
    views.sort_by(|a, b| a.slug.cmp(&b.slug));
    if args.json {
        print_json(&views)?;
    } else {
        views.iter().try_for_each(|view| print(view.text()))?;
    }
    Ok(Outcome::Done)
}
