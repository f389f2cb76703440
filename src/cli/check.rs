//! `recado check`: finds errors in the rules.

use super::{CliError, Outcome, configure, print, print_json};
use crate::rules::{self, Limits};

/// Check the rules: errors and warnings with file, line and column, and their cases
#[derive(clap::Args)]
#[command(
    after_help = "Example: recado check\n\nFails where a rule is broken or a case differs; warnings do not fail it."
)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let Some(folder) = config.rules_folder() else {
        print("RULES_DIR is off: this installation runs without rules")?;
        return Ok(Outcome::Done);
    };
    let report = rules::load::check::check(folder, Limits::for_cases());
    if args.json {
        print_json(&report)?;
    } else {
        print(report.to_string().trim_end())?;
    }
    Ok(if report.passed() { Outcome::Done } else { Outcome::Failed })
}
