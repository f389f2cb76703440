//! Twilio's calls: the emulator dials them, requests TwiML and performs it.
//!
//! [`rest`] is Twilio's API, [`control`] the emulator's own. A [`leg`] is one leg of a running call: [`ring`] dials it,
//! [`verbs`] and its siblings perform a [`document`], [`report`] posts status callbacks. A [`party`] is the person at
//! the other end: a script, or a user.
//!
//! Speech, music, pauses and silence take no real time, but count: a call has its natural duration. With
//! [`Pace::real_time`] they take real time.

mod amd;
mod bridge;
pub mod call;
pub mod control;
mod dial;
mod document;
mod gather;
mod leg;
mod media;
pub mod party;
mod queue;
mod record;
pub mod recordings;
mod report;
pub mod rest;
mod ring;
mod schema;
mod sound;
mod store;
mod stream;
mod validate;
mod verbs;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::callbacks::Callbacks;
use super::store::{Direction, Message};
use super::webhook::Method;
use super::{Carrier, Inner};
use crate::domain::Timestamp;
use crate::integrations::twilio::form::Params;
pub use call::{Call, CallDirection, CallEvent, CallLogEntry, CallStatus, HungUpBy};
use leg::{Leg, Order, Plan};
use party::{ACTS_MAX, Act, PARTIES_MAX, Party};
use queue::Queues;
pub use sound::Sound;
use store::CallStore;
pub use stream::StreamRecord;

/// Limit of stored calls.
const CALLS_MAX: usize = 20_000;
/// Limit of running calls, over all accounts.
const OPEN_MAX: usize = 20_000;
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
struct CallChannels {
    orders: mpsc::Sender<Order>,
    acts: mpsc::Sender<Act>,
}

pub struct Calls {
    store: Mutex<CallStore>,
    /// Number of the last change.
    changes: watch::Sender<u64>,
    parties: Mutex<HashMap<String, Party>>,
    channels: Mutex<HashMap<String, CallChannels>>,
    /// Number of running calls.
    open: watch::Sender<usize>,
    /// The earliest start of each account's next call.
    next_starts: Mutex<HashMap<String, Timestamp>>,
    pace: Mutex<Pace>,
    queues: Queues,
    streams: Mutex<VecDeque<StreamRecord>>,
}

impl Calls {
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

    fn store(&self) -> MutexGuard<'_, CallStore> {
        self.store.lock()
    }

    pub fn pace(&self) -> Pace {
        *self.pace.lock()
    }

    /// Returns the start of the account's next call, and reserves it.
    fn turn(&self, account: &str, now: Timestamp) -> Timestamp {
        let Some(rate) = self.pace().calls_per_second.filter(|rate| *rate > 0) else { return now };
        let mut next_starts = self.next_starts.lock();
        let next = next_starts.entry(account.to_owned()).or_insert(now);
        let turn = (*next).max(now);
        *next = turn.plus(Duration::from_secs(1) / rate);
        turn
    }

    /// Registers a call for orders and acts.
    fn register(&self, sid: &str) -> (mpsc::Receiver<Order>, mpsc::Receiver<Act>) {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (acts, acted) = mpsc::channel(ACTS_MAX);
        self.channels.lock().insert(sid.to_owned(), CallChannels { orders, acts });
        self.open.send_modify(|open| *open += 1);
        (ordered, acted)
    }

    fn forget(&self, sid: &str) {
        if self.channels.lock().remove(sid).is_some() {
            self.open.send_modify(|open| *open -= 1);
        }
    }

    /// Sends an order; `false` if the call has ended, or has too many unread orders.
    fn order(&self, sid: &str, order: Order) -> bool {
        self.channels.lock().get(sid).is_some_and(|channels| channels.orders.try_send(order).is_ok())
    }

    fn act(&self, sid: &str, act: Act) -> bool {
        self.channels.lock().get(sid).is_some_and(|channels| channels.acts.try_send(act).is_ok())
    }

    /// Returns a number's script; without one, the number answers and stays silent.
    fn party(&self, number: &str) -> Party {
        self.parties.lock().get(number).cloned().unwrap_or_default()
    }
}

impl Carrier {
    /// Sets the script of a number. Refused if [`PARTIES_MAX`] numbers have one.
    pub fn set_party(&self, number: &str, party: Party) -> Result<(), String> {
        party.check()?;
        let mut parties = self.0.calls.parties.lock();
        if parties.len() >= PARTIES_MAX && !parties.contains_key(number) {
            return Err(format!("{PARTIES_MAX} numbers have a script already: DELETE some"));
        }
        parties.insert(number.to_owned(), party);
        drop(parties);
        Ok(())
    }

    pub fn set_pace(&self, pace: Pace) {
        *self.0.calls.pace.lock() = pace;
    }

    /// Returns the stored calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.store().iter().cloned().collect()
    }

    pub fn find_call(&self, sid: &str) -> Option<Call> {
        self.0.calls.store().find(sid).cloned()
    }

    /// Waits until every call has ended and every callback has been posted.
    pub async fn wait_calls(&self) {
        // `self` keeps the sender alive, so the wait cannot fail.
        let _ = self.0.calls.open.subscribe().wait_for(|open| *open == 0).await;
        self.wait_callbacks().await;
    }

    /// Returns the number of running calls.
    pub fn calls_open(&self) -> usize {
        *self.0.calls.open.borrow()
    }
}

impl Inner {
    /// Starts an accepted call in the background; `false` if too many run.
    fn begin_call(self: &Arc<Self>, call: Call, plan: Plan) -> bool {
        if *self.calls.open.borrow() >= OPEN_MAX {
            return false;
        }
        self.push_call(call.clone());
        tokio::spawn(Leg::new(self, &call, plan).run());
        true
    }

    fn push_call(&self, call: Call) {
        let mut store = self.calls.store();
        store.push(call);
        let seq = store.seq();
        drop(store);
        self.calls.changes.send_modify(|last| *last = seq.max(*last));
    }

    fn change_call<T>(&self, sid: &str, change: impl FnOnce(&mut Call) -> T) -> Option<T> {
        let now = self.clock.now();
        let mut store = self.calls.store();
        let changed = store.change(sid, now, change);
        let seq = store.seq();
        drop(store);
        self.calls.changes.send_modify(|last| *last = seq.max(*last));
        changed
    }

    /// Posts a callback in the background.
    fn post_soon(self: &Arc<Self>, account: &str, url: String, method: Method, params: Params) {
        let (carrier, account) = (self.clone(), account.to_owned());
        carrier.callbacks.begin();
        tokio::spawn(async move {
            let token = carrier.uuid();
            let called = carrier.call(&account, &url, method, &params, Some(&token)).await;
            if let Some(code) = called.outcome.error {
                tracing::debug!(code, "a callback of a call failed");
            }
            Callbacks::finished(&carrier.callbacks);
        });
    }

    /// Sends a text message for a call; returns its SID.
    fn text_from_call(
        self: &Arc<Self>,
        account: &str,
        from: &str,
        to: &str,
        body: &str,
        media: Vec<String>,
        callback: Option<String>,
    ) -> String {
        let sid = self.new_sid(if media.is_empty() { "SM" } else { "MM" });
        let mut message = Message::new(sid.clone(), account.to_owned(), Direction::OutboundReply, self.clock.now());
        (message.from, message.to, message.body) = (Some(from.to_owned()), to.to_owned(), body.to_owned());
        (message.media_urls, message.status_callback) = (media, callback);
        let message = self.push(message);
        let carrier = self.clone();
        tokio::spawn(async move { carrier.deliver(message, None).await });
        sid
    }
}
