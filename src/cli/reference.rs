//! `recado reference`: the rule language, as the program knows it.

use super::{CliError, Outcome, print};
use crate::rules::reference;

/// Show the reference of the rule language, as Markdown
#[derive(clap::Args)]
#[command(
    after_help = "Example: recado reference --definitions > rules/recado.d.rhai\n\nEditors that know Rhai complete and \
                  explain functions from such a file."
)]
pub struct Args {
    /// As a Rhai definition file, for editors
    #[arg(long)]
    definitions: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let text = if args.definitions { reference::definitions() } else { reference::markdown() };
    print(text.trim_end())?;
    Ok(Outcome::Done)
}
