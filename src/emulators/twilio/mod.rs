//! An emulator of Twilio's REST API, for trying Recado out and for tests: messages, calls, numbers, templates.
//!
//! It answers like Twilio (<https://www.twilio.com/docs/messaging/api/message-resource>), calls webhooks and reports
//! deliveries with signed requests, respects the consent of customers, and has faults on demand ([`faults`]).
//!
//! | Route | |
//! |---|---|
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/Messages.json` | create, list |
//! | `GET`, `POST`, `DELETE /2010-04-01/Accounts/{sid}/Messages/{sid}.json` | one message: fetch, redact or cancel, delete |
//! | `GET /2010-04-01/Accounts/{sid}/Messages/{sid}/Media.json` | its media |
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json`, `…/{sid}.json` | numbers, their URLs |
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/Calls.json`, `…/Calls/{sid}.json` | calls: create, list; fetch, end or redirect, delete |
//! | `GET /2010-04-01/Accounts/{sid}/Recordings/{sid}.json`, `….wav` | a recording; its audio is a tone of the same length |
//! | `GET /2010-04-01/Accounts/{sid}/AvailablePhoneNumbers/{country}/Local.json`, `TollFree`, `Mobile` | numbers for sale |
//! | `GET /2010-04-01/Accounts/{sid}.json`, `…/Balance.json` | the account |
//! | `POST`, `GET /v1/Content`, `…/{sid}`, `…/{sid}/ApprovalRequests[/whatsapp]` | templates |
//! | `GET /carrier/numbers` | the numbers that customers can reach |
//! | `POST /carrier/texts` | a customer's message ([`CustomerText`]), with its webhook |
//! | `GET /carrier/feed?customer=…&after=…&wait_ms=…` | new and changed messages: a long poll |
//! | `POST /carrier/messages/{sid}/read` | the customer opens a WhatsApp message |
//! | `POST /carrier/inbound` | a customer's message without a webhook, as if it had been missed: [`Inbound`] |
//! | `POST`, `GET`, `DELETE /carrier/faults` | activate a [`Fault`], list and clear them |
//! | `POST /carrier/calls` | an inbound call ([`CustomerCall`]): requests the number's voice URL |
//! | `GET /carrier/calls?customer=…&after=…&wait_ms=…` | new and changed calls: a long poll |
//! | `GET /carrier/calls/{sid}?after=…&wait_ms=…` | the events of a call ([`CallEvent`]) after a given one: a long poll |
//! | `POST /carrier/calls/{sid}/act` | the person at the phone answers, presses keys, speaks, is silent, hangs up ([`Act`]) |
//! | `GET /carrier/calls/{sid}/streams`, `GET /carrier/streams/{sid}/sound` | a call's media streams; the received audio of one |
//! | `PUT`, `GET`, `DELETE /carrier/parties/{number}` | the script of a called number ([`Party`]) |
//! | `PUT`, `GET /carrier/pace` | calls per second; real time or not ([`Pace`]) |
//!
//! **Architecture invariant:** the emulator calls loopback addresses only. Its own routes need no credentials, so it must
//! listen on loopback only, which [`listen`] enforces.

mod account;
mod answer;
mod available;
mod callbacks;
mod calls;
mod consent;
mod content;
mod control;
pub mod faults;
mod feed;
mod inbound;
mod messages;
mod numbers;
mod store;
#[cfg(test)]
mod tests;
mod twiml;
mod validate;
mod webhook;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::domain::clock::{Clock, Random, Timestamp};
use crate::domain::status::DeliveryStatus;
use crate::integrations::http;

use callbacks::Job;
use calls::Calls;
pub use calls::control::{CallError, CustomerCall};
pub use calls::party::{Act, Party, PicksUp, Step};
pub use calls::{Call, CallDirection, CallEvent, CallLogEntry, CallStatus, HungUpBy, Pace, Sound, StreamRecord};
use consent::Consent;
pub use consent::{SANDBOX, SANDBOX_CODE};
use content::Templates;
use faults::Faults;
pub use faults::{Fault, FaultKind, On};
pub use inbound::{CustomerText, TextChannel, TextError, content_type};
pub use numbers::NumberConfig;
use numbers::Numbers;
use store::Store;
pub use store::{Direction, Message, WebhookOutcome};
pub use validate::check_loopback;

/// Limit of a request's body.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// Limit of inbound webhooks that are posted at once.
const WEBHOOKS_MAX: usize = 256;

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
pub struct Carrier(Arc<Inner>);

struct Inner {
    account_sid: String,
    accounts: HashMap<String, Account>,
    clock: Clock,
    random: Random,
    started_at: Timestamp,
    whatsapp_read: bool,
    strict: bool,
    http: reqwest::Client,
    store: Mutex<Store>,
    /// Number of the last change.
    changes: watch::Sender<u64>,
    numbers: Numbers,
    templates: Templates,
    consent: Consent,
    faults: Faults,
    callbacks: callbacks::Callbacks,
    calls: Calls,
    /// The base URL of the last request, for URLs in answers.
    base: Mutex<String>,
    webhooks: Arc<Semaphore>,
    /// Number of accepted messages since the start.
    taken: watch::Sender<u64>,
}

struct Account {
    token: SecretString,
    /// The expected `Authorization` header.
    authorization: String,
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
        let (queue, jobs) = mpsc::channel::<Job>(callbacks::QUEUE_MAX);
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
            callbacks: callbacks::Callbacks::new(queue, config.callback_delay_ms),
            calls: Calls::new(config.pace),
            base: Mutex::default(),
            webhooks: Arc::new(Semaphore::new(WEBHOOKS_MAX)),
            taken: watch::Sender::new(0),
        }));
        carrier.set_numbers(config.numbers);
        tokio::spawn(callbacks::run(Arc::downgrade(&carrier.0), jobs));
        Ok(carrier)
    }

    pub fn router(&self) -> Router {
        let account = Router::new()
            .route("/{account}", get(account::fetch))
            .route("/{account}/Balance.json", get(account::balance))
            .route("/{account}/Messages.json", post(messages::create).get(messages::list))
            .route(
                "/{account}/Messages/{message}",
                get(messages::fetch).post(messages::update).delete(messages::delete),
            )
            .route("/{account}/Messages/{message}/Media.json", get(messages::media))
            .route("/{account}/AvailablePhoneNumbers/{country}/{kind}", get(available::list))
            .route("/{account}/Calls.json", post(calls::rest::create).get(calls::rest::list))
            .route(
                "/{account}/Calls/{call}",
                get(calls::rest::fetch).post(calls::rest::update).delete(calls::rest::delete),
            )
            .route("/{account}/Recordings/{recording}", get(calls::recordings::fetch))
            .route("/{account}/IncomingPhoneNumbers.json", post(numbers::create).get(numbers::list))
            .route(
                "/{account}/IncomingPhoneNumbers/{number}",
                get(numbers::fetch).post(numbers::update).delete(numbers::delete),
            );
        let content = Router::new()
            .route("/", post(content::create).get(content::list))
            .route("/{sid}", get(content::fetch).delete(content::delete))
            .route("/{sid}/ApprovalRequests", get(content::approvals))
            .route("/{sid}/ApprovalRequests/whatsapp", post(content::submit));
        let twilio = Router::new()
            .nest("/2010-04-01/Accounts", account)
            .nest("/v1/Content", content)
            .layer(middleware::from_fn_with_state(self.clone(), name_request));
        let control = Router::new()
            .route("/carrier/numbers", get(control::numbers))
            .route("/carrier/texts", post(control::text))
            .route("/carrier/feed", get(feed::follow))
            .route("/carrier/messages/{sid}/read", post(control::read))
            .route("/carrier/inbound", post(control::inbound))
            .route(
                "/carrier/faults",
                post(control::order_fault).get(control::show_faults).delete(control::clear_faults),
            )
            .route("/carrier/calls", post(calls::control::begin).get(calls::control::list))
            .route("/carrier/calls/{sid}", get(calls::control::follow))
            .route("/carrier/calls/{sid}/act", post(calls::control::act))
            .route("/carrier/calls/{sid}/streams", get(calls::control::streams))
            .route("/carrier/streams/{sid}/sound", get(calls::control::sound))
            .route(
                "/carrier/parties/{number}",
                get(calls::control::party).put(calls::control::set_party).delete(calls::control::clear_party),
            )
            .route("/carrier/pace", get(calls::control::pace).put(calls::control::set_pace))
            .layer(middleware::from_fn(control::guard));
        twilio
            .merge(control)
            .fallback(|request: Request| async move { answer::not_found(request.uri().path()) })
            .layer(middleware::from_fn_with_state(self.clone(), note_base))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self.clone())
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
        self.0.consent.note(&inbound.from, &inbound.to, &inbound.body, now);
        message.messaging_service_sid = inbound.service;
        (message.from, message.to) = (Some(inbound.from), inbound.to);
        (message.body, message.media_urls) = (inbound.body, inbound.media);
        self.0.push(message)
    }

    /// Activates a fault; refused beyond [`faults::FAULTS_MAX`].
    pub fn add_fault(&self, fault: Fault) -> Result<(), faults::FaultError> {
        self.0.faults.add(fault)
    }

    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    fn new_sid(&self, prefix: &str) -> String {
        self.0.new_sid(prefix)
    }

    fn authenticates(&self, account: &str, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        self.0.accounts.get(account).is_some_and(|known| given == Some(known.authorization.as_bytes()))
    }

    /// Returns the account of a request's credentials, for paths without an account.
    fn account_of(&self, headers: &HeaderMap) -> Option<String> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)?;
        let mut accounts = self.0.accounts.iter();
        accounts.find(|(_, known)| known.authorization.as_bytes() == given).map(|(sid, _)| sid.clone())
    }

    async fn refuse_read(&self, account: &str, headers: &HeaderMap) -> Option<Response> {
        if !self.authenticates(account, headers) {
            return Some(answer::unauthorized());
        }
        let strike = self.0.faults.strike(On::List, account, &self.0.random);
        answer::fail_before(strike.answer).await
    }

    fn may_send(&self, account: &str, from: &str) -> bool {
        self.0.numbers.owns(account, from) || from == validate::TEST_SENDER
    }
}

impl Inner {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock()
    }

    fn push(&self, message: Message) -> Message {
        let message = self.store().push(message);
        self.changed(message.seq);
        message
    }

    fn change(&self, sid: &str, change: impl FnOnce(&mut Message)) -> Option<Message> {
        let changed = self.store().change(sid, self.clock.now(), change)?;
        self.changed(changed.seq);
        Some(changed)
    }

    /// Changes a message's status; `None` if the message has another one than `is`.
    fn change_if(&self, sid: &str, is: DeliveryStatus, becomes: DeliveryStatus) -> Option<Message> {
        let mut store = self.store();
        store.find(sid).filter(|message| message.status == is)?;
        let changed = store.change(sid, self.clock.now(), |message| message.status = becomes)?;
        drop(store);
        self.changed(changed.seq);
        Some(changed)
    }

    fn remove(&self, sid: &str) {
        self.store().remove(sid);
    }

    fn changed(&self, seq: u64) {
        self.changes.send_modify(|last| *last = seq.max(*last));
    }

    /// Returns the emulator's base URL, for example `http://127.0.0.1:8010`; Twilio's before the first request.
    fn base(&self) -> String {
        let known = self.base.lock().clone();
        if known.is_empty() { "https://api.twilio.com".to_owned() } else { known }
    }

    fn new_sid(&self, prefix: &str) -> String {
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

/// Every answer names its request, as Twilio's do.
async fn name_request(
    axum::extract::State(carrier): axum::extract::State<Carrier>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&carrier.new_sid("RQ")) {
        response.headers_mut().insert("Twilio-Request-Id", id);
    }
    response
}

/// Stores the base URL of the request.
async fn note_base(
    axum::extract::State(carrier): axum::extract::State<Carrier>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(host) = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()) {
        let mut base = carrier.0.base.lock();
        if base.strip_prefix("http://") != Some(host) {
            *base = format!("http://{host}");
        }
    }
    next.run(request).await
}

/// Formats a time for the 2010 API.
fn rfc2822(at: Timestamp) -> String {
    at.to_utc().to_rfc2822()
}
