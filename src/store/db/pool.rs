//! A pool of connections that gives up on a PostgreSQL that does not answer.
//!
//! The host of a database may vanish without a word. Its connections then look open for as long as the kernel repeats
//! its packets, about 15 minutes. A statement therefore has a deadline; after it the pool is replaced by a new one, and
//! the old connections are dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionOptions, TransactionTrait,
};

use crate::store::error::StoreError;

/// The deadline of a statement and of a batch of the writer. A webhook is answered within this time, too.
pub(in crate::store) const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// The deadline of statements that read a whole table.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long the writer's plans are kept.
const PLANS_FRESH_FOR: Duration = Duration::from_secs(10);
/// Batches after which PostgreSQL may have made the first plan to keep.
const FIRST_BATCHES: u64 = 8;

/// The settings of every session. Each of our statements has an index, and pages are mostly in memory: without this
/// PostgreSQL scans tables that were small when it last counted them. Compiling a plan takes longer than any of our
/// statements.
const SETTINGS: [(&str, &str); 9] = [
    ("enable_seqscan", "off"),
    ("random_page_cost", "1.1"),
    ("jit", "off"),
    ("lock_timeout", "5s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
    ("application_name", "recado"),
];

/// The most connections that read for requests of programs and people.
pub const REQUEST_READERS: u32 = 8;
/// The time that one statement of such a request may take.
pub const STATEMENT_WITHIN: Duration = Duration::from_secs(5);
/// The same for PostgreSQL.
const STATEMENT_WITHIN_SETTING: &str = "5s";

/// The task of a pool's connections. Each has its own, so that one that is used up does not hold up the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Task {
    /// Decisions, sends and the loops read.
    Engine,
    /// Calls read, where somebody waits.
    Calls,
    /// Requests of programs and people read: the REST API, pages.
    Requests,
    /// Transactions of people.
    Write,
    /// The writer's batches on PostgreSQL.
    Batches,
}

impl Task {
    /// The most connections.
    pub const fn connections(self) -> u32 {
        match self {
            Self::Write | Self::Batches => 1,
            Self::Engine | Self::Calls => 4,
            Self::Requests => REQUEST_READERS,
        }
    }

    /// The settings of a PostgreSQL session for this task.
    pub fn settings(self) -> Vec<(&'static str, &'static str)> {
        // PostgreSQL keeps the plan of a prepared statement that it has made for a small table. Where statements are few,
        // it plans each anew. A process that was stopped within a transaction loses its locks, so that others can go on; when
        // it wakes, its commit is refused. The server's own time-outs come before ours where they can: they say more.
        let own: &[(&str, &str)] = match self {
            // A list walks an index in its order, which no bitmap keeps. A long export idles between its rows.
            Self::Engine | Self::Calls => {
                &[("enable_bitmapscan", "off"), ("plan_cache_mode", "force_custom_plan"), ("statement_timeout", "600s")]
            }
            Self::Requests => &[
                ("enable_bitmapscan", "off"),
                ("plan_cache_mode", "force_custom_plan"),
                ("statement_timeout", STATEMENT_WITHIN_SETTING),
            ],
            Self::Write => &[
                ("plan_cache_mode", "force_custom_plan"),
                ("statement_timeout", "60s"),
                ("idle_in_transaction_session_timeout", "10s"),
            ],
            // Its joins are of a few values with an index: see also `PlanAge`.
            Self::Batches => &[
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("statement_timeout", "7s"),
                ("idle_in_transaction_session_timeout", "10s"),
            ],
        };
        SETTINGS.into_iter().chain(own.iter().copied()).collect()
    }
}

/// Connections to the database. It is cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Pool {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    /// They connect when a connection is needed.
    options: ConnectOptions,
    backend: DatabaseBackend,
    task: Task,
    current: RwLock<(u64, DatabaseConnection)>,
}

impl Pool {
    /// Connects, so that a wrong address is known at the start.
    pub async fn connect(mut options: ConnectOptions, task: Task) -> Result<Self, StoreError> {
        let db = Database::connect(options.clone()).await?;
        let backend = db.get_database_backend();
        options.connect_lazy(true).min_connections(0);
        let shared = Shared { options, backend, task, current: RwLock::new((0, db)) };
        Ok(Self { shared: Arc::new(shared), deadline: ANSWER_WITHIN })
    }

    /// The same connections for statements that read a whole table.
    pub fn patient(&self) -> Self {
        Self { shared: self.shared.clone(), deadline: PATIENCE }
    }

    /// Begins a transaction.
    pub async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        self.within(|db| async move { db.begin_with_options(options).await }).await
    }

    /// Takes new connections from now on, because the database does not answer on those that are open.
    pub async fn renew(&self) {
        let generation = self.shared.current.read().0;
        self.replace(generation).await;
    }

    /// Replaces the connections of this generation, once.
    async fn replace(&self, generation: u64) {
        if self.shared.backend != DatabaseBackend::Postgres || self.shared.current.read().0 != generation {
            return;
        }
        match Database::connect(self.shared.options.clone()).await {
            Ok(db) => {
                let mut current = self.shared.current.write();
                if current.0 == generation {
                    *current = (generation + 1, db);
                    tracing::warn!("the database did not answer in time: its connections are replaced");
                }
            }
            Err(error) => tracing::warn!(%error, "the database's connections cannot be replaced"),
        }
    }

    async fn within<T, F: Future<Output = Result<T, DbErr>>>(
        &self,
        work: impl FnOnce(DatabaseConnection) -> F,
    ) -> Result<T, DbErr> {
        let (generation, db) = self.shared.current.read().clone();
        // SQLite has no host that could vanish.
        if self.shared.backend != DatabaseBackend::Postgres {
            return work(db).await;
        }
        let done = tokio::time::timeout(self.deadline, work(db)).await;
        let is_silent = match &done {
            // There is one connection for writes, and what it does is short: somebody waits on it for a silent database.
            Ok(Err(DbErr::ConnectionAcquire(_))) => self.shared.task == Task::Write,
            Ok(_) => false,
            Err(_) => true,
        };
        if is_silent {
            self.replace(generation).await;
        }
        done.unwrap_or_else(|_| Err(silent(self.deadline)))
    }
}

/// When the writer's connection forgets the plans of its prepared statements. Planning each statement anew would take
/// longer than executing it, but a plan for a table of ten rows is wrong for one of ten thousand.
pub(in crate::store) struct PlanAge {
    batches: u64,
    forgotten: Instant,
}

impl Default for PlanAge {
    fn default() -> Self {
        Self { batches: 0, forgotten: Instant::now() }
    }
}

impl PlanAge {
    /// Counts a batch. Forgets the plans often at first, since an empty database grows fast, and then every
    /// [`PLANS_FRESH_FOR`]. An error does no harm: the next batch meets it, too.
    pub async fn count(&mut self, db: &Pool) {
        self.batches += 1;
        let young = self.batches >= FIRST_BATCHES && self.batches.is_power_of_two();
        if (young || self.forgotten.elapsed() >= PLANS_FRESH_FOR)
            && db.execute_unprepared("DISCARD PLANS").await.is_ok()
        {
            self.forgotten = Instant::now();
        }
    }
}

/// The error of a database that did not answer in time.
pub(in crate::store) fn silent(within: Duration) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!("no answer within {} s", within.as_secs())))
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.shared.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.within(|db| async move { db.execute_raw(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.within(|db| async move { db.execute_unprepared(sql).await }).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.within(|db| async move { db.query_one_raw(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.within(|db| async move { db.query_all_raw(statement).await }).await
    }
}
