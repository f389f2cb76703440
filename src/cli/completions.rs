//! `recado completions`: for the shell to complete commands and options.

use clap_complete::Shell;

use super::{CliError, Outcome, print};

/// Print a script by which a shell completes commands and options
#[derive(clap::Args)]
#[command(after_help = "Example: recado completions bash > ~/.local/share/bash-completion/completions/recado")]
pub struct Args {
    shell: Shell,
}

/// `recado` is the whole command line.
pub fn run(args: &Args, mut recado: clap::Command) -> Result<Outcome, CliError> {
    let mut script = Vec::new();
    // Into memory: it does not take a pipe that closes early well.
    clap_complete::generate(args.shell, &mut recado, "recado", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Outcome::Done)
}
