//! Calls, as Twilio makes and takes them: they are dialled, ask for TwiML, and do what it says.
//!
//! [`rest`] is Twilio's API of them, [`control`] the carrier's own. A [`leg`] is one end of a call while it lasts: [`ring`]
//! dials it, [`verbs`] and its siblings do what a [`document`] says, [`report`] tells its states. What the people at the
//! other end do comes from a [`party`]: a script, or a person.
//!
//! Speech, music, pauses and the silence of who was asked pass in no time, though they count: a call lasts as long as it
//! would have. With [`Pace::real_time`] they take their time by the clock.

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
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::callbacks::Callbacks;
use super::store::{Direction, Message};
use super::webhook::Method;
use super::{Carrier, Inner};
use crate::domain::Timestamp;
use crate::integrations::twilio::form::Params;
pub use call::{Call, CallDirection, CallStatus, Entry, Happening, HungUpBy};
use leg::{Leg, Order, Plan};
use party::{ACTS_MAX, Act, PARTIES_MAX, Party};
use queue::Queues;
pub use sound::Sound;
use store::CallStore;
pub use stream::StreamRecord;

/// Calls that are remembered.
const CALLS_MAX: usize = 20_000;
/// Calls that wait, ring or talk at once, of all accounts.
const OPEN_MAX: usize = 20_000;
/// Orders to one call that it has not looked at.
const ORDERS_MAX: usize = 8;

/// How fast calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Calls that an account begins per second, the others wait; `null` for any number. One at Twilio, unless it raises that.
    pub calls_per_second: Option<u32>,
    /// Whether speech, pauses and time-outs take time by the clock.
    pub real_time: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { calls_per_second: Some(1), real_time: false }
    }
}

/// How a call that goes on can be spoken to.
struct Reach {
    orders: mpsc::Sender<Order>,
    acts: mpsc::Sender<Act>,
}

pub struct Calls {
    store: Mutex<CallStore>,
    /// The number of the last change, to be waited for.
    changes: watch::Sender<u64>,
    parties: Mutex<HashMap<String, Party>>,
    reach: Mutex<HashMap<String, Reach>>,
    /// How many calls go on.
    open: watch::Sender<usize>,
    /// When an account's next call may begin.
    turns: Mutex<HashMap<String, Timestamp>>,
    pace: Mutex<Pace>,
    queues: Queues,
    streams: Mutex<VecDeque<StreamRecord>>,
}

/// Every value under these locks is whole whenever something could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Calls {
    pub fn new(pace: Pace) -> Self {
        Self {
            store: Mutex::new(CallStore::new(CALLS_MAX)),
            changes: watch::Sender::new(0),
            parties: Mutex::default(),
            reach: Mutex::default(),
            open: watch::Sender::new(0),
            turns: Mutex::default(),
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
        lock(&self.store)
    }

    pub fn pace(&self) -> Pace {
        *lock(&self.pace)
    }

    /// When a call of the account may begin; the next one may after that.
    fn turn(&self, account: &str, now: Timestamp) -> Timestamp {
        let Some(rate) = self.pace().calls_per_second.filter(|rate| *rate > 0) else { return now };
        let mut turns = lock(&self.turns);
        let next = turns.entry(account.to_owned()).or_insert(now);
        let turn = (*next).max(now);
        *next = turn.plus(Duration::from_secs(1) / rate);
        turn
    }

    /// Makes a call known to those who order it about.
    fn register(&self, sid: &str) -> (mpsc::Receiver<Order>, mpsc::Receiver<Act>) {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (acts, acted) = mpsc::channel(ACTS_MAX);
        lock(&self.reach).insert(sid.to_owned(), Reach { orders, acts });
        self.open.send_modify(|open| *open += 1);
        (ordered, acted)
    }

    fn forget(&self, sid: &str) {
        if lock(&self.reach).remove(sid).is_some() {
            self.open.send_modify(|open| *open -= 1);
        }
    }

    /// `false` where the call is over, or has too much to look at.
    fn order(&self, sid: &str, order: Order) -> bool {
        lock(&self.reach).get(sid).is_some_and(|reach| reach.orders.try_send(order).is_ok())
    }

    fn act(&self, sid: &str, act: Act) -> bool {
        lock(&self.reach).get(sid).is_some_and(|reach| reach.acts.try_send(act).is_ok())
    }

    /// Who has a number; who has no script answers and stays silent.
    fn party(&self, number: &str) -> Party {
        lock(&self.parties).get(number).cloned().unwrap_or_default()
    }
}

impl Carrier {
    /// Says what whoever has a number does when called; refused where [`PARTIES_MAX`] numbers have a script.
    pub fn set_party(&self, number: &str, party: Party) -> Result<(), String> {
        party.check()?;
        let mut parties = lock(&self.0.calls.parties);
        if parties.len() >= PARTIES_MAX && !parties.contains_key(number) {
            return Err(format!("{PARTIES_MAX} numbers have a script already: DELETE some"));
        }
        parties.insert(number.to_owned(), party);
        drop(parties);
        Ok(())
    }

    pub fn set_pace(&self, pace: Pace) {
        *lock(&self.0.calls.pace) = pace;
    }

    /// All that are remembered, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.store().iter().cloned().collect()
    }

    pub fn find_call(&self, sid: &str) -> Option<Call> {
        self.0.calls.store().find(sid).cloned()
    }

    /// Waits until every call has ended and every callback has been posted.
    pub async fn wait_calls(&self) {
        // The sender lives in `self`, so waiting can only end by the count being reached.
        let _ = self.0.calls.open.subscribe().wait_for(|open| *open == 0).await;
        self.wait_callbacks().await;
    }

    /// Calls that go on.
    pub fn calls_open(&self) -> usize {
        *self.0.calls.open.borrow()
    }
}

impl Inner {
    /// Takes a call and leads it to its end; `false` where too many go on.
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

    /// Posts a callback by itself.
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

    /// Sends a text for a call; gives its SID.
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
