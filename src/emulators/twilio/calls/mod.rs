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
mod bridge_state;
pub(super) mod call;
pub(super) mod control;
mod dial;
mod document;
mod gather;
mod leg;
mod media;
mod order;
pub(super) mod party;
mod plan;
mod queue;
mod queue_state;
mod record;
pub(super) mod recordings;
mod report;
pub(super) mod rest;
mod ring;
mod schema;
pub(super) mod sound;
pub(super) mod state;
mod store;
mod stream;
pub(super) mod stream_record;
mod validate;
mod verbs;

use std::sync::Arc;

use super::carrier::{Carrier, Inner};
use super::method::Method;
use super::store::{Direction, Message};
use crate::integrations::twilio::form::Params;
use call::Call;
use leg::Leg;
use party::{PARTIES_MAX, Party};
use plan::Plan;
use state::Pace;

/// Limit of running calls, over all accounts.
const OPEN_MAX: usize = 20_000;

impl Carrier {
    /// Sets the script of a number. Refused if `PARTIES_MAX` numbers have one.
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

    /// Sets the pace of calls.
    pub fn set_pace(&self, pace: Pace) {
        *self.0.calls.pace.lock() = pace;
    }

    /// Returns the stored calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.store().iter().cloned().collect()
    }

    /// Returns a stored call.
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
            carrier.callbacks.finished();
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
