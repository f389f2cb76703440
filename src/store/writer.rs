//! One thread writes. What waits is committed together: an fsync is dear, and hundreds of requests can share it.
//!
//! A batch runs as one transaction: messages in, decisions, outcomes, status reports, timers that are due, claims, in this order, each kind
//! in a few statements. The writer has a thread of its own, on which SQLite works and waits for the disk. Where a batch
//! fails for one request's sake, each is tried alone, so that one bad request harms no other. An answer is given only
//! after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{Notify, mpsc, oneshot};

use super::StoreError;
use crate::domain::{Clock, Ids, TenantId};
use crate::store::db::sql::Txn;
use crate::store::db::sqlite::Sqlite;
use crate::store::pending_cache::{Committed, Fresh};
use crate::store::requests::claim;
use crate::store::requests::claim::{ClaimRequest, Claims};
use crate::store::requests::decide;
use crate::store::requests::decide::{Decided, DecidedReceipt};
use crate::store::requests::fire;
use crate::store::requests::fire::{FireRequest, Firing};
use crate::store::requests::ingest;
use crate::store::requests::ingest::{Ingested, NewInbound};
use crate::store::requests::outcome;
use crate::store::requests::outcome::AttemptOutcome;
use crate::store::requests::status;
use crate::store::requests::status::{Settled, StatusReport};
use crate::store::tables::calls;
use crate::store::tables::calls::{CallReport, NewTurn, Reported, TurnAnswer, Turned};
use crate::store::tables::timers::TimerWake;
use crate::telemetry::metric;

/// Requests that may wait for the writer; one more is refused with [`StoreError::QueueFull`].
pub const WRITE_QUEUE: usize = 4_096;
/// Requests that share one transaction at most.
const BATCH_REQUESTS: usize = 512;
/// From so many inbound messages in one batch on, the intake counts as hot and what is not urgent holds back.
const HOT_INTAKE: usize = 32;

/// How long a request waits for others to share its commit, unless there are enough of them. Enough is fewer than a
/// busy server has at hand: while these are committed, the answers to the last ones go out and the next ones come in.
const LINGER: Duration = Duration::from_millis(1);
const ENOUGH_REQUESTS: usize = 20;
/// After so long without a request, memory that only speeds work up is given back.
const REST_AFTER: Duration = Duration::from_secs(5);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Request {
    Ingest(Box<NewInbound>, Reply<Ingested>),
    Decided(Vec<Decided>, Reply<DecidedReceipt>),
    Claim(ClaimRequest, Reply<Claims>),
    Outcome(Box<AttemptOutcome>, Reply<bool>),
    Settle(Box<StatusReport>, Reply<Settled>),
    Fire(FireRequest, Reply<Firing>),
    Turn(Box<NewTurn>, Reply<Turned>),
    Call(Box<CallReport>, Reply<Reported>),
    Said(Box<(TenantId, TurnAnswer)>, Reply<()>),
}

/// Where the writer's transactions begin.
pub(super) enum Backend {
    Sqlite(Sqlite),
    Postgres(DatabaseConnection),
}

impl Backend {
    fn rest(&self) {
        if let Self::Sqlite(db) = self {
            db.rest();
        }
    }
}

/// What the kinds of requests need besides the transaction.
pub(super) struct Means {
    pub ids: Arc<Ids>,
    pub clock: Clock,
    pub fresh: Fresh,
    pub sleeper: TimerWake,
}

/// The way to the writer; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
    /// Told when [`ENOUGH_REQUESTS`] wait, so that the writer need not wake for each of them.
    enough: Arc<Notify>,
    last_intake: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the writer's thread; it ends when the last `Writer` is dropped.
    pub(super) fn start(home: Backend, means: Arc<Means>) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::channel(WRITE_QUEUE);
        let last_intake = Arc::new(AtomicUsize::new(0));
        let failed = |error: std::io::Error| StoreError::Setup(format!("the writer's thread cannot start: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let enough = Arc::new(Notify::new());
        let (intake, told) = (last_intake.clone(), enough.clone());
        let work = move || runtime.block_on(run(&home, &means, queue, &told, &intake));
        std::thread::Builder::new().name("writer".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { requests, enough, last_intake })
    }

    /// Whether requests are still taken: a writer that has died of a fault of its own takes none.
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Whether webhooks arrive so densely that what can wait for hours should leave them the database.
    pub fn intake_is_hot(&self) -> bool {
        self.last_intake.load(Ordering::Relaxed) >= HOT_INTAKE
    }

    /// Stores an inbound message with its event and contact.
    pub async fn ingest(&self, inbound: NewInbound) -> Result<Ingested, StoreError> {
        self.ask(|reply| Request::Ingest(Box::new(inbound), reply)).await
    }

    /// Writes what was decided and marks the events handled. The request stands in the queue when this returns, not
    /// only when its future is awaited: a claim that is asked for then sees what was planned, and may share the commit.
    pub fn decided(&self, decisions: Vec<Decided>) -> impl Future<Output = Result<DecidedReceipt, StoreError>> + use<> {
        self.ask(|reply| Request::Decided(decisions, reply))
    }

    /// Takes actions that are due, asks the gate, and writes their attempts down.
    pub async fn claim(&self, claim: ClaimRequest) -> Result<Claims, StoreError> {
        self.ask(|reply| Request::Claim(claim, reply)).await
    }

    /// Writes down how an attempt ended; `false` where the action had moved on meanwhile.
    pub async fn outcome(&self, outcome: AttemptOutcome) -> Result<bool, StoreError> {
        self.ask(|reply| Request::Outcome(Box::new(outcome), reply)).await
    }

    /// Applies a delivery status.
    pub async fn settle(&self, report: StatusReport) -> Result<Settled, StoreError> {
        self.ask(|reply| Request::Settle(Box::new(report), reply)).await
    }

    /// Turns timers that are due into events.
    pub async fn fire(&self, request: FireRequest) -> Result<Firing, StoreError> {
        self.ask(|reply| Request::Fire(request, reply)).await
    }

    /// Stores that the provider asks what to say next in a call.
    pub async fn turn(&self, turn: NewTurn) -> Result<Turned, StoreError> {
        self.ask(|reply| Request::Turn(Box::new(turn), reply)).await
    }

    /// Writes down what is said in a turn, and what the call is after it.
    pub async fn said(&self, tenant: TenantId, answer: TurnAnswer) -> Result<(), StoreError> {
        self.ask(|reply| Request::Said(Box::new((tenant, answer)), reply)).await
    }

    /// Applies what the provider says of a call.
    pub async fn call(&self, report: CallReport) -> Result<Reported, StoreError> {
        self.ask(|reply| Request::Call(Box::new(report), reply)).await
    }

    fn ask<T, R: FnOnce(Reply<T>) -> Request>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<T, StoreError>> + use<T, R> {
        let (reply, answer) = oneshot::channel();
        let queued = self.requests.try_send(request(reply)).map_err(|error| match error {
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
    home: &Backend,
    means: &Means,
    mut queue: mpsc::Receiver<Request>,
    enough: &Notify,
    last_intake: &AtomicUsize,
) {
    let mut waiting = Vec::with_capacity(BATCH_REQUESTS);
    loop {
        let next = tokio::time::timeout(REST_AFTER, queue.recv_many(&mut waiting, BATCH_REQUESTS)).await;
        if next.is_err() {
            home.rest();
            queue.recv_many(&mut waiting, BATCH_REQUESTS).await;
        }
        if waiting.is_empty() {
            break;
        }
        // A commit costs the same for one as for many: let those come along that are on their way.
        let until = tokio::time::Instant::now() + LINGER;
        while waiting.len() + queue.len() < ENOUGH_REQUESTS
            && tokio::time::timeout_at(until, enough.notified()).await.is_ok()
        {}
        while waiting.len() < BATCH_REQUESTS
            && let Ok(request) = queue.try_recv()
        {
            waiting.push(request);
        }
        let batch = Batch::sort(waiting.drain(..));
        last_intake.store(batch.ingest.0.len(), Ordering::Relaxed);
        metrics::histogram!(metric::WRITER_BATCH_REQUESTS).record(batch.len() as f64);
        batch.commit(home, means).await;
        if let Backend::Sqlite(db) = home {
            db.tend();
        }
    }
}

/// Requests of one kind, beside the replies they wait for.
type Kind<T, R> = (Vec<T>, Vec<Reply<R>>);

#[derive(Default)]
struct Batch {
    ingest: Kind<NewInbound, Ingested>,
    decided: Kind<Vec<Decided>, DecidedReceipt>,
    claim: Kind<ClaimRequest, Claims>,
    outcome: Kind<AttemptOutcome, bool>,
    settle: Kind<StatusReport, Settled>,
    fire: Kind<FireRequest, Firing>,
    turn: Kind<NewTurn, Turned>,
    call: Kind<CallReport, Reported>,
    said: Kind<(TenantId, TurnAnswer), ()>,
}

struct Results {
    ingest: Vec<Ingested>,
    decided: Vec<DecidedReceipt>,
    claim: Vec<Claims>,
    outcome: Vec<bool>,
    settle: Vec<Settled>,
    fire: Vec<Firing>,
    turn: Vec<Turned>,
    call: Vec<Reported>,
}

impl Batch {
    fn sort(requests: impl Iterator<Item = Request>) -> Self {
        let mut batch = Self::default();
        for request in requests {
            match request {
                Request::Ingest(item, reply) => add(&mut batch.ingest, *item, reply),
                Request::Decided(item, reply) => add(&mut batch.decided, item, reply),
                Request::Claim(item, reply) => add(&mut batch.claim, item, reply),
                Request::Outcome(item, reply) => add(&mut batch.outcome, *item, reply),
                Request::Settle(item, reply) => add(&mut batch.settle, *item, reply),
                Request::Fire(item, reply) => add(&mut batch.fire, item, reply),
                Request::Turn(item, reply) => add(&mut batch.turn, *item, reply),
                Request::Call(item, reply) => add(&mut batch.call, *item, reply),
                Request::Said(item, reply) => add(&mut batch.said, *item, reply),
            }
        }
        batch
    }

    fn len(&self) -> usize {
        self.ingest.0.len()
            + self.decided.0.len()
            + self.claim.0.len()
            + self.outcome.0.len()
            + self.settle.0.len()
            + self.fire.0.len()
            + self.turn.0.len()
            + self.call.0.len()
            + self.said.0.len()
    }

    async fn commit(self, home: &Backend, means: &Means) {
        match self.transact(home, means).await {
            Ok(results) => self.answer(results),
            Err(error) if self.len() > 1 && !error.is_outage() => {
                tracing::warn!(%error, requests = self.len(), "a batch failed: trying its requests one by one");
                let mut outage = None;
                for single in self.singles() {
                    // Each would wait as long for what is out: the rest is refused at once.
                    if let Some(outage) = &outage {
                        single.refuse(outage);
                        continue;
                    }
                    match single.transact(home, means).await {
                        Ok(results) => single.answer(results),
                        Err(error) => {
                            outage = error.is_outage().then(|| error.clone());
                            single.refuse(&error);
                        }
                    }
                }
            }
            Err(error) => self.refuse(&error),
        }
    }

    async fn transact(&self, home: &Backend, means: &Means) -> Result<Results, StoreError> {
        match home {
            Backend::Sqlite(db) => self.transact_in(db.begin()?, means).await,
            Backend::Postgres(db) => self.transact_in(begin(db).await?, means).await,
        }
    }

    async fn transact_in(&self, txn: impl Txn, means: &Means) -> Result<Results, StoreError> {
        let begun = Instant::now();
        let mut committed = Committed::default();
        let results = self.execute(&txn, means, &mut committed).await;
        match results {
            Ok(results) => {
                crate::domain::abort::point("before-commit");
                txn.commit().await?;
                crate::domain::abort::point("after-commit");
                means.fresh.push(committed);
                means.sleeper.committed();
                metrics::histogram!(metric::WRITER_COMMIT_SECONDS).record(begun.elapsed().as_secs_f64());
                Ok(results)
            }
            Err(error) => {
                // The first error says more than a failing rollback would; the connection is reset either way.
                let _ = txn.rollback().await;
                Err(error)
            }
        }
    }

    async fn execute(&self, txn: &impl Txn, means: &Means, committed: &mut Committed) -> Result<Results, StoreError> {
        let results = Results {
            ingest: ingest::ingest(txn, means, &self.ingest.0, committed).await?,
            turn: calls::turns(txn, means, &self.turn.0, committed).await?,
            decided: {
                let mut receipts = Vec::with_capacity(self.decided.0.len());
                for decisions in &self.decided.0 {
                    receipts.push(decide::write(txn, means, decisions, committed).await?);
                }
                receipts
            },
            outcome: outcome::outcomes(txn, means, &self.outcome.0, committed).await?,
            settle: status::settle(txn, means, &self.settle.0, committed).await?,
            call: {
                for (tenant, answer) in &self.said.0 {
                    calls::answer(txn, *tenant, answer).await?;
                }
                calls::reports(txn, means, &self.call.0, committed).await?
            },
            fire: {
                let mut firings = Vec::with_capacity(self.fire.0.len());
                for request in &self.fire.0 {
                    firings.push(fire::fire(txn, means, request).await?);
                }
                firings
            },
            claim: {
                let mut claims = Vec::with_capacity(self.claim.0.len());
                for request in &self.claim.0 {
                    claims.push(claim::claim(txn, means, request).await?);
                }
                claims
            },
        };
        // On PostgreSQL other processes change customers too: there they are read when it comes to deciding.
        if !txn.is_postgres() {
            decide::read_customers(txn, means, committed).await?;
        }
        Ok(results)
    }

    fn answer(self, results: Results) {
        // A requester that has gone away needs no answer: the rows are written all the same.
        self.ingest.1.into_iter().zip(results.ingest).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.decided.1.into_iter().zip(results.decided).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.claim.1.into_iter().zip(results.claim).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.outcome.1.into_iter().zip(results.outcome).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.settle.1.into_iter().zip(results.settle).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.fire.1.into_iter().zip(results.fire).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.turn.1.into_iter().zip(results.turn).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.call.1.into_iter().zip(results.call).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        self.said.1.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
    }

    fn refuse(self, error: &StoreError) {
        self.ingest.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.decided.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.claim.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.outcome.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.settle.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.fire.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.turn.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.call.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
        self.said.1.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
    }

    fn singles(self) -> Vec<Self> {
        fn split<T, R>(kind: Kind<T, R>) -> impl Iterator<Item = Kind<T, R>> {
            kind.0.into_iter().zip(kind.1).map(|(item, reply)| (vec![item], vec![reply]))
        }
        let ingest = split(self.ingest).map(|ingest| Self { ingest, ..Self::default() });
        let decided = split(self.decided).map(|decided| Self { decided, ..Self::default() });
        let outcome = split(self.outcome).map(|outcome| Self { outcome, ..Self::default() });
        let settle = split(self.settle).map(|settle| Self { settle, ..Self::default() });
        let fire = split(self.fire).map(|fire| Self { fire, ..Self::default() });
        let claim = split(self.claim).map(|claim| Self { claim, ..Self::default() });
        let turn = split(self.turn).map(|turn| Self { turn, ..Self::default() });
        let call = split(self.call).map(|call| Self { call, ..Self::default() });
        let said = split(self.said).map(|said| Self { said, ..Self::default() });
        ingest
            .chain(turn)
            .chain(said)
            .chain(call)
            .chain(decided)
            .chain(outcome)
            .chain(settle)
            .chain(fire)
            .chain(claim)
            .collect()
    }
}

fn add<T, R>(kind: &mut Kind<T, R>, item: T, reply: Reply<R>) {
    kind.0.push(item);
    kind.1.push(reply);
}

/// Begins a transaction that may write. On SQLite it takes the lock at once: a deferred one that reads first fails
/// when another writes in between, whatever the busy time-out.
pub(super) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
    let options = TransactionOptions {
        isolation_level: None,
        access_mode: None,
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
    };
    Ok(db.begin_with_options(options).await?)
}

/// How long a statement waits for another process's lock on the SQLite file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
