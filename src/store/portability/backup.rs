//! Copies or compacts a SQLite file while a server uses it.

use std::path::Path;

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

/// Rewrites the database without the unused parts of its file and log, such as deleted rows. Gives `false` if a reader
/// still uses the log, so that it could not be emptied.
///
/// Other writers wait meanwhile. After `BUSY_TIMEOUT` webhooks are refused.
pub fn compact_sqlite(path: &Path) -> Result<bool, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("VACUUM")?;
    // <https://sqlite.org/pragma.html#pragma_wal_checkpoint>: the first column is 1 if the checkpoint was blocked.
    let held_up: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(held_up == 0)
}
