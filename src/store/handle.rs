//! The handle of the database: its connections and its writer.

use std::sync::{Arc, OnceLock};

use sea_orm::{DatabaseConnection, TransactionTrait};
use secrecy::ExposeSecret;

use crate::domain::{Clock, Ids};
use crate::store::context::{TimerWake, WriterContext};
use crate::store::db::open::{Options, READERS, connect, make_private, name_file, sqlite_path};
use crate::store::db::sql::begin;
use crate::store::db::sqlite::Sqlite;
use crate::store::db::{migrate, sql};
use crate::store::error::StoreError;
use crate::store::pending_cache::PendingCache;
use crate::store::writer::{Backend, Writer};

/// The advisory lock of migrations on PostgreSQL: "recado" in ASCII.
const MIGRATION_LOCK: i64 = 0x7265_6361_646f;

/// The database. It is cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) write: DatabaseConnection,
    pub(in crate::store) read: DatabaseConnection,
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
        let write = connect(options, 1, true).await.map_err(|error| name_file(options, error))?;
        let read = connect(options, READERS, false).await.map_err(|error| name_file(options, error))?;
        let (pending, timer_wake) = (PendingCache::default(), TimerWake::default());
        let context = Arc::new(WriterContext { ids, clock, pending, timer_wake, restored: OnceLock::new() });
        let backend = match sqlite_path(options.url.expose_secret()) {
            Some(path) => Backend::Sqlite(Sqlite::open(&path, options.synchronous)?),
            None => Backend::Postgres(write.clone()),
        };
        let writer = Writer::start(backend, context.clone())?;
        Ok(Self { write, read, writer, context })
    }

    /// Migrates the schema, one process at a time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let lock = if self.is_sqlite() {
            // On SQLite the transaction locks the file.
            begin(&self.write).await?
        } else {
            let txn = self.write.begin().await?;
            sql::execute(&txn, "SELECT pg_advisory_xact_lock(?)", vec![MIGRATION_LOCK.into()]).await?;
            txn
        };
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
