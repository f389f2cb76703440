//! A client for Twilio's REST API: messages, calls, account, numbers, templates.
//!
//! The base URL is a parameter, so that tests and the built-in emulator can take Twilio's place. The client never
//! retries: that is the ledger's decision, and the errors tell what it must know. Tokens are never logged.

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
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::integrations::http;
use crate::integrations::http::DEADLINE;

pub use account::{AccountResource, Balance};
pub use calls::{CallFilter, CallList, CallResource, CallUpdate, Instructions, NewCall};
pub use create::{Created, From, NewMessage, SendError};
pub use list::{ListError, MessageFilter, MessageList, MessageMedia, MessageResource, NextPage};
pub use lookup::{Answered, LookupError};
pub use market::{AvailableNumber, NumberKind, NumberSettings, Search};
pub use numbers::{Capabilities, IncomingNumber, MessagingService, Numbers};
pub use whatsapp::{Approval, Content, OfflineReason, Sender, SenderWebhook};

/// Limit of the answer to one request.
pub const BODY_MAX_BYTES: usize = 256 * 1024;
/// Limit of one page of a list: a thousand messages of 1,600 characters and their fields.
pub const PAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Limit of Twilio's message in an error.
const MESSAGE_MAX_CHARS: usize = 300;

/// An account and its token, which is its password and the key of its webhook signatures.
#[derive(Clone, Debug)]
pub struct Account {
    /// `AC…`
    pub sid: String,
    pub token: SecretString,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("'{0}' cannot be Twilio's base URL: write scheme and host, such as https://api.twilio.com")]
    BadBase(String),
}

/// Clones are cheap and share their connections. The caller limits the number of concurrent requests.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    deadline: Duration,
}

impl Client {
    /// Creates a client. `http` comes from [`http::client`]; `base` has no path, for example `https://api.twilio.com`.
    pub fn new(http: reqwest::Client, base: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadBase(base.chars().take(100).collect());
        let url = Url::parse(base).map_err(|_| bad())?;
        let plain = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
        if plain { Ok(Self { http, base: url, deadline: DEADLINE }) } else { Err(bad()) }
    }

    /// Replaces the default deadline, [`DEADLINE`].
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

    /// Sends a request and reads the answer within the deadline. An answer counts once its head is read, even if its
    /// body is lost.
    async fn call(
        &self,
        account: &Account,
        request: RequestBuilder,
        max_bytes: usize,
    ) -> Result<Answer, RequestFailure> {
        let deadline = Instant::now() + self.deadline;
        let request = request.basic_auth(&account.sid, Some(account.token.expose_secret()));
        let mut response = match timeout_at(deadline, request.send()).await {
            Err(_) => {
                return Err(RequestFailure::Unknown(format!("no answer within {} s", self.deadline.as_secs_f32())));
            }
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Err(RequestFailure::NotSent(http::describe(error)));
            }
            Ok(Err(error)) => return Err(RequestFailure::Unknown(http::describe(error))),
            Ok(Ok(response)) => response,
        };
        let (retry_after, date) = (http::retry_after(response.headers()), http::date(response.headers()));
        let body = match timeout_at(deadline, http::read_body(&mut response, max_bytes)).await {
            Err(_) => Err("the answer did not end in time".to_owned()),
            Ok(body) => body.map_err(|error| error.to_string()),
        };
        Ok(Answer { status: response.status(), retry_after, date, body })
    }
}

/// An answer of Twilio.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// Twilio's time, to the second.
    date: Option<DateTime<Utc>>,
    /// The body, or why it could not be read.
    body: Result<Vec<u8>, String>,
}

impl Answer {
    /// Returns Twilio's error in the body, if there is one.
    fn api_error(&self) -> Option<ApiError> {
        let body = self.body.as_ref().ok()?;
        let mut error: ApiError = serde_json::from_slice(body).ok()?;
        if let Some((at, _)) = error.message.char_indices().nth(MESSAGE_MAX_CHARS) {
            error.message.truncate(at);
        }
        Some(error)
    }
}

/// Why there is no answer.
enum RequestFailure {
    NotSent(String),
    Unknown(String),
}

/// `{"code": 21211, "message": "…", "more_info": "…", "status": 400}`
#[derive(Deserialize)]
struct ApiError {
    code: Option<u32>,
    message: String,
}
