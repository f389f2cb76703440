//! The state of the emulator, and its handle.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use super::answer;
use super::callback_queue::{self, Callbacks, Job};
use super::calls::state::{Calls, Pace};
use super::consent::Consent;
use super::faults::{self, Fault, Faults, On};
use super::number_store::{NumberConfig, Numbers};
use super::store::{Direction, Message, Store};
use super::templates::Templates;
use super::validate;
use crate::domain::clock::{Clock, Random, Timestamp};
use crate::domain::status::DeliveryStatus;
use crate::integrations::http;

/// Limit of inbound webhooks that are posted at once.
const WEBHOOKS_MAX: usize = 256;

/// The settings of the emulator.
pub struct CarrierConfig {
    pub account_sid: String,
    pub auth_token: SecretString,
    /// Further accounts: SID and token.
    pub accounts: HashMap<String, SecretString>,
    pub clock: Clock,
    /// Seed of SIDs, and of faults that strike by percentage.
    pub seed: u64,
    /// Time from a message's creation to `sent`, and between two statuses.
    pub callback_delay_ms: u64,
    /// WhatsApp messages are read after their delivery.
    pub whatsapp_read: bool,
    /// Limit of stored messages; the oldest are dropped.
    pub keep_max: usize,
    /// Refuses senders that the account does not own, and templates that were not created here.
    pub strict: bool,
    /// The pace of calls.
    pub pace: Pace,
    /// The numbers that customers can reach; see [`Carrier::set_numbers`].
    pub numbers: Vec<NumberConfig>,
}

impl CarrierConfig {
    /// Default limit of stored messages.
    pub const KEEP_MAX: usize = 100_000;

    /// One account, no delay, no read receipts.
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
            strict: false,
            pace: Pace::default(),
            numbers: Vec::new(),
        }
    }
}

/// A customer's message without a webhook, as if the webhook had been missed.
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
    /// The Messaging Service of the number.
    pub service: Option<String>,
    pub media: Vec<String>,
}

/// A handle to the emulator; clones share one emulator.
#[derive(Clone)]
pub struct Carrier(pub(super) Arc<Inner>);

/// The state of the emulator.
pub struct Inner {
    pub account_sid: String,
    pub accounts: HashMap<String, Account>,
    pub clock: Clock,
    pub random: Random,
    pub started_at: Timestamp,
    pub whatsapp_read: bool,
    pub strict: bool,
    pub http: reqwest::Client,
    pub store: Mutex<Store>,
    /// Number of the last change.
    pub changes: watch::Sender<u64>,
    pub numbers: Numbers,
    pub templates: Templates,
    pub consent: Consent,
    pub faults: Faults,
    pub callbacks: Callbacks,
    pub calls: Calls,
    /// The base URL of the last request, for URLs in answers.
    pub base: Mutex<String>,
    pub webhooks: Arc<Semaphore>,
    /// Number of accepted messages since the start.
    pub taken: watch::Sender<u64>,
}

/// The credentials of an account.
pub struct Account {
    pub token: SecretString,
    /// The expected `Authorization` header.
    pub authorization: String,
}

impl Carrier {
    /// Creates the emulator. Must be called within a tokio runtime, in which callbacks run until the last handle is
    /// dropped.
    pub fn new(config: CarrierConfig) -> Result<Self, http::ClientError> {
        let mut tokens = config.accounts;
        tokens.insert(config.account_sid.clone(), config.auth_token);
        let accounts = tokens.into_iter().map(|(sid, token)| {
            let credentials = STANDARD.encode(format!("{sid}:{}", token.expose_secret()));
            (sid, Account { token, authorization: format!("Basic {credentials}") })
        });
        let (queue, jobs) = mpsc::channel::<Job>(callback_queue::QUEUE_MAX);
        let carrier = Self(Arc::new(Inner {
            account_sid: config.account_sid,
            accounts: accounts.collect(),
            started_at: config.clock.now(),
            clock: config.clock,
            random: Random::seeded(config.seed),
            whatsapp_read: config.whatsapp_read,
            strict: config.strict,
            http: http::client()?,
            store: Mutex::new(Store::new(config.keep_max)),
            changes: watch::Sender::new(0),
            numbers: Numbers::default(),
            templates: Templates::default(),
            consent: Consent::default(),
            faults: Faults::default(),
            callbacks: Callbacks::new(queue, config.callback_delay_ms),
            calls: Calls::new(config.pace),
            base: Mutex::default(),
            webhooks: Arc::new(Semaphore::new(WEBHOOKS_MAX)),
            taken: watch::Sender::new(0),
        }));
        carrier.set_numbers(config.numbers);
        tokio::spawn(Inner::run_callbacks(Arc::downgrade(&carrier.0), jobs));
        Ok(carrier)
    }

    /// Returns the stored messages, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.0.store().iter().cloned().collect()
    }

    /// Counts the stored messages to `to` (in Twilio's format).
    pub fn count_to(&self, to: &str) -> usize {
        self.0.store().to(to).filter(|message| message.direction != Direction::Inbound).count()
    }

    /// Counts accepted messages since the start, including those whose answer a fault swallowed.
    pub fn taken(&self) -> u64 {
        *self.0.taken.borrow()
    }

    /// Waits for the `count`th accepted message.
    pub async fn wait_taken(&self, count: u64) {
        // `self` keeps the sender alive, so the wait cannot fail.
        let _ = self.0.taken.subscribe().wait_for(|taken| *taken >= count).await;
    }

    /// Waits until every due status callback has been posted. A simulated clock must be advanced meanwhile.
    pub async fn wait_callbacks(&self) {
        let _ = self.0.callbacks.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Counts the messages with unreported statuses.
    pub fn callbacks_pending(&self) -> u64 {
        *self.0.callbacks.pending.borrow()
    }

    /// Counts the callbacks that could not be queued because the receiver was too slow. Twilio's are best effort too.
    pub fn callbacks_dropped(&self) -> u64 {
        self.0.callbacks.dropped()
    }

    /// Stores a customer's message without posting a webhook.
    pub fn add_inbound(&self, inbound: Inbound) -> Message {
        let now = self.0.clock.now();
        let sid = inbound.sid.unwrap_or_else(|| self.new_sid(if inbound.media.is_empty() { "SM" } else { "MM" }));
        let account = inbound.account.unwrap_or_else(|| self.0.account_sid.clone());
        let mut message = Message::new(sid, account, Direction::Inbound, now);
        self.0.consent.record(&inbound.from, &inbound.to, &inbound.body, now);
        message.messaging_service_sid = inbound.service;
        (message.from, message.to) = (Some(inbound.from), inbound.to);
        (message.body, message.media_urls) = (inbound.body, inbound.media);
        self.0.push(message)
    }

    /// Activates a fault; refused beyond [`faults::FAULTS_MAX`].
    pub fn add_fault(&self, fault: Fault) -> Result<(), faults::FaultError> {
        self.0.faults.add(fault)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    pub(super) fn new_sid(&self, prefix: &str) -> String {
        self.0.new_sid(prefix)
    }

    pub(super) fn authenticates(&self, account: &str, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        self.0.accounts.get(account).is_some_and(|known| given == Some(known.authorization.as_bytes()))
    }

    /// Returns the account of a request's credentials, for paths without an account.
    pub(super) fn account_of(&self, headers: &HeaderMap) -> Option<String> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)?;
        let mut accounts = self.0.accounts.iter();
        accounts.find(|(_, known)| known.authorization.as_bytes() == given).map(|(sid, _)| sid.clone())
    }

    /// Returns the answer of a fault that strikes a read.
    pub(super) async fn fail_read(&self, account: &str) -> Option<Response> {
        let request_faults = self.0.faults.draw(On::List, account, &self.0.random);
        answer::fail_before(request_faults.answer).await
    }

    pub(super) fn may_send(&self, account: &str, from: &str) -> bool {
        self.0.numbers.owns(account, from) || from == validate::TEST_SENDER
    }
}

impl Inner {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock()
    }

    pub(super) fn push(&self, message: Message) -> Message {
        let message = self.store().push(message);
        self.changed(message.seq);
        message
    }

    pub(super) fn change(&self, sid: &str, change: impl FnOnce(&mut Message)) -> Option<Message> {
        let changed = self.store().change(sid, self.clock.now(), change)?;
        self.changed(changed.seq);
        Some(changed)
    }

    /// Changes a message's status; `None` if the message has another one than `is`.
    pub(super) fn change_if(&self, sid: &str, is: DeliveryStatus, becomes: DeliveryStatus) -> Option<Message> {
        let mut store = self.store();
        store.find(sid).filter(|message| message.status == is)?;
        let changed = store.change(sid, self.clock.now(), |message| message.status = becomes)?;
        drop(store);
        self.changed(changed.seq);
        Some(changed)
    }

    pub(super) fn remove(&self, sid: &str) {
        self.store().remove(sid);
    }

    pub(super) fn changed(&self, seq: u64) {
        self.changes.send_modify(|last| *last = seq.max(*last));
    }

    /// Returns the emulator's base URL, for example `http://127.0.0.1:8010`; Twilio's before the first request.
    pub(super) fn base(&self) -> String {
        let known = self.base.lock().clone();
        if known.is_empty() { "https://api.twilio.com".to_owned() } else { known }
    }

    pub(super) fn new_sid(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}{:016x}", self.random.next_u64(), self.random.next_u64())
    }
}

/// Binds a listener for the emulator; refuses addresses other than loopback.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let why = "the carrier listens on a loopback address only, such as 127.0.0.1:8010";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
    }
    TcpListener::bind(address).await
}
