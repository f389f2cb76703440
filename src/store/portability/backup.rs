//! Copies, shrinks or compacts a SQLite file while a server uses it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::db::sql::BUSY_TIMEOUT;
use crate::store::error::StoreError;

/// Copies the database at `from` into `to`, an empty file, and checks the copy.
///
/// `VACUUM INTO` reads in one transaction, so the copy is the database at one moment, with all commits before it,
/// including those in the log. In WAL mode a reader does not block a writer; only the log cannot be restarted until the
/// copy is done. Unlike a copy of the pages, it leaves out the unused parts of the file and does not start again when
/// the server writes. The copy is not synced. The original's file and log stay the same, byte for byte.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    let text =
        to.to_str().ok_or_else(|| StoreError::Setup(format!("{} is no UTF-8: take another name", to.display())))?;
    // A reader of a WAL database writes to its shared memory.
    let db = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // Without this, the last connection to close writes the log into the file.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.execute("VACUUM INTO ?", [text])?;
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let said: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    Err(StoreError::Setup(format!("the copy is not sound ({said}): was the database itself damaged? check its disk")))
}

/// Checks that a file is a database of Recado.
pub fn check_backup(path: &Path) -> Result<(), StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let steps = db.query_row("SELECT count(*) FROM seaql_migrations", [], |row| row.get::<_, i64>(0));
    let found = steps.and_then(|_| db.query_row("SELECT count(*) FROM settings", [], |row| row.get::<_, i64>(0)));
    found.map(|_| ()).map_err(|error| {
        StoreError::Setup(format!(
            "{} is no database of Recado's ({error}): name a file that 'recado backup' made",
            path.display()
        ))
    })
}

/// Pages that one step of [`shrink_sqlite`] frees. It takes some milliseconds.
const SHRINK_PAGES: usize = 256;
/// The most steps of one shrinking.
const SHRINK_STEPS: usize = 4_096;
/// How long a try to empty the log may hold up the writer, and how often it is tried.
const EMPTY_LOG_WITHIN: Duration = Duration::from_millis(100);
const EMPTY_LOG_TRIES: usize = 50;

/// What is left in the unused parts of a file and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Nothing: what was deleted is overwritten, and the log is empty.
    None,
    /// The log could not be emptied, because something reads the database. It is overwritten later.
    InLog,
    /// The file is older than the overwriting, and cannot shrink in steps: see [`compact_sqlite`].
    InFile,
}

/// Gives unused pages of the file back to the disk and empties the log, in small steps, so that nobody waits for it. Between
/// two steps it calls `pause`, in which others have the file.
pub fn shrink_sqlite(path: &Path, mut pause: impl FnMut()) -> Result<Leftovers, StoreError> {
    let db = open_to_write(path)?;
    // <https://sqlite.org/pragma.html#pragma_auto_vacuum>: 2 is incremental.
    let in_steps = db.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0))? == 2;
    for _ in 0..if in_steps { SHRINK_STEPS } else { 0 } {
        match shrink_step(&db).map_err(StoreError::from) {
            Ok(false) => break,
            // The others are in a hurry, and this is not.
            Ok(true) | Err(StoreError::Busy) => pause(),
            Err(error) => return Err(error),
        }
    }
    let emptied = empty_log(&db, pause)?;
    Ok(match (in_steps, emptied) {
        (false, _) => Leftovers::InFile,
        (true, false) => Leftovers::InLog,
        (true, true) => Leftovers::None,
    })
}

/// Frees some pages; `false` if there are none.
fn shrink_step(db: &Connection) -> rusqlite::Result<bool> {
    let unused: i64 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if unused == 0 {
        return Ok(false);
    }
    let mut step = db.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))?;
    // It gives a row for each page.
    let mut rows = step.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}

/// Rewrites the database without the unused parts of its file and log, and so that it can shrink in steps from then on.
///
/// Other writers wait meanwhile. After `BUSY_TIMEOUT` webhooks are refused.
pub fn compact_sqlite(path: &Path, pause: impl FnMut()) -> Result<Leftovers, StoreError> {
    let db = open_to_write(path)?;
    db.execute_batch("PRAGMA auto_vacuum = incremental; VACUUM")?;
    Ok(if empty_log(&db, pause)? { Leftovers::None } else { Leftovers::InLog })
}

fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "secure_delete", true)?;
    Ok(db)
}

/// Empties the log; `false` if a reader still uses it.
fn empty_log(db: &Connection, mut pause: impl FnMut()) -> Result<bool, StoreError> {
    db.busy_timeout(EMPTY_LOG_WITHIN)?;
    for _ in 0..EMPTY_LOG_TRIES {
        // <https://sqlite.org/pragma.html#pragma_wal_checkpoint>: the first column is 1 if the checkpoint was blocked.
        let blocked: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if blocked == 0 {
            return Ok(true);
        }
        pause();
    }
    Ok(false)
}
