//! A client for conversation models with OpenAI's chat API
//! (<https://platform.openai.com/docs/api-reference/chat/create>), which many servers copy: one request, one answer,
//! not streamed.
//!
//! [`Chat::ask`] makes one attempt and never repeats it; the caller knows how long a person on the line can wait. The
//! model's answer is untrusted, like the words of the caller: it is bounded, and tool calls are parsed before anything
//! uses them. Without a key, every request is [`ChatError::NotConfigured`].

mod digest;
mod error;
#[cfg(test)]
mod tests;
mod turn;
mod wire;

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::timeout;

pub use digest::{Digest, SUMMARY_LINE_MAX_CHARS, SUMMARY_LINES_MAX, Sentiment, TRANSCRIPT_MAX_BYTES};
pub use error::ChatError;
pub use turn::{Tool, ToolCall, Turn};

use crate::integrations::http;

/// Limit of an answer on the wire.
pub const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Limit of the model's text.
pub const TEXT_MAX_BYTES: usize = 16 * 1024;
/// Limit of one tool call's arguments, as JSON.
pub const ARGUMENTS_MAX_BYTES: usize = 16 * 1024;
/// Limit of tool calls in one answer.
pub const CALLS_MAX: usize = 16;
/// Limit of turns in a request; older turns are left out.
pub const HISTORY_MAX_TURNS: usize = 100;
/// Limit of the text of those turns, together.
pub const HISTORY_MAX_BYTES: usize = 64 * 1024;
/// Limit of the instructions.
pub const SYSTEM_MAX_BYTES: usize = 32 * 1024;
/// Limit of offered tools.
pub const TOOLS_MAX: usize = 64;

/// A request to the model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Instructions: the model's role and behavior.
    pub system: &'a str,
    /// The conversation, oldest turn first. Turns beyond [`HISTORY_MAX_TURNS`] and [`HISTORY_MAX_BYTES`] are left out,
    /// oldest first.
    pub messages: &'a [Turn],
    pub tools: &'a [Tool],
    /// Limit of the answer; `None` uses the server's limit.
    pub max_tokens: Option<u32>,
    /// From 0 to 2; `None` uses the model's default. Some models accept no other.
    pub temperature: Option<f32>,
}

/// The model's answer: a text, tool calls, or both; never neither.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    pub calls: Vec<ToolCall>,
    /// `max_tokens` cut the answer off.
    pub cut: bool,
}

impl From<Answer> for Turn {
    fn from(answer: Answer) -> Self {
        Self::Assistant { text: answer.text, calls: answer.calls }
    }
}

/// The client. Clones are cheap and share their connections. The caller limits the number of concurrent requests.
#[derive(Clone, Debug)]
pub struct Chat {
    http: reqwest::Client,
    url: Url,
    key: Option<SecretString>,
    model: String,
}

impl Chat {
    /// Creates a client. `http` must not follow redirects, which would send the key elsewhere; `base` is for example
    /// `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`ChatError::BadBase`].
    pub fn new(
        http: reqwest::Client,
        base: &str,
        key: Option<SecretString>,
        model: impl Into<String>,
    ) -> Result<Self, ChatError> {
        let bad = || ChatError::BadBase(base.chars().take(100).collect());
        let url = Url::parse(&format!("{}/chat/completions", base.trim_end_matches('/'))).map_err(|_| bad())?;
        let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
        if plain { Ok(Self { http, url, key, model: model.into() }) } else { Err(bad()) }
    }

    /// True if there is a key; otherwise every request is [`ChatError::NotConfigured`].
    pub const fn is_configured(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Makes one attempt, from the connection to the last byte of the answer within `deadline`.
    ///
    /// # Errors
    /// [`ChatError`], by what the caller can do next.
    pub async fn ask(&self, request: Request<'_>, deadline: Duration) -> Result<Answer, ChatError> {
        check(&request)?;
        let body = wire::body(&self.model, &request, self.is_openai());
        wire::answer(&self.call(&body, deadline).await?)
    }

    /// Returns the body of a 200.
    async fn call(&self, body: &Value, deadline: Duration) -> Result<Vec<u8>, ChatError> {
        let key = self.key.as_ref().ok_or(ChatError::NotConfigured)?;
        let whole = async {
            let request = self.http.post(self.url.clone()).bearer_auth(key.expose_secret()).json(body);
            let mut response = request.send().await.map_err(|error| ChatError::Lost(http::describe(error)))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = http::read_body(&mut response, ANSWER_MAX_BYTES).await;
            if status.is_success() {
                body.map_err(|error| ChatError::Garbled(error.to_string()))
            } else {
                Err(error::refusal(status, &headers, &body.unwrap_or_default(), key))
            }
        };
        timeout(deadline, whole).await.unwrap_or(Err(ChatError::TimedOut(deadline)))
    }

    /// True for OpenAI's own server: its newer models know only the newer name of the token limit.
    fn is_openai(&self) -> bool {
        self.url.host_str() == Some("api.openai.com")
    }
}

/// Refuses requests that no server accepts, or that would be unexpectedly expensive.
fn check(request: &Request<'_>) -> Result<(), ChatError> {
    let unfit = |what| Err(ChatError::Unfit(what));
    if request.system.len() > SYSTEM_MAX_BYTES {
        return unfit("the instructions are longer than 32 KiB: shorten them");
    }
    if request.tools.len() > TOOLS_MAX {
        return unfit("there are more than 64 tools: offer fewer");
    }
    if turn::recent(request.messages).is_empty() {
        return unfit("there is nothing to answer, or the last turn is longer than 64 KiB: shorten it");
    }
    Ok(())
}
