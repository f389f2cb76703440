//! Statements of many rows, for both databases.
//!
//! SQL is written with `?`; PostgreSQL gets `$1…`. On PostgreSQL many rows go into one statement, because each
//! statement is a round trip. The texts come in few sizes, so that the cache of prepared statements holds them all.
//! SQLite's writer (`sqlite.rs`) runs one prepared statement for each row.

use std::time::Duration;

use rusqlite::types::FromSql;
use sea_orm::sea_query::ValueType;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TryGetable, Value,
};

use super::pool::{ANSWER_WITHIN, Pool, silent};
use crate::domain::Channel;
use crate::domain::channel::ChannelSpec;
use crate::store::error::StoreError;

/// The deadline of a commit: a large one on a slow disk may take longer than a statement.
const COMMIT_WITHIN: Duration = Duration::from_secs(30);
/// The numbers of rows that statements are made for, largest first.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// An open writing transaction on either database. A dropped one is rolled back.
///
/// On SQLite the futures are ready at once, because the library runs in them.
pub(in crate::store) trait Txn {
    fn is_postgres(&self) -> bool;

    /// Runs one statement; gives the number of rows that it touched.
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError>;

    async fn query<T>(&self, sql: &str, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError>;

    /// Runs `sql` for rows of `columns` values each: `{rows}` becomes `(?,…),(?,…)`. The statement is an `INSERT …
    /// VALUES {rows}` or an `UPDATE … FROM (VALUES {rows})`.
    async fn rows(&self, sql: &str, columns: usize, cut: Cut, values: Vec<Value>) -> Result<(), StoreError>;

    /// Runs a statement as [`Txn::rows`] does, and gives the key of each row that changed something. The statement ends
    /// in `RETURNING` one column, whose value is bound at `key`. A row of `values` may match at most one stored row.
    async fn changed<T: Plain>(
        &self,
        sql: &str,
        columns: usize,
        key: usize,
        cut: Cut,
        values: Vec<Value>,
    ) -> Result<Vec<T>, StoreError>;

    /// Inserts or updates each row, and reads it afterwards.
    async fn upsert<T>(&self, upsert: &Upsert, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError>;

    /// Queries with `IN ({list})`. If the list has a value twice, its row may come twice. `before` has the values of
    /// the `?` before the list.
    async fn query_in<T>(
        &self,
        sql: &str,
        before: &[Value],
        list: Vec<Value>,
        read: impl Read<T>,
    ) -> Result<Vec<T>, StoreError>;

    async fn commit(self) -> Result<(), StoreError>;

    async fn rollback(self) -> Result<(), StoreError>;
}

/// Reads a value from a row.
pub(in crate::store) trait Read<T>: Fn(&Row) -> Result<T, StoreError> {}
impl<T, F: Fn(&Row) -> Result<T, StoreError>> Read<T> for F {}

/// A row, read by position.
pub(in crate::store) enum Row<'r> {
    Sea(&'r QueryResult),
    Sqlite(&'r rusqlite::Row<'r>),
}

impl Row<'_> {
    pub fn get<T: TryGetable + FromSql>(&self, index: usize) -> Result<T, StoreError> {
        match self {
            Self::Sea(row) => Ok(row.try_get_by_index(index)?),
            Self::Sqlite(row) => Ok(row.get(index)?),
        }
    }
}

/// A value that can be bound, and read back the same.
pub(in crate::store) trait Plain: TryGetable + FromSql + ValueType {}
impl<T: TryGetable + FromSql + ValueType> Plain for T {}

/// An `INSERT … ON CONFLICT (…) DO UPDATE …`, and the columns that are read from its rows.
pub(in crate::store) struct Upsert {
    /// The statement with `VALUES {rows}`, up to the place of `RETURNING`.
    pub sql: String,
    pub columns: usize,
    pub table: &'static str,
    pub reads: &'static str,
    /// The columns of the conflict, and their places in a row.
    pub key: [(&'static str, usize); 2],
}

/// How many rows are cut into statements of a few sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Cut {
    /// Each row goes in once.
    Exact,
    /// The last row may go in more than once, which saves statements. It does no harm in `UPDATE … FROM (VALUES
    /// {rows})` and `INSERT … ON CONFLICT DO NOTHING`.
    Padded,
}

impl Txn for DatabaseTransaction {
    fn is_postgres(&self) -> bool {
        self.get_database_backend() == DatabaseBackend::Postgres
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        answered(self, execute(self, sql, values)).await
    }

    async fn query<T>(&self, sql: &str, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        answered(self, query(self, sql, values)).await?.iter().map(|row| read(&Row::Sea(row))).collect()
    }

    async fn rows(&self, sql: &str, columns: usize, cut: Cut, values: Vec<Value>) -> Result<(), StoreError> {
        answered(self, rows(self, sql, columns, cut, values)).await?;
        Ok(())
    }

    async fn changed<T: Plain>(
        &self,
        sql: &str,
        columns: usize,
        _key: usize,
        cut: Cut,
        values: Vec<Value>,
    ) -> Result<Vec<T>, StoreError> {
        answered(self, rows(self, sql, columns, cut, values)).await?.iter().map(|row| Row::Sea(row).get(0)).collect()
    }

    async fn upsert<T>(&self, upsert: &Upsert, values: Vec<Value>, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        let sql = format!("{} RETURNING {}", upsert.sql, upsert.reads);
        answered(self, rows(self, &sql, upsert.columns, Cut::Exact, values))
            .await?
            .iter()
            .map(|row| read(&Row::Sea(row)))
            .collect()
    }

    async fn query_in<T>(
        &self,
        sql: &str,
        before: &[Value],
        list: Vec<Value>,
        read: impl Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        answered(self, query_in(self, sql, before, list)).await?.iter().map(|row| read(&Row::Sea(row))).collect()
    }

    async fn commit(self) -> Result<(), StoreError> {
        let work = Self::commit(self);
        Ok(tokio::time::timeout(COMMIT_WITHIN, work).await.unwrap_or_else(|_| Err(silent(COMMIT_WITHIN)))?)
    }

    async fn rollback(self) -> Result<(), StoreError> {
        let work = Self::rollback(self);
        Ok(tokio::time::timeout(COMMIT_WITHIN, work).await.unwrap_or_else(|_| Err(silent(COMMIT_WITHIN)))?)
    }
}

/// Gives up on a database that does not answer. The transaction is lost then; whether it is committed is not known.
async fn answered<T>(txn: &impl Txn, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
    if !txn.is_postgres() {
        return Ok(work.await?);
    }
    Ok(tokio::time::timeout(ANSWER_WITHIN, work).await.unwrap_or_else(|_| Err(silent(ANSWER_WITHIN)))?)
}

/// Begins a transaction that may write. On SQLite it takes the lock at once: a deferred transaction that reads first
/// fails when another one writes in between, whatever the busy time-out.
pub(in crate::store) async fn begin(db: &Pool) -> Result<DatabaseTransaction, StoreError> {
    let options = TransactionOptions {
        isolation_level: None,
        access_mode: None,
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
    };
    Ok(db.begin(options).await?)
}

/// The time that a statement waits for another process's lock on the SQLite file.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A statement with its values.
pub fn statement(backend: DatabaseBackend, sql: &str, values: Vec<Value>) -> Statement {
    let sql = if backend == DatabaseBackend::Postgres { dollars(sql) } else { sql.to_owned() };
    Statement::from_sql_and_values(backend, sql, values)
}

/// Runs one statement; gives the number of rows that it touched.
pub async fn execute(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<u64, DbErr> {
    Ok(db.execute_raw(statement(db.get_database_backend(), sql, values)).await?.rows_affected())
}

pub async fn query(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(statement(db.get_database_backend(), sql, values)).await
}

pub async fn query_one(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>, DbErr> {
    db.query_one_raw(statement(db.get_database_backend(), sql, values)).await
}

async fn rows(
    db: &impl ConnectionTrait,
    sql: &str,
    columns: usize,
    cut: Cut,
    mut values: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut left = values.len() / columns;
    if let Some(size) = SIZES.into_iter().rev().find(|size| cut == Cut::Padded && *size >= left && left > 0) {
        let last = values[values.len() - columns..].to_vec();
        values.extend(std::iter::repeat_n(last, size - left).flatten());
        left = size;
    }
    let mut returned = Vec::new();
    let mut values = values.into_iter();
    let one = format!("({})", vec!["?"; columns].join(","));
    while left > 0 {
        let size = SIZES.into_iter().find(|size| *size <= left).unwrap_or(1);
        let text = sql.replace("{rows}", &vec![one.as_str(); size].join(","));
        let part: Vec<Value> = values.by_ref().take(size * columns).collect();
        left -= size;
        if text.contains("RETURNING") {
            returned.extend(query(db, &text, part).await?);
        } else {
            execute(db, &text, part).await?;
        }
    }
    Ok(returned)
}

/// Queries with `{list}` as `?,?,…`. The list is padded to one of the few sizes with its last value, which is harmless
/// in an `IN`. `before` has the values of the `?` before the list.
pub async fn query_in(
    db: &impl ConnectionTrait,
    sql: &str,
    before: &[Value],
    list: Vec<Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut found = Vec::new();
    for part in list.chunks(SIZES[0]) {
        let (text, values) = padded(sql, before, part);
        found.extend(query(db, &text, values).await?);
    }
    Ok(found)
}

fn padded(sql: &str, before: &[Value], part: &[Value]) -> (String, Vec<Value>) {
    let size = SIZES.into_iter().rev().find(|size| *size >= part.len()).unwrap_or(SIZES[0]);
    let text = sql.replace("{list}", &vec!["?"; size].join(","));
    let mut values = Vec::with_capacity(before.len() + size);
    values.extend_from_slice(before);
    values.extend_from_slice(part);
    if let Some(last) = part.last() {
        values.resize(before.len() + size, last.clone());
    }
    (text, values)
}

/// Quotes the names of the channels with a property, as the inside of an SQL list.
pub(in crate::store) fn channels(holds: impl Fn(&ChannelSpec) -> bool) -> String {
    quoted(Channel::ALL.into_iter().map(Channel::spec).filter(|spec| holds(spec)).map(|spec| spec.name))
}

/// Quotes constant names as the inside of an SQL list: `'a', 'b'`. A list without names matches nothing.
pub(in crate::store) fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    if names.is_empty() { "NULL".to_owned() } else { names.join(", ") }
}

/// Replaces `?` with `$1`, `$2`, …. Our SQL has no `?` inside literals.
fn dollars(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    let mut n = 0;
    for c in sql.chars() {
        if c == '?' {
            n += 1;
            text.push('$');
            text.push_str(&n.to_string());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_numbers() {
        assert_eq!(dollars("a = ? AND b IN (?,?)"), "a = $1 AND b IN ($2,$3)");
    }

    #[test]
    fn names_are_quoted_and_no_names_match_nothing() {
        assert_eq!(quoted(["a", "b"]), "'a', 'b'");
        assert_eq!(quoted([]), "NULL");
    }

    #[test]
    fn lists_are_padded_with_their_last_value() {
        let (text, values) = padded("x = ? AND id IN ({list})", &[1.into()], &[2.into(), 3.into()]);
        assert_eq!(text, "x = ? AND id IN (?,?)");
        assert_eq!(values, vec![Value::from(1), 2.into(), 3.into()]);
        let (text, values) = padded("id IN ({list})", &[], &[1.into(), 2.into(), 3.into()]);
        assert_eq!(text, "id IN (?,?,?,?)");
        assert_eq!(values, vec![Value::from(1), 2.into(), 3.into(), 3.into()]);
    }
}
