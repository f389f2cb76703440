//! The state of all calls: stored calls, scripts, and the channels to running ones.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::order::Order;
use super::party::{ACTS_MAX, Act, Party};
use super::queue_state::Queues;
use super::store::CallStore;
use super::stream_record::StreamRecord;
use crate::domain::Timestamp;

/// Limit of stored calls.
const CALLS_MAX: usize = 20_000;
/// Limit of unread orders to one call.
const ORDERS_MAX: usize = 8;

/// The pace of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// New calls per second and account; further ones wait. `null` removes the limit. Twilio's default is one.
    pub calls_per_second: Option<u32>,
    /// True if speech, pauses and timeouts take real time.
    pub real_time: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { calls_per_second: Some(1), real_time: false }
    }
}

/// The channels to a running call.
pub struct CallChannels {
    pub orders: mpsc::Sender<Order>,
    pub acts: mpsc::Sender<Act>,
}

/// The stored and running calls.
pub struct Calls {
    pub store: Mutex<CallStore>,
    /// Number of the last change.
    pub changes: watch::Sender<u64>,
    pub parties: Mutex<HashMap<String, Party>>,
    pub channels: Mutex<HashMap<String, CallChannels>>,
    /// Number of running calls.
    pub open: watch::Sender<usize>,
    /// The earliest start of each account's next call.
    pub next_starts: Mutex<HashMap<String, Timestamp>>,
    pub pace: Mutex<Pace>,
    pub queues: Queues,
    pub streams: Mutex<VecDeque<StreamRecord>>,
}

impl Calls {
    /// Creates the state without calls.
    pub fn new(pace: Pace) -> Self {
        Self {
            store: Mutex::new(CallStore::new(CALLS_MAX)),
            changes: watch::Sender::new(0),
            parties: Mutex::default(),
            channels: Mutex::default(),
            open: watch::Sender::new(0),
            next_starts: Mutex::default(),
            pace: Mutex::new(pace),
            queues: Queues::default(),
            streams: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn store(&self) -> MutexGuard<'_, CallStore> {
        self.store.lock()
    }

    pub fn pace(&self) -> Pace {
        *self.pace.lock()
    }

    /// Returns the start of the account's next call, and reserves it.
    pub fn turn(&self, account: &str, now: Timestamp) -> Timestamp {
        let Some(rate) = self.pace().calls_per_second.filter(|rate| *rate > 0) else { return now };
        let mut next_starts = self.next_starts.lock();
        let next = next_starts.entry(account.to_owned()).or_insert(now);
        let turn = (*next).max(now);
        *next = turn.plus(Duration::from_secs(1) / rate);
        turn
    }

    /// Registers a call for orders and acts.
    pub fn register(&self, sid: &str) -> (mpsc::Receiver<Order>, mpsc::Receiver<Act>) {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (acts, acted) = mpsc::channel(ACTS_MAX);
        self.channels.lock().insert(sid.to_owned(), CallChannels { orders, acts });
        self.open.send_modify(|open| *open += 1);
        (ordered, acted)
    }

    /// Removes the channels of a call that has ended.
    pub fn forget(&self, sid: &str) {
        if self.channels.lock().remove(sid).is_some() {
            self.open.send_modify(|open| *open -= 1);
        }
    }

    /// Sends an order; `false` if the call has ended, or has too many unread orders.
    pub fn order(&self, sid: &str, order: Order) -> bool {
        self.channels.lock().get(sid).is_some_and(|channels| channels.orders.try_send(order).is_ok())
    }

    /// Sends an act of the person; `false` if the call has ended, or has too many unread acts.
    pub fn act(&self, sid: &str, act: Act) -> bool {
        self.channels.lock().get(sid).is_some_and(|channels| channels.acts.try_send(act).is_ok())
    }

    /// Returns a number's script; without one, the number answers and stays silent.
    pub fn party(&self, number: &str) -> Party {
        self.parties.lock().get(number).cloned().unwrap_or_default()
    }
}
