//! `recado man`: the manual pages, made of the same text as `--help`.

use std::io;
use std::path::PathBuf;

use super::{CliError, Outcome, print};

/// Print the manual page, or write the pages of all commands into a folder
#[derive(clap::Args)]
#[command(after_help = "Example: recado man --to ~/.local/share/man/man1, then: man recado-explain")]
pub struct Args {
    /// A folder for the pages of all commands; made if it is not there
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// `recado` is the whole command line.
pub fn run(args: &Args, recado: clap::Command) -> Result<Outcome, CliError> {
    let Some(folder) = &args.to else {
        clap_mangen::Man::new(recado).render(&mut io::stdout().lock())?;
        return Ok(Outcome::Done);
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(recado, folder));
    written.map_err(|error| {
        CliError::Refused(format!("{} cannot be written ({error}): take another folder", folder.display()))
    })?;
    print(format!("the manual pages are in {}", folder.display()))?;
    Ok(Outcome::Done)
}
