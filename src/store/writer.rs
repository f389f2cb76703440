//! The writer: one thread that commits many requests together. An fsync is expensive, and hundreds of requests can
//! share it.
//!
//! A batch runs as one transaction, kind by kind in the order of [`Step`], each kind in a few statements. The thread is
//! the writer's own: SQLite works and waits for the disk on it. If one request fails the batch, its halves are tried, and
//! their halves, so that a bad request harms no other. A reply is sent only after the commit.
//!
//! The writer knows no kind of request. Each kind is one file in `requests/`, with its type, its [`Request::Reply`] and
//! its execution.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sea_orm::DatabaseTransaction;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::domain::abort;
use crate::store::context::WriterContext;
use crate::store::db::pool::{ANSWER_WITHIN, PlanAge, Pool, silent};
use crate::store::db::sql::{Txn, begin};
use crate::store::db::sqlite::{Sqlite, SqliteTxn};
use crate::store::error::{StoreError, WRITE_QUEUE};
use crate::store::pending_cache::Committed;
use crate::store::tables::facts;
use crate::telemetry::metric;

/// The most requests of one transaction.
const BATCH_REQUESTS: usize = 512;
/// From this number of inbound messages in a batch on, the intake counts as hot, and work that is not urgent waits.
const HOT_INTAKE: usize = 32;

/// How often a batch is tried again that another transaction was in the way of.
const CONFLICT_RETRIES: usize = 3;

/// The time that a request waits for others to share its commit, unless there are enough of them. Enough is fewer than
/// a busy server has ready: during the commit, the replies to the last requests go out and the next ones come in.
const LINGER: Duration = Duration::from_millis(1);
const ENOUGH_REQUESTS: usize = 20;
/// After this time without a request, the writer frees the memory that only speeds up its work.
const REST_AFTER: Duration = Duration::from_secs(5);

/// The order in which the kinds of requests run within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Step {
    Ingest,
    BeginKey,
    AddEvent,
    CallTurn,
    Decide,
    Outcome,
    Status,
    TurnAnswer,
    CallReport,
    Fire,
    Claim,
    EndKey,
}

/// A kind of request to the writer.
pub(in crate::store) trait Request: Sized + Send + 'static {
    type Reply: Send + 'static;

    const STEP: Step;

    /// Executes all requests of this kind in a batch; gives their replies in the same order.
    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Self::Reply>, StoreError>;
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The database in which the writer's transactions begin.
pub(in crate::store) enum Backend {
    Sqlite(Sqlite),
    /// A connection of the writer's own: what people do does not stand in its way.
    Postgres(Pool),
}

/// The handle of the writer. It is cheap to clone.
#[derive(Clone)]
pub struct Writer {
    requests: mpsc::Sender<Box<dyn Queued>>,
    /// Notified when [`ENOUGH_REQUESTS`] wait, so that the writer need not wake for each of them.
    enough: Arc<Notify>,
    last_intake: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the writer's thread; it ends when the last `Writer` is dropped.
    pub(in crate::store) fn start(backend: Backend, context: Arc<WriterContext>) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::channel(WRITE_QUEUE);
        let last_intake = Arc::new(AtomicUsize::new(0));
        let failed = |error: std::io::Error| StoreError::Setup(format!("the writer's thread cannot start: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let enough = Arc::new(Notify::new());
        let (intake, notified) = (last_intake.clone(), enough.clone());
        let work = move || runtime.block_on(run(&backend, &context, queue, &notified, &intake));
        std::thread::Builder::new().name("writer".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { requests, enough, last_intake })
    }

    /// Whether the writer takes requests. It takes none after its thread has ended.
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Whether webhooks arrive so densely that work that can wait for hours should leave them the database.
    pub fn intake_is_hot(&self) -> bool {
        self.last_intake.load(Ordering::Relaxed) >= HOT_INTAKE
    }

    /// Queues a request. The request is in the queue when this returns, not only when the future is awaited.
    pub(in crate::store) fn ask<R: Request>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<R::Reply, StoreError>> + use<R> {
        let (reply, answer) = oneshot::channel();
        let queued = self.requests.try_send(Box::new(One { request, reply })).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        });
        if self.requests.max_capacity() - self.requests.capacity() >= ENOUGH_REQUESTS {
            self.enough.notify_one();
        }
        async move {
            queued?;
            answer.await.map_err(|_| StoreError::Closed)?
        }
    }
}

async fn run(
    backend: &Backend,
    context: &WriterContext,
    mut queue: mpsc::Receiver<Box<dyn Queued>>,
    enough: &Notify,
    last_intake: &AtomicUsize,
) {
    let mut requests = Vec::with_capacity(BATCH_REQUESTS);
    let mut plans = PlanAge::default();
    loop {
        let next = tokio::time::timeout(REST_AFTER, queue.recv_many(&mut requests, BATCH_REQUESTS)).await;
        if next.is_err() {
            if let Backend::Sqlite(db) = backend {
                db.rest();
            }
            queue.recv_many(&mut requests, BATCH_REQUESTS).await;
        }
        if requests.is_empty() {
            break;
        }
        // A commit costs the same for one request as for many, so the writer waits for requests that are about to come.
        let until = tokio::time::Instant::now() + LINGER;
        while requests.len() + queue.len() < ENOUGH_REQUESTS
            && tokio::time::timeout_at(until, enough.notified()).await.is_ok()
        {}
        while requests.len() < BATCH_REQUESTS
            && let Ok(request) = queue.try_recv()
        {
            requests.push(request);
        }
        let batch = Batch::sort(requests.drain(..));
        last_intake.store(batch.count(Step::Ingest), Ordering::Relaxed);
        metrics::histogram!(metric::WRITER_BATCH_REQUESTS).record(batch.len() as f64);
        batch.commit(backend, context).await;
        match backend {
            Backend::Sqlite(db) => db.tend(),
            Backend::Postgres(db) => plans.count(db).await,
        }
    }
}

/// Requests that share a transaction: one group a kind, in the order of [`Step`].
struct Batch(Vec<Box<dyn Group>>);

impl Batch {
    fn sort(requests: impl Iterator<Item = Box<dyn Queued>>) -> Self {
        let mut groups: Vec<Box<dyn Group>> = Vec::new();
        for request in requests {
            match groups.binary_search_by_key(&request.step(), |group| group.step()) {
                Ok(place) => groups[place].add(request.into_any()),
                Err(place) => groups.insert(place, request.into_group()),
            }
        }
        Self(groups)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|group| group.len()).sum()
    }

    fn count(&self, step: Step) -> usize {
        self.0.iter().filter(|group| group.step() == step).map(|group| group.len()).sum()
    }

    async fn commit(mut self, backend: &Backend, context: &WriterContext) {
        let mut done = self.transact(backend, context).await;
        for _ in 0..CONFLICT_RETRIES {
            if !matches!(done, Err(StoreError::Conflict)) {
                break;
            }
            done = self.transact(backend, context).await;
        }
        match done {
            Ok(()) => self.answer(),
            Err(error) if self.len() > 1 && !error.is_outage() => {
                tracing::warn!(%error, requests = self.len(), "a batch failed: trying its halves");
                self.commit_in_parts(backend, context).await;
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// Commits the halves of a batch that failed, and the halves of those, down to the requests that fail alone.
    async fn commit_in_parts(self, backend: &Backend, context: &WriterContext) {
        let mut singles: Vec<_> = self.0.into_iter().flat_map(|group| group.singles()).collect();
        let rest = singles.split_off(singles.len() / 2);
        let mut parts = vec![Self(rest), Self(singles)];
        let mut outage = None;
        while let Some(mut part) = parts.pop() {
            // Each part would wait as long for the database, so the rest is refused at once.
            if let Some(outage) = &outage {
                part.refuse(outage);
                continue;
            }
            match part.transact(backend, context).await {
                Ok(()) => part.answer(),
                Err(error) if part.0.len() > 1 && !error.is_outage() => {
                    let rest = part.0.split_off(part.0.len() / 2);
                    parts.extend([Self(rest), part]);
                }
                Err(error) => {
                    outage = error.is_outage().then(|| error.clone());
                    part.refuse(&error);
                }
            }
        }
    }

    async fn transact(&mut self, backend: &Backend, context: &WriterContext) -> Result<(), StoreError> {
        match backend {
            Backend::Sqlite(db) => self.transact_in(db.begin()?, context).await,
            Backend::Postgres(db) => {
                let batch = async { self.transact_in(begin(db).await?, context).await };
                match tokio::time::timeout(ANSWER_WITHIN, batch).await {
                    Ok(done) => done,
                    Err(_) => {
                        db.renew().await;
                        Err(silent(ANSWER_WITHIN).into())
                    }
                }
            }
        }
    }

    async fn transact_in(&mut self, txn: impl WriterTxn, context: &WriterContext) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut committed = Committed::default();
        match self.execute(&txn, context, &mut committed).await {
            Ok(()) => {
                abort::point("before-commit");
                txn.commit().await?;
                abort::point("after-commit");
                context.pending.push(committed);
                context.committed();
                metrics::histogram!(metric::WRITER_COMMIT_SECONDS).record(begun.elapsed().as_secs_f64());
                Ok(())
            }
            Err(error) => {
                // The first error says more than that of a failing rollback. The connection is reset either way.
                let _ = txn.rollback().await;
                Err(error)
            }
        }
    }

    async fn execute(
        &mut self,
        txn: &impl WriterTxn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        for group in &mut self.0 {
            txn.execute_group(group.as_mut(), context, committed).await?;
        }
        // On PostgreSQL other processes change customers too, so the decision reads them.
        if !txn.is_postgres() {
            facts::read_customers(txn, context, committed).await?;
        }
        Ok(())
    }

    fn answer(self) {
        self.0.into_iter().for_each(|group| group.answer());
    }

    fn refuse(self, error: &StoreError) {
        self.0.into_iter().for_each(|group| group.refuse(error));
    }
}

/// A request in the queue, with the reply that it waits for.
struct One<R: Request> {
    request: R,
    reply: Reply<R::Reply>,
}

/// A request in the queue, behind a trait that hides its kind.
trait Queued: Send {
    fn step(&self) -> Step;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    /// A group that begins with this request.
    fn into_group(self: Box<Self>) -> Box<dyn Group>;
}

impl<R: Request> Queued for One<R> {
    fn step(&self) -> Step {
        R::STEP
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn into_group(self: Box<Self>) -> Box<dyn Group> {
        Box::new(Many::<R> { requests: vec![self.request], replies: vec![self.reply], results: Vec::new() })
    }
}

/// Requests of one kind, with the replies that they wait for.
struct Many<R: Request> {
    requests: Vec<R>,
    replies: Vec<Reply<R::Reply>>,
    /// The results of the last execution, in the order of the requests.
    results: Vec<R::Reply>,
}

type Executed<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Requests of one kind, behind a trait that hides the kind.
trait Group {
    fn step(&self) -> Step;

    fn len(&self) -> usize;

    /// Adds a [`One`] of the same kind.
    fn add(&mut self, one: Box<dyn Any>);

    fn execute_on_sqlite<'a>(
        &'a mut self,
        txn: &'a SqliteTxn<'_>,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a>;

    fn execute_on_postgres<'a>(
        &'a mut self,
        txn: &'a DatabaseTransaction,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a>;

    /// Sends the replies. A requester that is gone gets none, but its rows are stored.
    fn answer(self: Box<Self>);

    fn refuse(self: Box<Self>, error: &StoreError);

    /// Splits the group into groups of one request.
    fn singles(self: Box<Self>) -> Vec<Box<dyn Group>>;
}

impl<R: Request> Many<R> {
    async fn execute(
        &mut self,
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        self.results = R::execute(&self.requests, txn, context, committed).await?;
        Ok(())
    }
}

impl<R: Request> Group for Many<R> {
    fn step(&self) -> Step {
        R::STEP
    }

    fn len(&self) -> usize {
        self.requests.len()
    }

    fn add(&mut self, one: Box<dyn Any>) {
        // A group is found by its step, and each step has one kind.
        if let Ok(one) = one.downcast::<One<R>>() {
            self.requests.push(one.request);
            self.replies.push(one.reply);
        }
    }

    fn execute_on_sqlite<'a>(
        &'a mut self,
        txn: &'a SqliteTxn<'_>,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a> {
        Box::pin(self.execute(txn, context, committed))
    }

    fn execute_on_postgres<'a>(
        &'a mut self,
        txn: &'a DatabaseTransaction,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a> {
        Box::pin(self.execute(txn, context, committed))
    }

    fn answer(self: Box<Self>) {
        self.replies.into_iter().zip(self.results).for_each(|(reply, result)| drop(reply.send(Ok(result))));
    }

    fn refuse(self: Box<Self>, error: &StoreError) {
        self.replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
    }

    fn singles(self: Box<Self>) -> Vec<Box<dyn Group>> {
        let single = |(request, reply)| -> Box<dyn Group> {
            Box::new(Self { requests: vec![request], replies: vec![reply], results: Vec::new() })
        };
        self.requests.into_iter().zip(self.replies).map(single).collect()
    }
}

/// A transaction that can run a group of any kind.
trait WriterTxn: Txn {
    fn execute_group<'a>(
        &'a self,
        group: &'a mut dyn Group,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a>;
}

impl WriterTxn for SqliteTxn<'_> {
    fn execute_group<'a>(
        &'a self,
        group: &'a mut dyn Group,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a> {
        group.execute_on_sqlite(self, context, committed)
    }
}

impl WriterTxn for DatabaseTransaction {
    fn execute_group<'a>(
        &'a self,
        group: &'a mut dyn Group,
        context: &'a WriterContext,
        committed: &'a mut Committed,
    ) -> Executed<'a> {
        group.execute_on_postgres(self, context, committed)
    }
}
