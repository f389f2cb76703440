//! `recado completions`: shell completions of commands and options.

use clap_complete::Shell;

use super::{CliError, Outcome, print};

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "Example: recado completions bash > ~/.local/share/bash-completion/completions/recado")]
pub struct Args {
    shell: Shell,
}

/// `recado` is the definition of the whole command line.
pub fn run(args: &Args, mut recado: clap::Command) -> Result<Outcome, CliError> {
    let mut script = Vec::new();
    // The generator panics on a closed pipe, so it writes into memory.
    clap_complete::generate(args.shell, &mut recado, "recado", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Outcome::Done)
}
