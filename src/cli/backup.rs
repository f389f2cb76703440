//! `recado backup`: copies the database while the server runs.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::json;

use super::{CliError, DIR, Outcome, configure, print, print_json};
use crate::config::{Config, KEY_FILE};
use crate::domain::Clock;
use crate::ops::export_import::file::Draft;
use crate::store;

/// Copy the database into a file while the server runs, and check the copy; the secret key, rules and settings are not
/// included
#[derive(clap::Args)]
#[command(after_help = "Example: recado backup /backups/recado-2026-11-21.db\n\n\
    To restore: stop the server, run 'recado restore <file>', and put the secret key back.")]
pub struct Args {
    /// Path of the copy; only you can read it
    file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    // This does not open the installation, because that migrates the tables: a backup before an upgrade must not
    // upgrade.
    let config = configure()?;
    let Some(database) = store::sqlite_path(config.database_url.expose_secret()) else {
        return Err(CliError::Refused(format!(
            "on PostgreSQL its own tool makes the backup: pg_dump --format=custom --file={} \"$DATABASE_URL\"\n\
             and pg_restore --clean --if-exists --dbname=\"$DATABASE_URL\" {0} puts it back; then run 'recado restore'. {}",
            args.file.display(),
            key_is_apart(&config)
        )));
    };
    super::must_exist(&database)?;
    let clock = Clock::system();
    let begun = clock.now();
    let (draft, empty) = Draft::new(&args.file, args.force)?;
    drop(empty);
    let to = draft.path().to_owned();
    let copied = tokio::task::spawn_blocking(move || store::copy_sqlite(&database, &to)).await;
    copied.map_err(|error| CliError::Refused(format!("the copy was broken off: {error}")))??;
    let bytes = draft.keep()?;
    let ms = clock.now().since(begun).as_millis();
    if args.json {
        print_json(&json!({"file": args.file, "bytes": bytes, "ms": ms as u64, "begun_at": begun}))?;
    } else {
        print(format!("{}: {bytes} bytes in {ms} ms, checked; the database as of {begun}", args.file.display()))?;
        print(key_is_apart(&config))?;
        print("Nor are the rules and the settings (.env, recado.toml) in it.")?;
    }
    Ok(Outcome::Done)
}

/// Reminds the user of the secret key, which is not in the database.
fn key_is_apart(config: &Config) -> String {
    let key = match config.secret_key {
        Some(_) => "RECADO_SECRET_KEY".to_owned(),
        None => Path::new(DIR).join(KEY_FILE).display().to_string(),
    };
    format!(
        "NOT in it is the secret key ({key}): keep a copy of it elsewhere, apart from this file; without it the tenants' \
         tokens cannot be opened."
    )
}
