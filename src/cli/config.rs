//! `recado config`: every key, its value in force, and where that came from.

use super::{CliError, Outcome, configure, print, print_json};

/// Show every configuration key with its value, where it came from, and what it means; secrets are masked
#[derive(clap::Args)]
#[command(after_help = "Example: recado config | grep -A1 DATABASE_URL")]
pub struct Args {
    /// As JSON: an array of name, value, source and doc
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if args.json {
        print_json(&config.explain())?;
    } else {
        print(config.explain_text().trim_end())?;
    }
    Ok(Outcome::Done)
}
