//! `recado export`: writes a tenant as JSON lines.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use super::{CliError, Outcome, open_existing, print};
use crate::ops::export_import::export;
use crate::ops::export_import::file::Draft;

/// Write a tenant as JSON lines, in one consistent state; auth tokens are left out
#[derive(clap::Args)]
#[command(after_help = "Example: recado export sol --to sol.jsonl\n\nThen, elsewhere: recado import sol.jsonl")]
pub struct Args {
    /// Slug of the tenant
    tenant: String,
    /// Path of the file, which only you can read; or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    if args.to.as_os_str() == "-" {
        export::export(&installation.store, &args.tenant, &mut BufWriter::new(io::stdout().lock())).await?;
        return Ok(Outcome::Done);
    }
    let (draft, file) = Draft::new(&args.to, args.force)?;
    let rows = export::export(&installation.store, &args.tenant, &mut BufWriter::new(file)).await?;
    let bytes = draft.keep()?;
    print(format!("{}: {bytes} bytes; {}", args.to.display(), super::import::counted(&rows)))?;
    print("NOT in it are auth tokens. It has customers' numbers and messages: keep it as you keep those.")?;
    Ok(Outcome::Done)
}
