//! Errors of the chat model.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::domain::plain::is_plain;

/// Longer waits count as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Limit of the server's message in an error.
const MESSAGE_MAX_CHARS: usize = 300;

/// No text contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    #[error("no conversation model is set up: set OPENAI_API_KEY")]
    NotConfigured,
    #[error("'{0}' cannot be the chat API's base URL: write one such as https://api.openai.com/v1 in OPENAI_BASE_URL")]
    BadBase(String),
    /// The request is invalid and was not sent.
    #[error("the conversation model was not asked: {0}")]
    Unfit(&'static str),
    #[error("the chat API refuses the key: check OPENAI_API_KEY")]
    Unauthorized,
    /// Holds the wait that the server asks for, if it gives one.
    #[error("the chat API is asked too often{}", after(.0))]
    RateLimited(Option<Duration>),
    #[error("the conversation model did not answer within {} s: try again, or choose a quicker OPENAI_MODEL", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the chat API refused with {status} ({message}): check OPENAI_MODEL and the account")]
    Refused { status: u16, message: String },
    #[error("the chat API cannot be reached ({0}): check OPENAI_BASE_URL and the network")]
    Lost(String),
    /// The answer does not follow the API.
    #[error("the conversation model's answer cannot be used: {0}; ask again")]
    Garbled(String),
}

fn after(wait: &Option<Duration>) -> String {
    wait.map_or_else(|| ": wait a moment".to_owned(), |wait| format!(": wait {} s", wait.as_secs_f32()))
}

/// `{"error": {"message": "…", "type": "…", "code": "insufficient_quota"}}`
#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Detail,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    message: String,
    /// A text if its meaning is known; some servers write numbers.
    code: serde_json::Value,
}

/// Turns an error status and its body into an error.
pub fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], key: &SecretString) -> ChatError {
    let detail = serde_json::from_slice::<Body>(body).unwrap_or_default().error;
    match status {
        StatusCode::UNAUTHORIZED => ChatError::Unauthorized,
        // An account without credit answers 429 as well, and waiting does not help.
        StatusCode::TOO_MANY_REQUESTS if detail.code != "insufficient_quota" => {
            ChatError::RateLimited(retry_after(headers))
        }
        _ => ChatError::Refused { status: status.as_u16(), message: shown(&detail.message, key) },
    }
}

/// Shortens the server's message for display: one line, without the key, which some servers repeat.
fn shown(message: &str, key: &SecretString) -> String {
    let hidden = message.replace(key.expose_secret(), "••••");
    hidden.chars().map(|c| if is_plain(c) { c } else { ' ' }).take(MESSAGE_MAX_CHARS).collect()
}

/// Reads seconds. RFC 9110 also allows a date, which no such server is known to send.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(RETRY_AFTER_MAX))
}
