//! The context of every transaction: ids, the clock, the cache of pending events, the wake-up of the timers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::domain::{Clock, Ids, Timestamp};
use crate::store::pending_cache::PendingCache;

/// The context, shared by the writer and by the transactions of [`crate::store::Store`].
pub(in crate::store) struct WriterContext {
    pub ids: Arc<Ids>,
    pub clock: Clock,
    pub pending: PendingCache,
    pub timer_wake: TimerWake,
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
