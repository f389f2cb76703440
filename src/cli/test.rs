//! `recado test`: tries the cases of the rules.

use serde::Serialize;

use super::{CliError, Outcome, configure, print, print_json};
use crate::rules::cases::{self, CaseReport};
use crate::rules::{Limits, RuleError, RuleSet};

/// Try the cases of the rules (RULE.cases.json) and show what differs
#[derive(clap::Args)]
#[command(after_help = "Example: recado test")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Errors of rules that could not be loaded. Their cases were not run.
    errors: Vec<RuleError>,
    #[serde(flatten)]
    cases: CaseReport,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let Some(folder) = config.rules_folder() else {
        print("RULES_DIR is off: this installation runs without rules")?;
        return Ok(Outcome::Done);
    };
    let (rules, findings) = RuleSet::load(folder, Limits::for_cases());
    let errors: Vec<RuleError> = findings.into_iter().filter(RuleError::is_error).collect();
    let report = Report { errors, cases: cases::run_on(&rules, folder) };
    if args.json {
        print_json(&report)?;
    } else {
        for error in &report.errors {
            print(error)?;
        }
        print(report.cases.to_string().trim_end())?;
    }
    Ok(if report.errors.is_empty() && report.cases.passed() { Outcome::Done } else { Outcome::Failed })
}
