//! `recado import`: imports a tenant that another installation has exported.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use serde_json::json;

use super::{CliError, Outcome, open_existing, print, print_json};
use crate::domain::Clock;
use crate::ops::export_import::Counts;
use crate::ops::export_import::import;
use crate::ops::export_import::import::Options;

/// Import an exported tenant, completely or not at all; open sends are not sent unless --resume is given
#[derive(clap::Args)]
#[command(after_help = "Example: recado import sol.jsonl --dry-run && recado import sol.jsonl")]
pub struct Args {
    /// File to read, or - for standard input
    file: PathBuf,
    /// New slug of the tenant
    #[arg(long = "as", value_name = "SLUG", value_parser = crate::tenants::fields::slug)]
    slug: Option<String>,
    /// Check every line and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Resume open work. Only if the other installation never runs again: else its messages are sent twice
    #[arg(long)]
    resume: bool,
    /// First remove the rest of an interrupted import of this tenant
    #[arg(long)]
    restart: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let from: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file);
        let unread = |error| CliError::Refused(format!("{} cannot be read: {error}", args.file.display()));
        Box::new(BufReader::new(file.map_err(unread)?))
    };
    let installation = open_existing().await?;
    let options = Options { slug: args.slug, dry_run: args.dry_run, resume: args.resume, restart: args.restart };
    let imported = import::import(&installation.store, &Clock::system(), from, &options).await?;
    let slug = &imported.slug;
    if args.json {
        let report = json!({"tenant": slug, "rows": imported.rows, "held": imported.held, "paused": imported.paused, "dry_run": args.dry_run});
        print_json(&report)?;
        return Ok(Outcome::Done);
    }
    let did = if args.dry_run { "could come in" } else { "came in" };
    print(format!("'{slug}' {did}: {}", counted(&imported.rows)))?;
    if imported.held > 0 {
        print(format!(
            "{} sends that were open are held: they may have been sent where they come from.",
            imported.held
        ))?;
    }
    if imported.paused > 0 {
        print(format!(
            "{} campaigns are paused, as they may run where they come from: cancel them there, then 'recado campaigns resume'.",
            imported.paused
        ))?;
    }
    if let Some(sid) = &imported.account_sid {
        print(format!(
            "Until its account's token is set, its webhooks are refused and its sends wait:\n  \
             RECADO_TENANT_AUTH_TOKEN=… recado tenant set {slug} --account-sid {sid}"
        ))?;
    }
    Ok(Outcome::Done)
}

/// The row counts on one line.
pub fn counted(rows: &Counts) -> String {
    rows.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}
