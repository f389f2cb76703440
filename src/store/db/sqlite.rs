//! The writer's own connection to SQLite. The library runs on the writer's thread, so that a statement needs no
//! hand-over.
//!
//! Measured with the server's statements at 64 messages a commit: 110 µs a message in all. A connection on a thread of
//! its own takes three times as long, because each statement and each row travels between threads.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, Statement, ToSql, Transaction, TransactionBehavior};
use sea_orm::Value;

use super::open::{LOG_MAX_BYTES, STATEMENT_CACHE, WRITER_CACHE};
use super::sql::{Cut, Plain, Read, Row, Txn, Upsert};
use crate::config::Synchronous;
use crate::store::db::sql::BUSY_TIMEOUT;
use crate::store::error::StoreError;

/// Rows written between checkpoints. They fill about as many pages of the log, 32 MB.
const CHECKPOINT_ROWS: u64 = 16_384;

/// A connection that only the writer uses.
pub(in crate::store) struct Sqlite {
    connection: Connection,
    checkpoints: Checkpoints,
}

impl Sqlite {
    /// Opens a file that exists and has its page size and journal mode.
    pub fn open(path: &Path, synchronous: Synchronous) -> Result<Self, StoreError> {
        let checkpoints = Checkpoints::start(connect(path, synchronous)?, CHECKPOINT_ROWS)?;
        let connection = connect(path, synchronous)?;
        Ok(Self { connection, checkpoints })
    }

    /// Begins a transaction that holds the lock on the file.
    pub fn begin(&self) -> Result<SqliteTxn<'_>, StoreError> {
        if !self.connection.is_autocommit() {
            // A failed rollback has left a transaction open. The next one must not join it.
            self.connection.execute_batch("ROLLBACK")?;
        }
        // Unchecked: the writer makes sure that there is only one transaction at a time, not the borrow checker.
        Ok(SqliteTxn(Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?))
    }

    /// Keeps the log from growing. The writer calls it between transactions.
    pub fn tend(&self) {
        self.checkpoints.tend(&self.connection);
    }

    /// Frees the cached pages. The writer calls it when it is idle.
    pub fn rest(&self) {
        if let Err(error) = self.connection.release_memory() {
            tracing::warn!(%error, "the writer's pages stay in memory");
        }
    }
}

fn connect(path: &Path, synchronous: Synchronous) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_MAX_BYTES)?;
    // A query plan does not depend on the bound values: otherwise SQLite prepares some statements again for every row.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(connection)
}

/// Copies the write-ahead log into the database file, on a thread beside the writer.
///
/// A writer that copies the log itself stands still for about 50 ms in each second under load. While the writer works,
/// the copy never catches up with it, and SQLite restarts the log only when all of it is copied. The writer therefore
/// copies the small rest itself, between two transactions.
struct Checkpoints {
    every_rows: u64,
    wake: SyncSender<()>,
    copied: Arc<AtomicBool>,
    /// The number of written rows when the log was last restarted.
    rows: Cell<u64>,
    copying: Cell<bool>,
}

impl Checkpoints {
    fn start(connection: Connection, every_rows: u64) -> Result<Self, StoreError> {
        let (wake, asked) = std::sync::mpsc::sync_channel(1);
        let copied = Arc::new(AtomicBool::new(false));
        let done = copied.clone();
        let work = move || {
            // The channel closes when the writer is gone.
            while asked.recv().is_ok() {
                checkpoint(&connection);
                done.store(true, Ordering::Release);
            }
        };
        let failed = |error| StoreError::Setup(format!("the checkpoints' thread cannot start: {error}"));
        std::thread::Builder::new().name("checkpoints".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { every_rows, wake, copied, rows: Cell::new(0), copying: Cell::new(false) })
    }

    fn tend(&self, connection: &Connection) {
        let written = connection.total_changes();
        if self.copying.get() {
            if self.copied.swap(false, Ordering::Acquire) {
                checkpoint(connection);
                self.rows.set(written);
                self.copying.set(false);
            }
        } else if written - self.rows.get() >= self.every_rows {
            self.copying.set(self.wake.try_send(()).is_ok());
        }
    }
}

/// Copies as much of the log as it can without waiting. The next checkpoint tries the rest again.
fn checkpoint(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the database's log could not be copied into it; it grows until it can");
    }
}

pub(in crate::store) struct SqliteTxn<'c>(Transaction<'c>);

impl SqliteTxn<'_> {
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.0.prepare_cached(sql)?)
    }

    fn prepare_row(&self, sql: &str, columns: usize) -> Result<CachedStatement<'_>, StoreError> {
        self.prepare(&one_row(sql, columns))
    }
}

impl Txn for SqliteTxn<'_> {
    fn is_postgres(&self) -> bool {
        false
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, &values)?;
        Ok(statement.raw_execute()? as u64)
    }

    async fn query<T>(&self, sql: &str, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut statement = self.prepare(sql)?;
        collect(&mut statement, &values, &read, &mut found)?;
        Ok(found)
    }

    async fn rows(&self, sql: &str, columns: usize, _cut: Cut, values: Vec<Value>) -> Result<(), StoreError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut statement = self.prepare_row(sql, columns)?;
        for row in values.chunks_exact(columns) {
            bind(&mut statement, row)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    /// Does without `RETURNING`, for which SQLite builds and drops a table for each row (a third of the time of an
    /// upsert). The library counts the changed rows, and [`Txn::upsert`] reads the row by its key.
    async fn changed<T: Plain>(
        &self,
        sql: &str,
        columns: usize,
        key: usize,
        _cut: Cut,
        values: Vec<Value>,
    ) -> Result<Vec<T>, StoreError> {
        let mut changed = Vec::with_capacity(values.len() / columns);
        if values.is_empty() {
            return Ok(changed);
        }
        let without = sql.split(" RETURNING ").next().unwrap_or(sql);
        let mut statement = self.prepare_row(without, columns)?;
        for row in values.chunks_exact(columns) {
            bind(&mut statement, row)?;
            if statement.raw_execute()? > 0 {
                changed.push(T::try_from(row[key].clone()).map_err(StoreError::stored)?);
            }
        }
        Ok(changed)
    }

    async fn upsert<T>(&self, upsert: &Upsert, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::with_capacity(values.len() / upsert.columns);
        if values.is_empty() {
            return Ok(rows);
        }
        let Upsert { reads, table, key: [(first, at_first), (second, at_second)], .. } = upsert;
        let mut write = self.prepare_row(&upsert.sql, upsert.columns)?;
        let mut look = self.prepare(&format!("SELECT {reads} FROM {table} WHERE {first} = ? AND {second} = ?"))?;
        for row in values.chunks_exact(upsert.columns) {
            bind(&mut write, row)?;
            write.raw_execute()?;
            collect(&mut look, [&row[*at_first], &row[*at_second]], &read, &mut rows)?;
        }
        Ok(rows)
    }

    async fn query_in<T>(
        &self,
        sql: &str,
        before: &[Value],
        list: Vec<Value>,
        read: impl Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::with_capacity(list.len());
        if list.is_empty() {
            return Ok(found);
        }
        let mut statement = self.prepare(&sql.replace("{list}", "?"))?;
        let mut values = before.to_vec();
        for value in list {
            values.truncate(before.len());
            values.push(value);
            collect(&mut statement, &values, &read, &mut found)?;
        }
        Ok(found)
    }

    async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }

    async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.0.rollback()?)
    }
}

/// The statement for a single row. An `UPDATE … FROM (VALUES …)` becomes a plain update, which needs no table in
/// between.
pub(in crate::store) fn one_row(sql: &str, columns: usize) -> String {
    const FROM: &str = "FROM (VALUES {rows}) AS v";
    if sql.contains(FROM) {
        return sql.replace(FROM, "").replace("v.column", "?");
    }
    sql.replace("{rows}", &format!("({})", vec!["?"; columns].join(",")))
}

fn collect<'v, T>(
    statement: &mut Statement,
    values: impl IntoIterator<Item = &'v Value>,
    read: &impl Read<T>,
    into: &mut Vec<T>,
) -> Result<(), StoreError> {
    bind(statement, values)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        into.push(read(&Row::Sqlite(row))?);
    }
    Ok(())
}

fn bind<'v>(statement: &mut Statement, values: impl IntoIterator<Item = &'v Value>) -> Result<(), StoreError> {
    for (index, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(value))?;
    }
    Ok(())
}

/// A value as SQLite stores it, the same as the other connections' driver stores it.
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        fn integer(value: Option<i64>) -> ValueRef<'static> {
            value.map_or(ValueRef::Null, ValueRef::Integer)
        }
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Bool(value) => integer(value.map(i64::from)),
            Value::SmallInt(value) => integer(value.map(i64::from)),
            Value::Int(value) => integer(value.map(i64::from)),
            Value::BigInt(value) => integer(*value),
            Value::String(value) => value.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
            Value::Uuid(value) => value.as_ref().map_or(ValueRef::Null, |uuid| ValueRef::Blob(uuid.as_bytes())),
            other => {
                let text = format!("no column of ours holds such a value: {other:?}");
                return Err(rusqlite::Error::ToSqlConversionFailure(text.into()));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the length of the log after 2,000 rows with such checkpoints.
    fn write_rows(checkpoints_every: u64) -> i64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Connection::open(&path).unwrap().execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x text)").unwrap();
        let connect = || connect(&path, Synchronous::Normal).unwrap();
        let checkpoints = Checkpoints::start(connect(), checkpoints_every).unwrap();
        let db = Sqlite { connection: connect(), checkpoints };
        for _ in 0..2_000 {
            let txn = db.begin().unwrap();
            txn.0.execute("INSERT INTO t VALUES (hex(randomblob(500)))", []).unwrap();
            txn.0.commit().unwrap();
            db.tend();
        }
        let log = std::fs::metadata(folder.path().join("test.db-wal")).unwrap().len();
        i64::try_from(log).unwrap()
    }

    #[test]
    fn the_log_is_begun_anew_while_the_writer_goes_on() {
        let never = write_rows(u64::MAX);
        let often = write_rows(100);
        assert!(often * 3 < never, "the log grew to {often} bytes, without checkpoints to {never}");
    }

    #[test]
    fn an_update_of_many_rows_becomes_one_of_a_single_row() {
        let sql = "UPDATE t SET a = v.column2 FROM (VALUES {rows}) AS v WHERE t.id = v.column1";
        assert_eq!(one_row(sql, 2), "UPDATE t SET a = ?2  WHERE t.id = ?1");
        assert_eq!(one_row("INSERT INTO t VALUES {rows}", 2), "INSERT INTO t VALUES (?,?)");
    }
}
