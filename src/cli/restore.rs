//! `recado restore`: puts a copy of the database back, so that nothing is sent twice.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::json;

use super::{CliError, Outcome, configure, print, print_json};
use crate::app;
use crate::domain::{Clock, Timestamp};
use crate::ops::export_import::file::{Draft, FileError};
use crate::store;

/// Put a copy of the database back; what may have left since is looked for at the provider before anything is sent
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  recado restore /backups/recado-2026-11-21.db\n  recado restore      (on PostgreSQL, \
    after pg_restore)\n\n\
    Stop the server first. The database that was there stays beside the new one. Put the secret key back, too, then start \
    the server: it reads the messages that came since the copy, and checks open and late sends against the provider's list."
)]
pub struct Args {
    /// Path of the copy that 'recado backup' made; on PostgreSQL, none
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let config = configure()?;
    let database = store::sqlite_path(config.database_url.expose_secret());
    let clock = Clock::system();
    // Held until the end: a server would send what has left already.
    let _lock = app::lock_database(&config)?;
    let kept = match (&database, args.file) {
        (Some(database), Some(file)) => put_back(file, database.clone(), clock.now()).await?,
        (Some(_), None) => {
            return Err(CliError::Usage("name the file to restore: recado restore /backups/recado.db".to_owned()));
        }
        (None, Some(file)) => {
            return Err(CliError::Usage(format!(
                "on PostgreSQL its own tool puts the dump back: pg_restore --clean --if-exists --dbname=\"$DATABASE_URL\" {}; \
                 then run 'recado restore' without a file, before the server starts",
                file.display()
            )));
        }
        (None, None) => None,
    };
    let store = app::open_store(&config, &clock).await?;
    let marked = store.mark_restored().await?;
    let restored = marked.restored;
    if args.json {
        print_json(&json!({
            "copied_at": restored.copied_at, "restored_at": restored.restored_at, "open_sends": marked.open,
            "undecided_events": marked.undecided, "held_sends": marked.held, "kept": kept,
        }))?;
        return Ok(Outcome::Done);
    }
    print(format!("restored; the last event in it is of {}", restored.copied_at))?;
    if let Some(kept) = kept {
        print(format!("the database before it is now {}: remove it when you need it no more", kept.display()))?;
    }
    print(format!(
        "{} open sends are looked for at the provider before they are sent, and so is what comes late; start the server",
        marked.open
    ))?;
    if marked.held > 0 {
        print(format!(
            "{} held sends may have been released since: look at the provider before you release them",
            marked.held
        ))?;
    }
    Ok(Outcome::Done)
}

/// Puts the copy in the place of the database. Gives the new path of the database that was there.
async fn put_back(file: PathBuf, database: PathBuf, now: Timestamp) -> Result<Option<PathBuf>, CliError> {
    if !file.exists() {
        return Err(CliError::Refused(format!(
            "there is no file {}: name one that 'recado backup' made",
            file.display()
        )));
    }
    let (draft, empty) = Draft::new(&database, true)?;
    drop(empty);
    let to = draft.path().to_owned();
    let copied = tokio::task::spawn_blocking(move || {
        store::check_backup(&file)?;
        store::copy_sqlite(&file, &to)
    });
    copied.await.map_err(|error| CliError::Refused(format!("the copy was broken off: {error}")))??;
    let kept = set_aside(&database, now).map_err(|cause| FileError::Io { path: database.clone(), cause })?;
    draft.keep()?;
    Ok(kept)
}

/// Renames the database with its log, so that the log does not meet the new one.
fn set_aside(database: &Path, now: Timestamp) -> std::io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let with = |path: &Path, end: &str| PathBuf::from(format!("{}{end}", path.display()));
    let kept = with(database, &now.to_utc().format(".before-%Y%m%dT%H%M%SZ").to_string());
    for end in ["-wal", "-shm", ""] {
        let from = with(database, end);
        if from.exists() {
            std::fs::rename(from, with(&kept, end))?;
        }
    }
    Ok(Some(kept))
}
