//! `recado config`: every key, its value in force, and where that came from.

use std::path::Path;

use super::{CliError, DIR, Outcome, configure, print, print_json};
use crate::app;
use crate::integrations::http_providers::file;

/// Show every configuration key with its value, where it came from, and what it means; secrets are masked
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado config | grep -A1 DATABASE_URL\n  recado config --providers > providers.toml"
)]
pub struct Args {
    /// As JSON: an array of name, value, source and doc
    #[arg(long)]
    json: bool,
    /// Print an example of a PROVIDERS_FILE, which documents every field
    #[arg(long, conflicts_with = "json")]
    providers: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    if args.providers {
        print(file::EXAMPLE.trim_end())?;
        return Ok(Outcome::Done);
    }
    let config = configure()?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if args.json {
        print_json(&config.explain())?;
    } else {
        print(config.explain_text().trim_end())?;
    }
    // Last, so that the keys are seen whatever is wrong with that file.
    app::load_providers(&config, Path::new(DIR))?;
    Ok(Outcome::Done)
}
