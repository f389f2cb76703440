//! The built-in carrier: a stand-in for Twilio's Messages API over HTTP, for trying Recado out and for tests.
//!
//! It answers like Twilio (<https://www.twilio.com/docs/messaging/api/message-resource>), delivers every message to
//! nobody, reports back with signed status callbacks, and misbehaves on demand ([`faults`]).
//!
//! | Route | |
//! |---|---|
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/Messages.json` | create, list |
//! | `GET /2010-04-01/Accounts/{sid}/Messages/{sid}.json` | one message |
//! | `GET /2010-04-01/Accounts/{sid}/Messages/{sid}/Media.json` | what hangs on it |
//! | `POST /carrier/inbound` | put a message from a customer on the list: `{"from": "+34…", "to": "+34…", "body": "CITA"}` |
//! | `POST`, `GET`, `DELETE /carrier/faults` | order a [`Fault`], see and clear what is ordered |
//!
//! **Architecture invariant:** it calls back loopback addresses only, and its own routes ask for no credentials: it must
//! listen on loopback alone.

mod api;
mod callbacks;
pub mod faults;
mod store;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use crate::domain::clock::{Clock, Random};
use crate::domain::status::DeliveryStatus;
use crate::twilio::client::{self, ClientError};

use callbacks::Job;
use faults::Faults;
pub use faults::{Fault, FaultKind, On};
pub use store::Message;
use store::Store;

/// Of a request's body.
const BODY_MAX_BYTES: usize = 64 * 1024;

pub struct CarrierConfig {
    pub account_sid: String,
    pub auth_token: SecretString,
    /// Further accounts: SID and token.
    pub accounts: HashMap<String, SecretString>,
    pub clock: Clock,
    /// Of SIDs and of faults that strike by percentage.
    pub seed: u64,
    /// Between a message's creation and `sent`, and between each status and the next.
    pub callback_delay_ms: u64,
    /// WhatsApp messages are read after they are delivered.
    pub whatsapp_read: bool,
    /// How many messages are remembered; the oldest go.
    pub keep_max: usize,
}

impl CarrierConfig {
    pub const KEEP_MAX: usize = 100_000;

    /// One account, no delay, no receipts of reading.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<SecretString>, clock: Clock) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            accounts: HashMap::new(),
            clock,
            seed: 1,
            callback_delay_ms: 0,
            whatsapp_read: false,
            keep_max: Self::KEEP_MAX,
        }
    }
}

/// A message from a customer, to be found in the list as if its webhook had been missed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inbound {
    /// `None` for the first account.
    pub account: Option<String>,
    /// `None` for a new one.
    pub sid: Option<String>,
    pub from: String,
    pub to: String,
    pub body: String,
    /// The Messaging Service that the number belongs to.
    pub service: Option<String>,
    pub media: Vec<String>,
}

/// A handle; clones are the same carrier.
#[derive(Clone)]
pub struct Carrier(Arc<Inner>);

struct Inner {
    account_sid: String,
    accounts: HashMap<String, Account>,
    clock: Clock,
    random: Random,
    whatsapp_read: bool,
    store: Mutex<Store>,
    faults: Faults,
    callbacks: callbacks::Callbacks,
    /// Messages taken since the start, to be waited for.
    taken: watch::Sender<u64>,
}

struct Account {
    token: SecretString,
    /// What `Authorization` must say.
    authorization: String,
}

impl Carrier {
    /// Must be called within a tokio runtime: the status callbacks run there until the last handle is gone.
    pub fn new(config: CarrierConfig) -> Result<Self, ClientError> {
        let mut tokens = config.accounts;
        tokens.insert(config.account_sid.clone(), config.auth_token);
        let accounts = tokens.into_iter().map(|(sid, token)| {
            let credentials = STANDARD.encode(format!("{sid}:{}", token.expose_secret()));
            (sid, Account { token, authorization: format!("Basic {credentials}") })
        });
        let (queue, jobs) = mpsc::channel::<Job>(callbacks::QUEUE_MAX);
        let carrier = Self(Arc::new(Inner {
            account_sid: config.account_sid,
            accounts: accounts.collect(),
            clock: config.clock,
            random: Random::seeded(config.seed),
            whatsapp_read: config.whatsapp_read,
            store: Mutex::new(Store::new(config.keep_max)),
            faults: Faults::default(),
            callbacks: callbacks::Callbacks::new(client::http()?, queue, config.callback_delay_ms),
            taken: watch::Sender::new(0),
        }));
        tokio::spawn(callbacks::run(Arc::downgrade(&carrier.0), jobs));
        Ok(carrier)
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/2010-04-01/Accounts/{account}/Messages.json", post(api::create).get(api::list))
            .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(api::fetch))
            .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media.json", get(api::media))
            .route("/carrier/inbound", post(api::inbound))
            .route("/carrier/faults", post(api::order_fault).get(api::show_faults).delete(api::clear_faults))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self.clone())
    }

    /// All that is remembered, the oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.store().iter().cloned().collect()
    }

    /// How many of the remembered messages were sent to `to` (as Twilio writes it).
    pub fn count_to(&self, to: &str) -> usize {
        self.store().to(to).filter(|message| message.status != DeliveryStatus::Received).count()
    }

    /// How many messages have been taken since the start; faults that swallow the answer count, refusals do not.
    pub fn taken(&self) -> u64 {
        *self.0.taken.borrow()
    }

    /// Waits until so many messages have been taken.
    pub async fn wait_taken(&self, count: u64) {
        // The sender lives in `self`, so waiting can only end by the count being reached.
        let _ = self.0.taken.subscribe().wait_for(|taken| *taken >= count).await;
    }

    /// Waits until every status callback due has been posted. On a simulated clock somebody must advance it.
    pub async fn wait_callbacks(&self) {
        let _ = self.0.callbacks.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Callbacks that could not be queued because the receiver was too slow. Twilio's are best effort too.
    pub fn callbacks_dropped(&self) -> u64 {
        self.0.callbacks.dropped()
    }

    /// Puts a message from a customer on the list; no webhook is posted.
    pub fn add_inbound(&self, inbound: Inbound) -> Message {
        let now = self.0.clock.now();
        let message = Message {
            sid: inbound.sid.unwrap_or_else(|| self.new_sid(if inbound.media.is_empty() { "SM" } else { "MM" })),
            account_sid: inbound.account.unwrap_or_else(|| self.0.account_sid.clone()),
            messaging_service_sid: inbound.service,
            from: Some(inbound.from),
            to: inbound.to,
            body: inbound.body,
            media_urls: inbound.media,
            content_sid: None,
            content_variables: None,
            status_callback: None,
            status: DeliveryStatus::Received,
            created_at: now,
            sent_at: Some(now),
        };
        self.store().push(message.clone());
        message
    }

    /// Orders a fault; refused when more than [`faults::FAULTS_MAX`] are ordered.
    pub fn add_fault(&self, fault: Fault) -> Result<(), faults::FaultError> {
        self.0.faults.add(fault)
    }

    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store()
    }

    fn new_sid(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}{:016x}", self.0.random.next_u64(), self.0.random.next_u64())
    }
}

impl Inner {
    fn store(&self) -> MutexGuard<'_, Store> {
        // Every change of the store is whole before anything in it can panic.
        self.store.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
