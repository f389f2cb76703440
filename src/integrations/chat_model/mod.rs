//! A conversation model, over the chat API that OpenAI has and many servers copy
//! (<https://platform.openai.com/docs/api-reference/chat/create>): one request, one answer, not streamed.
//!
//! [`Chat::ask`] makes one attempt and never repeats one: how long a caller on the line can wait is known above. What the
//! model says is as hostile as what the caller said: it is bounded, and tool calls are parsed before anybody sees them.
//! Without a key there is no model: [`ChatError::NotConfigured`], and callers do without.

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

use crate::integrations::twilio::client::{read_body, why};

/// Of an answer, as it comes over the wire.
pub const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Of what the model says.
pub const TEXT_MAX_BYTES: usize = 16 * 1024;
/// Of one tool call's arguments, as JSON.
pub const ARGUMENTS_MAX_BYTES: usize = 16 * 1024;
/// Tool calls in one answer.
pub const CALLS_MAX: usize = 16;
/// Turns of a conversation that the model is shown: the latest.
pub const HISTORY_MAX_TURNS: usize = 100;
/// Text of those turns, together.
pub const HISTORY_MAX_BYTES: usize = 64 * 1024;
/// Of the instructions.
pub const SYSTEM_MAX_BYTES: usize = 32 * 1024;
pub const TOOLS_MAX: usize = 64;

/// What the model is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Who the model is and how it behaves.
    pub system: &'a str,
    /// The conversation, the oldest first; beyond [`HISTORY_MAX_TURNS`] and [`HISTORY_MAX_BYTES`] the oldest are left out.
    pub messages: &'a [Turn],
    pub tools: &'a [Tool],
    /// Of the answer; `None` is the server's own limit.
    pub max_tokens: Option<u32>,
    /// 0 to 2; `None` is the model's own, and some take no other.
    pub temperature: Option<f32>,
}

/// What the model wants: something said, tools called, or both; never neither.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    pub calls: Vec<ToolCall>,
    /// It was cut off by `max_tokens`.
    pub cut: bool,
}

impl From<Answer> for Turn {
    fn from(answer: Answer) -> Self {
        Self::Assistant { text: answer.text, calls: answer.calls }
    }
}

/// The client. Cheap to clone: clones share their connections. The caller bounds how many requests are in flight.
#[derive(Clone, Debug)]
pub struct Chat {
    http: reqwest::Client,
    url: Url,
    key: Option<SecretString>,
    model: String,
}

impl Chat {
    /// `http` follows no redirects, which would take the key elsewhere; `base` is such as `https://api.openai.com/v1`.
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

    /// Whether there is a key; else every request is [`ChatError::NotConfigured`].
    pub const fn is_configured(&self) -> bool {
        self.key.is_some()
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    /// One attempt, from the connection to the last byte of the answer within `deadline`.
    ///
    /// # Errors
    /// Sorted by what may be done next; see [`ChatError`].
    pub async fn ask(&self, request: Request<'_>, deadline: Duration) -> Result<Answer, ChatError> {
        check(&request)?;
        let body = wire::body(&self.model, &request, self.is_openai());
        wire::answer(&self.call(&body, deadline).await?)
    }

    /// The bytes of a 200.
    async fn call(&self, body: &Value, deadline: Duration) -> Result<Vec<u8>, ChatError> {
        let key = self.key.as_ref().ok_or(ChatError::NotConfigured)?;
        let whole = async {
            let request = self.http.post(self.url.clone()).bearer_auth(key.expose_secret()).json(body);
            let mut response = request.send().await.map_err(|error| ChatError::Lost(why(error)))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read_body(&mut response, ANSWER_MAX_BYTES).await;
            if status.is_success() {
                body.map_err(ChatError::Garbled)
            } else {
                Err(error::refusal(status, &headers, &body.unwrap_or_default(), key))
            }
        };
        timeout(deadline, whole).await.unwrap_or(Err(ChatError::TimedOut(deadline)))
    }

    /// OpenAI's own server, whose newer models know only the newer of two names for the limit of tokens.
    fn is_openai(&self) -> bool {
        self.url.host_str() == Some("api.openai.com")
    }
}

/// What no server would take, or what would cost more than anybody meant.
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
