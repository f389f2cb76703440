//! `recado config`: every configuration key, its value and its source.

use std::path::Path;

use super::{CliError, DIR, Outcome, configure, print, print_json};
use crate::app;
use crate::integrations::http_providers::file;

/// Show every configuration key with its value, source and meaning; secrets are masked
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado config | grep -A1 DATABASE_URL\n  recado config --providers > providers.toml"
)]
pub struct Args {
    /// Print a JSON array of name, value, source and doc
    #[arg(long)]
    json: bool,
    /// Print an example of a PROVIDERS_FILE with every field documented
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
    // The file is read last, so that the keys are shown even if it is faulty.
    app::load_providers(&config, Path::new(DIR))?;
    Ok(Outcome::Done)
}
