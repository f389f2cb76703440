//! The handle of the database: its connections and its writer.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;

use crate::domain::{Clock, Ids};
use crate::store::context::WriterContext;
use crate::store::db::open::{Options, READERS, connect, make_private, name_file, sqlite_path};
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
    pub(in crate::store) read: Pool,
    writer: Writer,
    pub(in crate::store) context: Arc<WriterContext>,
}

impl Store {
    /// Connects to the database; on SQLite it makes the file and its folder. It does not migrate.
    pub async fn open(options: &Options, clock: Clock, ids: Arc<Ids>) -> Result<Self, StoreError> {
        if let Some(path) = sqlite_path(options.url.expose_secret())
            && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Setup(format!(
                    "the folder {} cannot be made ({error}); check DATABASE_URL",
                    folder.display()
                ))
            })?;
        }
        if let Some(path) = sqlite_path(options.url.expose_secret()) {
            make_private(&path);
        }
        let write = connect(options, 1, Task::Write).await.map_err(|error| name_file(options, error))?;
        let read = connect(options, READERS, Task::Read).await.map_err(|error| name_file(options, error))?;
        let context = Arc::new(WriterContext::new(ids, clock));
        let backend = match sqlite_path(options.url.expose_secret()) {
            Some(path) => Backend::Sqlite(Sqlite::open(&path, options.synchronous)?),
            None => Backend::Postgres(connect(options, 1, Task::Batches).await?),
        };
        let writer = Writer::start(backend, context.clone())?;
        Ok(Self { write, read, writer, context })
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

    /// A new SQLite database on a simulated clock.
    pub async fn open(path: &Path) -> Store {
        let clock = Clock::simulated(Timestamp::from_unix_us(1));
        let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
        let url = format!("sqlite://{}", path.display()).into();
        let store = Store::open(&Options { url, synchronous: Synchronous::Normal }, clock, ids).await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}
