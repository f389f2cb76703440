//! The connection to the carrier: requests, and the tasks that make them beside the screen.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::wire::{CallAct, CallSnapshot, Calls, Message, Number, Page, Taken, Text};
use crate::app::CARRIER_BASE;
use crate::cli::text;
use crate::domain::Clock;
use crate::domain::phone::Phone;
use crate::integrations::http;
use crate::integrations::twilio::client::PAGE_MAX_BYTES;
use crate::store::Store;

/// The time limit of one response, on top of the time that it was asked to wait.
const DEADLINE: Duration = Duration::from_secs(10);
/// The time that a long poll waits at the carrier.
const FEED_WAIT: Duration = Duration::from_secs(20);
/// The messages of a full page; more follow.
pub const PAGE_MAX: usize = 200;
/// The pause between two tries while the carrier is away.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// The pause before the next request after an empty response.
const EMPTY_RESPONSE_PAUSE: Duration = Duration::from_millis(50);
/// The most waiting jobs.
const JOBS_MAX: usize = 256;
/// The most waiting updates.
const UPDATES_MAX: usize = 256;
/// The part of a refusal's text that is shown.
const REASON_MAX_CHARS: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error(
        "nothing answers at {base} ({cause}): start 'recado serve' (or 'cargo run --release') first, or give --carrier URL"
    )]
    Away { base: String, cause: String },
    #[error("the carrier answered {status}: {reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("no answer came from the carrier ({0}): whether it took this is not known")]
    Lost(String),
}

/// A client of the carrier's control routes.
pub struct Carrier {
    http: reqwest::Client,
    base: Mutex<Url>,
    /// The server's store. It holds the carrier's address after a restart.
    store: Option<Store>,
}

impl Carrier {
    pub fn new(http: reqwest::Client, base: Url, store: Option<Store>) -> Self {
        Self { http, base: Mutex::new(base), store }
    }

    pub async fn numbers(&self) -> Result<Vec<Number>, NetError> {
        self.call(self.request(Method::GET, &["numbers"]), DEADLINE).await
    }

    pub async fn text(&self, text: &Text) -> Result<Message, NetError> {
        let taken: Taken = self.call(self.request(Method::POST, &["texts"]).json(text), DEADLINE).await?;
        Ok(taken.message)
    }

    /// The customer's messages after `after`; waits up to `wait` for one.
    pub async fn feed(&self, customer: &Phone, after: u64, wait: Duration) -> Result<Page, NetError> {
        let query = [("after", after), ("wait_ms", wait.as_millis() as u64)];
        let request = self.request(Method::GET, &["feed"]).query(&[("customer", customer.as_str())]).query(&query);
        self.call(request, wait + DEADLINE).await
    }

    /// Reports that the customer has read a message.
    pub async fn read(&self, sid: &str) -> Result<(), NetError> {
        let request = self.request(Method::POST, &["messages", sid, "read"]);
        self.send(request, DEADLINE).await.map(drop)
    }

    /// Calls a number; the user answers for the caller.
    pub async fn call_number(&self, from: &str, to: &str) -> Result<CallSnapshot, NetError> {
        let call = serde_json::json!({"from": from, "to": to, "live": true});
        self.call(self.request(Method::POST, &["calls"]).json(&call), DEADLINE).await
    }

    /// Returns the call events after an entry; waits up to `wait` for one.
    pub async fn follow(&self, sid: &str, after: u64, wait: Duration) -> Result<CallSnapshot, NetError> {
        let query = [("after", after), ("wait_ms", wait.as_millis() as u64)];
        self.call(self.request(Method::GET, &["calls", sid]).query(&query), wait + DEADLINE).await
    }

    /// The customer's calls that arrived or changed after `after`; waits up to `wait` for one.
    pub async fn calls(&self, customer: &Phone, after: u64, wait: Duration) -> Result<Calls, NetError> {
        let query = [("after", after), ("wait_ms", wait.as_millis() as u64)];
        let request = self.request(Method::GET, &["calls"]).query(&[("customer", customer.as_str())]).query(&query);
        self.call(request, wait + DEADLINE).await
    }

    pub async fn act(&self, sid: &str, act: &CallAct) -> Result<(), NetError> {
        self.send(self.request(Method::POST, &["calls", sid, "act"]).json(act), DEADLINE).await.map(drop)
    }

    /// Makes calls to the customer ring here, or be answered automatically again.
    pub async fn set_live(&self, customer: &Phone, live: bool) -> Result<(), NetError> {
        let path = ["parties", customer.as_str()];
        let request = if live {
            self.request(Method::PUT, &path).json(&serde_json::json!({"picks_up": "live"}))
        } else {
            self.request(Method::DELETE, &path)
        };
        self.send(request, DEADLINE).await.map(drop)
    }

    /// Looks up the carrier's address again: a restarted server may use another.
    async fn refresh_base(&self) {
        let Some(store) = &self.store else { return };
        let found = store.setting(CARRIER_BASE).await.ok().flatten();
        if let Some(base) = found.and_then(|base| loopback(&base).ok()) {
            *self.base.lock() = base;
        }
    }

    fn base(&self) -> Url {
        self.base.lock().clone()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("carrier").extend(path);
        }
        self.http.request(method, url)
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, within: Duration) -> Result<T, NetError> {
        let body = self.send(request, within).await?;
        serde_json::from_slice(&body).map_err(|error| NetError::Lost(format!("its answer makes no sense: {error}")))
    }

    async fn send(&self, request: RequestBuilder, within: Duration) -> Result<Vec<u8>, NetError> {
        let mut response = match request.timeout(within).send().await {
            Err(error) if error.is_connect() => {
                let base = self.base().to_string();
                return Err(NetError::Away { base, cause: http::describe(error) });
            }
            Err(error) => return Err(NetError::Lost(http::describe(error))),
            Ok(response) => response,
        };
        let status = response.status();
        let body = http::read_body(&mut response, PAGE_MAX_BYTES).await;
        if status.is_success() {
            return body.map_err(|error| NetError::Lost(error.to_string()));
        }
        let said = body.unwrap_or_default();
        Err(NetError::Refused { status, reason: text::short(&String::from_utf8_lossy(&said), REASON_MAX_CHARS) })
    }
}

/// Parses a carrier's base URL. It must be HTTP on this machine, because the carrier does not authenticate.
pub fn loopback(base: &str) -> Result<Url, String> {
    let bad = || format!("'{}' is no carrier on this machine: write http://127.0.0.1:PORT", text::short(base, 80));
    let url = Url::parse(base).map_err(|_| bad())?;
    let here = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        None => false,
    };
    let plain = url.scheme() == "http" && url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if here && plain { Ok(url) } else { Err(bad()) }
}

/// Something that happened at the carrier.
#[derive(Debug)]
pub enum Update {
    Messages {
        customer: Phone,
        messages: Vec<Message>,
        /// The messages existed before the start.
        history: bool,
    },
    Numbers(Vec<Number>),
    /// The carrier accepted the text with this id.
    Taken(u64, Box<Message>),
    /// The carrier refused the text with this id; it is not sent again.
    NotTaken(u64, String),
    Away,
    Back,
}

/// A request to the carrier; requests are made in order.
#[derive(Debug)]
pub enum Job {
    Text(u64, Box<Text>),
    Read(String),
    Numbers,
}

/// The tasks that send and poll. They end when this is dropped.
pub struct Connection {
    carrier: Arc<Carrier>,
    clock: Clock,
    updates: mpsc::Sender<Update>,
    jobs: mpsc::Sender<Job>,
    tasks: JoinSet<()>,
}

impl Connection {
    pub fn new(carrier: Arc<Carrier>, clock: Clock) -> (Self, mpsc::Receiver<Update>) {
        let (updates, receiver) = mpsc::channel(UPDATES_MAX);
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(work(carrier.clone(), clock.clone(), queue, updates.clone()));
        (Self { carrier, clock, updates, jobs, tasks }, receiver)
    }

    /// Follows a customer's messages, from the oldest that the carrier keeps.
    pub fn watch(&mut self, customer: Phone) {
        self.tasks.spawn(watch(self.carrier.clone(), self.clock.clone(), customer, self.updates.clone()));
    }

    /// Queues a job; returns it where too many wait.
    pub fn queue(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Waits until a task has ended, which happens only by a fault.
    pub async fn broken(&mut self) {
        self.tasks.join_next().await;
    }
}

/// Does the jobs one after the other. A text waits for the carrier; it is sent again only if it cannot have arrived.
async fn work(carrier: Arc<Carrier>, clock: Clock, mut jobs: mpsc::Receiver<Job>, updates: mpsc::Sender<Update>) {
    while let Some(job) = jobs.recv().await {
        let update = match job {
            Job::Text(id, text) => loop {
                match carrier.text(&text).await {
                    Ok(message) => break Update::Taken(id, Box::new(message)),
                    Err(NetError::Away { .. }) => {
                        let _ = updates.send(Update::Away).await;
                        clock.sleep(RETRY_EVERY).await;
                        carrier.refresh_base().await;
                    }
                    Err(error) => break Update::NotTaken(id, error.to_string()),
                }
            },
            Job::Read(sid) => {
                // The read mark is optional, so an error is ignored.
                let _ = carrier.read(&sid).await;
                continue;
            }
            Job::Numbers => match carrier.numbers().await {
                Ok(numbers) => Update::Numbers(numbers),
                Err(_) => continue,
            },
        };
        // The phone may have been closed.
        let _ = updates.send(update).await;
    }
}

async fn watch(carrier: Arc<Carrier>, clock: Clock, customer: Phone, updates: mpsc::Sender<Update>) {
    let (mut after, mut history, mut away) = (0, true, false);
    loop {
        let wait = if history || away { Duration::ZERO } else { FEED_WAIT };
        let Ok(page) = carrier.feed(&customer, after, wait).await else {
            away = true;
            let _ = updates.send(Update::Away).await;
            clock.sleep(RETRY_EVERY).await;
            carrier.refresh_base().await;
            // The carrier may have restarted and count from the start. Messages are recognized by their SIDs.
            after = 0;
            continue;
        };
        if std::mem::take(&mut away) {
            let _ = updates.send(Update::Back).await;
        }
        let (last, full) = (page.messages.last().map(|message| message.seq), page.messages.len() >= PAGE_MAX);
        if last.is_none() && !history {
            clock.sleep(EMPTY_RESPONSE_PAUSE).await;
        }
        let messages = page.messages;
        after = last.unwrap_or(page.seq);
        let update = Update::Messages { customer: customer.clone(), messages, history };
        history &= full;
        if updates.send(update).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called() {
        for good in ["http://127.0.0.1:8010", "http://localhost:8010/", "http://[::1]:80", "http://127.3.2.1:9"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:8010",
            "https://127.0.0.1:1",
            "http://example.com",
            "http://10.0.0.7:8010",
            "http://127.0.0.1.example.com",
            "http://a@127.0.0.1",
            "http://127.0.0.1/x",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }
}
