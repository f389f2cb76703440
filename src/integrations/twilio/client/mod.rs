//! Twilio's REST API: create, list and fetch messages and calls; ask how an account, its numbers and templates are set up;
//! find, buy, configure and release numbers.
//!
//! The base URL is handed in, so that tests and the built-in carrier stand where Twilio stands. Nothing is retried here,
//! neither by us nor by the HTTP client: whether to is the ledger's decision, and the errors say what it must know.
//! Tokens are never logged.

mod account;
mod calls;
mod create;
mod list;
mod lookup;
mod market;
mod numbers;
mod whatsapp;

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

pub use account::{AccountResource, Balance};
pub use calls::{CallFilter, CallRecording, CallResource, CallUpdate, Instructions, NewCall, RecordingChannels};
pub use create::{Created, From, NewMessage, SendError};
pub use list::{Filter, ListError, Listing, Medium, MessageResource, Rest};
pub use lookup::{Answered, LookupError};
pub use market::{AvailableNumber, NumberKind, NumberSettings, Search};
pub use numbers::{Capabilities, IncomingNumber, MessagingService, Numbers};
pub use whatsapp::{Approval, Content, OfflineReason, Sender, SenderWebhook};

/// For a connection, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole request, from the connection to the last byte of the answer, however slowly those come.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Twilio closes idle connections; a request that meets a closing one is lost, so ours are closed earlier.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
pub const POOL_IDLE_MAX: usize = 1024;
/// Of the answer to one message.
pub const BODY_MAX_BYTES: usize = 256 * 1024;
/// Of one page of a list: a thousand messages of 1,600 letters and their fields.
pub const PAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Of what an error's text keeps from Twilio's answer.
const MESSAGE_MAX_CHARS: usize = 300;
/// Longer waits than this are not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// An account and the token that is both its password and the key of its webhooks' signatures.
#[derive(Clone, Debug)]
pub struct Account {
    /// `AC…`
    pub sid: String,
    pub token: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("'{0}' cannot be Twilio's base URL: write scheme and host, such as https://api.twilio.com")]
    BadBase(String),
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[from] reqwest::Error),
}

/// The HTTP client as Twilio wants it: HTTP/1.1 with kept connections, no redirects, no retries, ring for TLS.
pub fn http() -> Result<reqwest::Client, ClientError> {
    http_connecting_within(CONNECT_TIMEOUT)
}

/// The same with another limit for connecting.
pub fn http_connecting_within(limit: Duration) -> Result<reqwest::Client, ClientError> {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(limit)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("recado/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Cheap to clone: clones share their connections. The caller bounds how many requests are in flight.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    deadline: Duration,
}

impl Client {
    /// `http` from [`http`]; `base` without a path, such as `https://api.twilio.com`.
    pub fn new(http: reqwest::Client, base: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadBase(base.chars().take(100).collect());
        let url = Url::parse(base).map_err(|_| bad())?;
        let plain = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
        if plain { Ok(Self { http, base: url, deadline: DEADLINE }) } else { Err(bad()) }
    }

    /// Another deadline than [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// `…/2010-04-01/Accounts/{sid}/{path}`, each part escaped.
    fn url(&self, account: &Account, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(["2010-04-01", "Accounts", &account.sid]).extend(path);
        }
        url
    }

    /// Sends and reads within the deadline. An answer whose head came is an answer, even if its body is lost.
    async fn call(&self, account: &Account, request: RequestBuilder, max_bytes: usize) -> Result<Answer, Lost> {
        let deadline = Instant::now() + self.deadline;
        let request = request.basic_auth(&account.sid, Some(account.token.expose_secret()));
        let mut response = match timeout_at(deadline, request.send()).await {
            Err(_) => return Err(Lost::Unknown(format!("no answer within {} s", self.deadline.as_secs_f32()))),
            Ok(Err(error)) if error.is_connect() || error.is_builder() => return Err(Lost::NotSent(why(error))),
            Ok(Err(error)) => return Err(Lost::Unknown(why(error))),
            Ok(Ok(response)) => response,
        };
        let (retry_after, date) = (retry_after(response.headers()), date(response.headers()));
        let body = match timeout_at(deadline, read_body(&mut response, max_bytes)).await {
            Err(_) => Err("the answer did not end in time".to_owned()),
            Ok(body) => body,
        };
        Ok(Answer { status: response.status(), retry_after, date, body })
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// Twilio's own time, to the second.
    date: Option<DateTime<Utc>>,
    /// Else why it could not be read.
    body: Result<Vec<u8>, String>,
}

impl Answer {
    /// Twilio's error in the body, if that is one.
    fn api_error(&self) -> Option<ApiError> {
        let body = self.body.as_ref().ok()?;
        let mut error: ApiError = serde_json::from_slice(body).ok()?;
        if let Some((at, _)) = error.message.char_indices().nth(MESSAGE_MAX_CHARS) {
            error.message.truncate(at);
        }
        Some(error)
    }
}

/// Why nothing came back.
enum Lost {
    NotSent(String),
    Unknown(String),
}

/// `{"code": 21211, "message": "…", "more_info": "…", "status": 400}`
#[derive(Deserialize)]
struct ApiError {
    code: Option<u32>,
    message: String,
}

/// A whole body of at most `max_bytes`.
pub async fn read_body(response: &mut reqwest::Response, max_bytes: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(format!("the answer is longer than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost cause, without the URL.
pub fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn date(headers: &header::HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}

/// Seconds, or a date, which is taken as relative to the answer's own (RFC 9110).
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    let value = text(header::RETRY_AFTER)?;
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?;
            (until.to_utc() - date(headers)?).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
