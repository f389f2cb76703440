//! A SQLite file as a whole: copied or compacted while a server works on it.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::db::sql::BUSY_TIMEOUT;
use crate::store::error::StoreError;

/// Copies the database at `from` into `to`, an empty file, and checks the copy.
///
/// `VACUUM INTO` reads within one transaction: the copy is the database at one moment, with all that was committed
/// before, those in the log included. In WAL mode a reader holds up no writer; only the log cannot be begun anew until
/// the copy is made. Unlike a copy page by page it leaves out what lies in unused parts of the file, and does not begin
/// again whenever the server writes. Does not sync the copy. The original's file and log stay as they are, byte for byte.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    let text =
        to.to_str().ok_or_else(|| StoreError::Setup(format!("{} is no UTF-8: take another name", to.display())))?;
    // A reader of a WAL database writes to its shared memory.
    let db = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // Or whoever is the last to close writes the log into the file.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.execute("VACUUM INTO ?", [text])?;
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let said: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    Err(StoreError::Setup(format!("the copy is not sound ({said}): was the database itself damaged? check its disk")))
}

/// Writes the database anew, without what lies in unused parts of its file and of its log, such as rows that were
/// deleted. `false` where somebody reads from the log still, so that it is not emptied yet.
///
/// Others who write wait meanwhile; longer than [`BUSY_TIMEOUT`], and webhooks are refused.
pub fn compact_sqlite(path: &Path) -> Result<bool, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("VACUUM")?;
    // https://sqlite.org/pragma.html#pragma_wal_checkpoint: the first column is 1 where it was held up.
    let held_up: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(held_up == 0)
}
