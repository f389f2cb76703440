//! The context of every transaction: ids, the clock, the cache of pending events, the wake-ups of timers and senders.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::domain::{Clock, Ids, SendQueue, Timestamp};
use crate::store::pending_cache::PendingCache;

/// The context, shared by the writer and by the transactions of [`crate::store::Store`].
pub(in crate::store) struct WriterContext {
    pub ids: Arc<Ids>,
    pub clock: Clock,
    pub pending: PendingCache,
    pub timer_wake: TimerWake,
    pub promoted: PromotedQueues,
    /// The ordering key up to which the repair of heads has looked; empty at its begin.
    pub repaired_until: Mutex<String>,
    /// Set where the database was put back from a copy.
    pub restored: OnceLock<Restored>,
}

/// When the database was copied, and put back.
///
/// ```json
/// {"copied_at": "2026-11-20T03:00:00Z", "restored_at": "2026-11-21T08:00:00Z"}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The last event of the copy.
    pub copied_at: Timestamp,
    pub restored_at: Timestamp,
}

impl WriterContext {
    pub fn new(ids: Arc<Ids>, clock: Clock) -> Self {
        Self {
            ids,
            clock,
            pending: PendingCache::default(),
            timer_wake: TimerWake::default(),
            promoted: PromotedQueues::default(),
            repaired_until: Mutex::default(),
            restored: OnceLock::new(),
        }
    }

    /// Sends the wake-ups of a transaction that is committed now.
    pub fn committed(&self) {
        self.timer_wake.committed();
        self.promoted.committed();
    }
}

/// The queues of sends that have become the head of their ordering key, for the senders.
#[derive(Default)]
pub(in crate::store) struct PromotedQueues {
    /// Those of transactions that are not committed yet.
    coming: Mutex<BTreeSet<SendQueue>>,
    ready: Mutex<BTreeSet<SendQueue>>,
    notify: Notify,
}

impl PromotedQueues {
    /// Notes queues in a transaction that is not committed yet.
    pub fn add(&self, queues: impl IntoIterator<Item = SendQueue>) {
        self.coming.lock().extend(queues);
    }

    /// Wakes the senders for what is committed now. A promotion that was rolled back may wake them for nothing.
    pub fn committed(&self) {
        let coming = std::mem::take(&mut *self.coming.lock());
        if !coming.is_empty() {
            self.ready.lock().extend(coming);
            self.notify.notify_one();
        }
    }

    /// Waits for queues.
    pub async fn next(&self) -> Vec<SendQueue> {
        loop {
            let ready = std::mem::take(&mut *self.ready.lock());
            if !ready.is_empty() {
                return ready.into_iter().collect();
            }
            self.notify.notified().await;
        }
    }
}

/// The instant that the scheduler sleeps until; an earlier timer wakes it.
pub(in crate::store) struct TimerWake {
    pub until_us: AtomicI64,
    /// The earliest timer of transactions that are not committed yet.
    coming_us: AtomicI64,
    pub nearer: Notify,
}

impl Default for TimerWake {
    fn default() -> Self {
        Self { until_us: AtomicI64::new(i64::MAX), coming_us: AtomicI64::new(i64::MAX), nearer: Notify::new() }
    }
}

impl TimerWake {
    /// Notes a timer that is stored, but not committed yet.
    pub fn planned(&self, due: Timestamp) {
        self.coming_us.fetch_min(due.unix_us(), Ordering::SeqCst);
    }

    /// Wakes the scheduler for the timers that are committed now. A timer that was rolled back may wake it for nothing,
    /// which does no harm.
    pub fn committed(&self) {
        if self.coming_us.swap(i64::MAX, Ordering::SeqCst) < self.until_us.load(Ordering::SeqCst) {
            self.nearer.notify_one();
        }
    }
}
