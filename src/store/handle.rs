//! The handle of the database: its connections, and the way to its writer.

use std::sync::Arc;

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

/// The advisory lock under which PostgreSQL migrates: "recado" in ASCII.
const MIGRATION_LOCK: i64 = 0x7265_6361_646f;

/// The database: cheap to clone, shared by all.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) write: DatabaseConnection,
    pub(in crate::store) read: DatabaseConnection,
    writer: Writer,
    pub(in crate::store) context: Arc<WriterContext>,
}

impl Store {
    /// Connects; on SQLite makes the file and its folder. Does not migrate.
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
        let context =
            Arc::new(WriterContext { ids, clock, pending: PendingCache::default(), timer_wake: TimerWake::default() });
        let backend = match sqlite_path(options.url.expose_secret()) {
            Some(path) => Backend::Sqlite(Sqlite::open(&path, options.synchronous)?),
            None => Backend::Postgres(write.clone()),
        };
        let writer = Writer::start(backend, context.clone())?;
        Ok(Self { write, read, writer, context })
    }

    /// Brings the schema up to date, one process at a time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let lock = if self.is_sqlite() {
            // SQLite: the transaction's own lock on the file.
            begin(&self.write).await?
        } else {
            let txn = self.write.begin().await?;
            sql::execute(&txn, "SELECT pg_advisory_xact_lock(?)", vec![MIGRATION_LOCK.into()]).await?;
            txn
        };
        migrate::run(&lock, self.clock()).await?;
        Ok(lock.commit().await?)
    }

    /// Migrations that are in the program but not in the database.
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

    /// Whether the database answers; reads one row of nothing.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sql::query_one(&self.read, "SELECT 1", vec![]).await?;
        Ok(())
    }

    /// Whether this is SQLite, where one process serves alone.
    pub fn is_sqlite(&self) -> bool {
        self.write.get_database_backend() == sea_orm::DatabaseBackend::Sqlite
    }
}
