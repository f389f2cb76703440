//! A bare program for comparison: three rows for each message and a group commit at synchronous=FULL before the webhook is
//! answered; for each answer a row in an outbox before the provider call, its outcome after, and a row for each delivery
//! callback. No ledger, no send gate, no rules, no traces.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::Failure;
use crate::ceilings::{Rows, SCHEMA, SETTINGS, insert};
use crate::phases::ANSWER;

/// Messages and outcomes that may wait for the writer; further webhooks wait.
const QUEUE_MAX_ITEMS: usize = 4096;
/// The most requests in one commit.
const BATCH_MAX_ITEMS: usize = 512;
/// How many requests the server's writer waits for, and how long.
const ENOUGH_ITEMS: usize = 20;
const LINGER: Duration = Duration::from_millis(1);
const OUTBOX: &str = "CREATE TABLE outbox (id integer PRIMARY KEY, recipient text, body text, state text, sid text);
    CREATE UNIQUE INDEX outbox_by_sid ON outbox (sid) WHERE sid IS NOT NULL;
    CREATE TABLE reports (sid text, status text, PRIMARY KEY (sid, status)) WITHOUT ROWID";

enum Work {
    /// A message, answered when it is durable; with a recipient it also has a row in the outbox.
    Take { row: Box<Rows>, recipient: Option<String>, done: oneshot::Sender<()> },
    /// The provider took the row of the outbox with this number, and gave it this id.
    Sent { number: i64, sid: String },
    /// A delivery callback, answered when it is durable.
    Reported { sid: String, status: String, done: oneshot::Sender<()> },
}

/// The queue of the one thread that writes.
#[derive(Clone)]
pub struct Store(mpsc::Sender<Work>);

impl Store {
    /// Creates the database at `path`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let db = Connection::open(path)?;
        db.execute_batch(SETTINGS)?;
        for statement in SCHEMA.iter().chain(&[OUTBOX]) {
            db.execute_batch(statement)?;
        }
        let (work, waiting) = mpsc::channel(QUEUE_MAX_ITEMS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let work_off = move || runtime.block_on(write(db, waiting));
        std::thread::Builder::new().name("writer".to_owned()).spawn(work_off)?;
        Ok(Self(work))
    }

    /// Returns when the message is durable; false if it could not be written.
    pub async fn take(&self, row: Rows, recipient: Option<String>) -> bool {
        let (done, durable) = oneshot::channel();
        self.0.send(Work::Take { row: Box::new(row), recipient, done }).await.is_ok() && durable.await.is_ok()
    }

    /// Returns when the report of a status is durable; false if it could not be written.
    pub async fn reported(&self, sid: String, status: String) -> bool {
        let (done, durable) = oneshot::channel();
        self.0.send(Work::Reported { sid, status, done }).await.is_ok() && durable.await.is_ok()
    }

    pub async fn sent(&self, number: i64, sid: String) {
        // This fails only when the writer has died, and then no message is acknowledged either.
        let _ = self.0.send(Work::Sent { number, sid }).await;
    }
}

/// Commits the waiting requests until something fails; after that nothing is acknowledged. Like the server's writer, it
/// waits a moment for requests that are under way.
async fn write(mut db: Connection, mut waiting: mpsc::Receiver<Work>) {
    let mut batch = Vec::with_capacity(BATCH_MAX_ITEMS);
    while waiting.recv_many(&mut batch, BATCH_MAX_ITEMS).await > 0 {
        let until = Instant::now() + LINGER;
        while batch.len() < ENOUGH_ITEMS
            && timeout_at(until, waiting.recv_many(&mut batch, BATCH_MAX_ITEMS)).await.is_ok_and(|more| more > 0)
        {
        }
        while batch.len() < BATCH_MAX_ITEMS
            && let Ok(work) = waiting.try_recv()
        {
            batch.push(work);
        }
        if let Err(error) = commit(&mut db, &batch) {
            eprintln!("the bare program cannot write: {error}");
            return;
        }
        for work in batch.drain(..) {
            if let Work::Take { done, .. } | Work::Reported { done, .. } = work {
                // The requester may be gone.
                let _ = done.send(());
            }
        }
    }
}

fn commit(db: &mut Connection, batch: &[Work]) -> Result<(), Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = batch.iter().filter_map(|work| match work {
        Work::Take { row, .. } => Some(&**row),
        Work::Sent { .. } | Work::Reported { .. } => None,
    });
    insert(&transaction, rows)?;
    {
        let mut plan = transaction
            .prepare_cached("INSERT INTO outbox (id, recipient, body, state) VALUES (?, ?, ?, 'planned')")?;
        let mut end = transaction.prepare_cached("UPDATE outbox SET state = 'sent', sid = ? WHERE id = ?")?;
        let mut report =
            transaction.prepare_cached("INSERT INTO reports (sid, status) VALUES (?, ?) ON CONFLICT DO NOTHING")?;
        let mut settle = transaction.prepare_cached("UPDATE outbox SET state = ? WHERE sid = ?")?;
        for work in batch {
            match work {
                Work::Take { row, recipient: Some(recipient), .. } => {
                    plan.execute((row.number(), recipient, ANSWER))?;
                }
                Work::Take { recipient: None, .. } => {}
                Work::Sent { number, sid } => {
                    end.execute((sid, number))?;
                }
                Work::Reported { sid, status, .. } => {
                    report.execute((sid, status))?;
                    settle.execute((status, sid))?;
                }
            }
        }
    }
    Ok(transaction.commit()?)
}
