//! `recado man`: manual pages, generated from the same text as `--help`.

use std::io;
use std::path::PathBuf;

use super::{CliError, Outcome, print};

/// Print the manual page, or write one page per command into a folder
#[derive(clap::Args)]
#[command(after_help = "Example: recado man --to ~/.local/share/man/man1, then: man recado-explain")]
pub struct Args {
    /// Folder for one page per command; created if missing
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// `recado` is the definition of the whole command line.
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
