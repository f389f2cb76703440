//! The handle of the database: its connections and its writer.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;

use crate::config::private;
use crate::domain::{Clock, Ids};
use crate::store::context::WriterContext;
use crate::store::db::open::{Options, connect, make_private, name_file, sqlite_path};
use crate::store::db::pool::{Pool, Task};
use crate::store::db::sql::begin;
use crate::store::db::sqlite::Sqlite;
use crate::store::db::{migrate, sql};
use crate::store::error::StoreError;
use crate::store::writer::{Backend, Writer};

/// The advisory lock of migrations on PostgreSQL: "recado" in ASCII.
const MIGRATION_LOCK: i64 = 0x7265_6361_646f;

/// The database. It is cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) write: Pool,
    /// The readers of this handle: those of one [`Task`].
    pub(in crate::store) read: Pool,
    readers: Arc<Readers>,
    writer: Writer,
    pub(in crate::store) context: Arc<WriterContext>,
}

/// The connections that read, for each task. One that is used up does not hold up the others.
struct Readers {
    calls: Pool,
    requests: Pool,
}

impl Store {
    /// The same database, for what a caller waits for.
    #[must_use]
    pub fn for_calls(&self) -> Self {
        Self { read: self.readers.calls.clone(), ..self.clone() }
    }

    /// The same database, for requests of programs and people. A statement is ended after [`STATEMENT_WITHIN`](crate::store::STATEMENT_WITHIN).
    #[must_use]
    pub fn for_requests(&self) -> Self {
        Self { read: self.readers.requests.clone(), ..self.clone() }
    }

    /// Connects to the database; on SQLite it makes the file and its folder. It does not migrate.
    pub async fn open(options: &Options, clock: Clock, ids: Arc<Ids>) -> Result<Self, StoreError> {
        if let Some(path) = sqlite_path(options.url.expose_secret())
            && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        {
            private::create_folder(folder).map_err(|error| {
                StoreError::Setup(format!(
                    "the folder {} cannot be made ({error}); check DATABASE_URL",
                    folder.display()
                ))
            })?;
        }
        if let Some(path) = sqlite_path(options.url.expose_secret()) {
            make_private(&path);
            // The folder that the defaults name is this program's alone; another may be shared on purpose.
            if let Some(folder) = path.parent().filter(|folder| folder.ends_with("data")) {
                private::tighten(folder);
            }
        }
        let open = async |task| connect(options, task).await.map_err(|error| name_file(options, error));
        let write = open(Task::Write).await?;
        let read = open(Task::Engine).await?;
        let readers = Readers { calls: open(Task::Calls).await?, requests: open(Task::Requests).await? };
        let context = Arc::new(WriterContext::new(ids, clock));
        let backend = match sqlite_path(options.url.expose_secret()) {
            Some(path) => Backend::Sqlite(Sqlite::open(&path, options.synchronous)?),
            None => Backend::Postgres(connect(options, Task::Batches).await?),
        };
        let writer = Writer::start(backend, context.clone())?;
        Ok(Self { write, read, readers: Arc::new(readers), writer, context })
    }

    /// Migrates the schema, one process at a time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // On SQLite the transaction locks the file.
        let lock = begin(&self.write).await?;
        if !self.is_sqlite() {
            // A migration may take long, and another process may be at it.
            for setting in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
                lock.execute_unprepared(&format!("SET LOCAL {setting} = 0")).await?;
            }
            lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
        }
        migrate::run(&lock, self.clock()).await?;
        Ok(lock.commit().await?)
    }

    /// Counts the migrations that the program has and the database lacks.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        migrate::pending(&self.write).await
    }

    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    pub fn ids(&self) -> &Ids {
        &self.context.ids
    }

    pub fn clock(&self) -> &Clock {
        &self.context.clock
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sql::query_one(&self.read, "SELECT 1", vec![]).await?;
        Ok(())
    }

    /// Whether the database is SQLite, which only one process serves.
    pub fn is_sqlite(&self) -> bool {
        self.write.get_database_backend() == sea_orm::DatabaseBackend::Sqlite
    }
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::Synchronous;
    use crate::domain::Timestamp;
    use crate::domain::clock::Random;
    use crate::store::REQUEST_READERS;
    use sea_orm::TransactionOptions;

    /// A new SQLite database on a simulated clock.
    pub async fn open(path: &Path) -> Store {
        let clock = Clock::simulated(Timestamp::from_unix_us(1));
        let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
        let url = format!("sqlite://{}", path.display()).into();
        let store = Store::open(&Options { url, synchronous: Synchronous::Normal }, clock, ids).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    #[tokio::test]
    async fn requests_that_take_all_their_readers_hold_up_neither_calls_nor_decisions() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("recado.db")).await;
        let requests = store.for_requests();
        let mut taken = Vec::new();
        for _ in 0..REQUEST_READERS {
            taken.push(requests.read.begin(TransactionOptions::default()).await.unwrap());
        }
        store.ping().await.unwrap();
        store.for_calls().ping().await.unwrap();
        drop(taken);
        requests.ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_statement_of_a_request_ends_in_time() {
        const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("recado.db")).await.for_requests();
        for _ in 0..2 {
            let ended = sql::query_one(&store.read, ENDLESS, vec![]).await.map_err(StoreError::from);
            assert!(matches!(ended, Err(StoreError::TooSlow)), "{ended:?}");
            // The connection is good for the next one.
            store.ping().await.unwrap();
        }
    }
}
