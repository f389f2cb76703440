//! Opens a database: connections, pragmas, migrations under a lock.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sea_orm::ConnectOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Connection, SqliteConnection};
use secrecy::{ExposeSecret, SecretString};

use super::pool::{Pool, STATEMENT_WITHIN, Task};
use super::sql::BUSY_TIMEOUT;
use crate::config::{Synchronous, private};
use crate::store::error::StoreError;

pub struct Options {
    /// `sqlite://path` or `postgres://…`.
    pub url: SecretString,
    pub synchronous: Synchronous,
}

/// SQLite looks at the time after this many steps of its machine, which take about 0.1 ms.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// The time-out for a connection, and for PostgreSQL's first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements of one connection: our texts times their few sizes.
pub(in crate::store) const STATEMENT_CACHE: usize = 256;
/// A commit of many messages touches a page of an index for each message. Small pages halve the bytes that are written.
const PAGE_BYTES: u32 = 2_048;
/// Negative: kibibytes. The cache keeps the pages that every commit touches. A larger cache costs more than it saves:
/// after a commit that has split a page, SQLite scans all of it.
pub(in crate::store) const WRITER_CACHE: &str = "-4096";
/// The size to which the log is cut when it is begun anew. A long reader may let it grow far beyond.
pub(in crate::store) const LOG_MAX_BYTES: i64 = 64 * 1024 * 1024;
const READER_CACHE: &str = "-2048";

/// Makes a file that only its owner may read, because it holds customers' messages, or takes the rights of others from the
/// one that is there. SQLite gives its companions (-wal, -shm) the same mode. If the file cannot be made, opening it gives
/// the error.
pub(in crate::store) fn make_private(path: &Path) {
    if private::options().write(true).create_new(true).open(path).is_ok() {
        return;
    }
    private::tighten(path);
    for companion in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(companion);
        private::tighten(Path::new(&name));
    }
}

/// The file of a SQLite URL, and `None` for other databases.
pub fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(PathBuf::from(path.split('?').next().unwrap_or_default()))
}

pub(in crate::store) async fn connect(options: &Options, task: Task) -> Result<Pool, StoreError> {
    let url = options.url.expose_secret();
    // SQLite makes the file if it is missing.
    let file = sqlite_path(url);
    let url = if file.is_some() { "sqlite://?mode=rwc".to_owned() } else { url.to_owned() };
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    let names_sslmode = url.contains("sslmode=") || url.contains("ssl-mode=");
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(task.connections())
        .min_connections(u32::from(matches!(task, Task::Write | Task::Batches)))
        // Commands use few of them.
        .connect_lazy(matches!(task, Task::Calls | Task::Requests))
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            // The path as it was written: in a URL, `%20` would be a blank.
            let sqlite = file.iter().fold(sqlite, |sqlite, file| sqlite.filename(file));
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
                .page_size(PAGE_BYTES)
                // A new file can be shrunk in steps. What is deleted is overwritten.
                .auto_vacuum(SqliteAutoVacuum::Incremental)
                .pragma("secure_delete", "on")
                .pragma("journal_size_limit", LOG_MAX_BYTES.to_string())
                .pragma("cache_size", READER_CACHE)
                .pragma("temp_store", "memory")
                .statement_cache_capacity(STATEMENT_CACHE)
        })
        .map_sqlx_sqlite_pool_opts(move |pool| {
            let pool = pool.after_release(|connection, _| Box::pin(is_out_of_transactions(connection)));
            if task != Task::Requests {
                return pool;
            }
            // A connection is acquired for each statement.
            pool.after_connect(|connection, _| Box::pin(limit_statement(connection))).before_acquire(|connection, _| {
                Box::pin(async move {
                    limit_statement(connection).await?;
                    Ok(true)
                })
            })
        })
        .map_sqlx_postgres_opts(move |postgres| {
            encrypted(postgres.statement_cache_capacity(STATEMENT_CACHE), names_sslmode).options(task.settings())
        });
    Pool::connect(connect, task).await
}

/// Demands TLS of a PostgreSQL server on another machine, unless the URL names an `sslmode` itself.
fn encrypted(postgres: PgConnectOptions, names_sslmode: bool) -> PgConnectOptions {
    if names_sslmode || is_local(&postgres) { postgres } else { postgres.ssl_mode(PgSslMode::Require) }
}

/// Whether the server is on this machine: at a socket or a loopback address.
fn is_local(postgres: &PgConnectOptions) -> bool {
    let host = postgres.get_host();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    postgres.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.is_ok_and(|address| address.is_loopback())
}

/// Ends what the connection does [`STATEMENT_WITHIN`] from now on. SQLite then reports `interrupted`.
async fn limit_statement(connection: &mut SqliteConnection) -> Result<(), sea_orm::sqlx::Error> {
    let until = Instant::now() + STATEMENT_WITHIN;
    connection.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || Instant::now() < until);
    Ok(())
}

/// Adds the name of the file that cannot be opened to the error.
pub(in crate::store) fn name_file(options: &Options, error: StoreError) -> StoreError {
    match (sqlite_path(options.url.expose_secret()), error) {
        (Some(path), StoreError::Other(why) | StoreError::Unreachable(why)) => StoreError::Setup(format!(
            "{} cannot be opened as a SQLite database ({why}): DATABASE_URL is to name a database of Recado's, \
             or a file that is not there yet",
            path.display()
        )),
        (_, error) => error,
    }
}

/// Whether a connection may be used again. It may not while its driver counts an open transaction.
///
/// If a commit fails (a full disk), SQLite rolls back by itself, the driver's own rollback then fails, and the driver
/// still counts the transaction. The next transaction would be a savepoint, and its commit could release the savepoint
/// only: rows would seem stored that are not.
async fn is_out_of_transactions(connection: &mut SqliteConnection) -> Result<bool, sea_orm::sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may be queued. The ping waits for it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_on_another_machine_is_reached_by_tls_alone() {
        let mode = |url: &str| {
            let options = url.parse::<PgConnectOptions>().unwrap();
            format!("{:?}", encrypted(options, url.contains("sslmode=")).get_ssl_mode())
        };
        for remote in ["postgres://u@db.example/r", "postgres://u:p@10.0.0.7:5433/r", "postgres://u@[2001:db8::1]/r"] {
            assert_eq!(mode(remote), "Require", "{remote}");
        }
        for local in [
            "postgres://u@localhost/r",
            "postgres://u@127.0.0.1/r",
            "postgres://u@[::1]/r",
            "postgres:///r?host=/run/pg",
        ] {
            assert_eq!(mode(local), "Prefer", "{local}");
        }
        assert_eq!(mode("postgres://u@db.example/r?sslmode=verify-full"), "VerifyFull");
        assert_eq!(mode("postgres://u@db.example/r?sslmode=disable"), "Disable");
    }
}
