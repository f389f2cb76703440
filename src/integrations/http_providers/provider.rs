//! One described provider: sends messages, reads the answers and delivery callbacks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use regex::Regex;
use reqwest::header::HeaderName;
use reqwest::{Body, Request, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Answer, Client, RequestFailure};
use super::header;
use super::pattern::{self, FOUND_MAX_CHARS, Pattern};
use super::template::{Template, Values};
use crate::domain::DeliveryStatus;
use crate::domain::placeholders::percent_encode;
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};

/// Limit of the provider's text in an error.
const SAID_MAX_CHARS: usize = FOUND_MAX_CHARS;
/// Shorter secrets cannot be distinguished from other text.
const SECRET_MIN_CHARS: usize = 4;

/// The HTTP method of a send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Post,
    Get,
    Put,
}

impl Method {
    const fn http(self) -> reqwest::Method {
        match self {
            Self::Post => reqwest::Method::POST,
            Self::Get => reqwest::Method::GET,
            Self::Put => reqwest::Method::PUT,
        }
    }
}

/// A provider description; see `src/integrations/http_providers/providers.default.toml`.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: String,
    /// The sender of the messages: E.164, a short code or an alphanumeric name.
    pub sender: String,
    pub(super) url: Template,
    pub(super) method: Method,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Option<Template>,
    pub(super) success: Vec<u16>,
    pub(super) success_body: Option<Regex>,
    pub(super) id: Option<Pattern>,
    pub(super) error: Option<Pattern>,
    pub(super) error_code: Option<Pattern>,
    pub(super) retry: Vec<u16>,
    /// The provider refuses a second message with the same id: a send with unknown outcome may be repeated.
    pub idempotent: bool,
    /// Messages per second.
    pub rate: Option<NonZeroU32>,
    pub(super) callback: Option<Callback>,
}

/// How to read a delivery callback: JSON pointers into its body, and the provider's statuses in lower case.
#[derive(Clone, Debug)]
pub struct Callback {
    pub(super) id: Option<String>,
    pub(super) status: String,
    pub(super) statuses: BTreeMap<String, DeliveryStatus>,
    pub(super) error_code: Option<String>,
}

/// The content of a delivery callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The provider's id of the message.
    pub sid: Option<String>,
    pub status: DeliveryStatus,
    pub error_code: Option<i64>,
}

/// Why a delivery callback cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("provider '{0}' is described without a callback: add [provider.callback] to PROVIDERS_FILE")]
    NotDescribed(String),
    #[error("the callback has no status at {0}: compare it with [provider.callback] in PROVIDERS_FILE")]
    NoStatus(String),
    /// Providers add statuses: the callback is logged, not refused, because the provider would repeat it.
    #[error("the callback's status '{0}' is none that [provider.callback] in PROVIDERS_FILE names")]
    UnknownStatus(String),
}

impl Provider {
    /// Makes one attempt, never repeated here.
    pub async fn send(&self, client: &Client, message: &Values<'_>) -> Result<Accepted, SendFailure> {
        let request = self.request(message).map_err(|why| {
            self.send_failure(
                FailureKind::Refused,
                None,
                None,
                format!("cannot be called ({why}): see its description"),
            )
        })?;
        match client.call(request).await {
            Ok(answer) => self.classify(&answer, message),
            // Nothing was sent, and nothing passes until a person changes the settings; nothing is lost meanwhile.
            Err(lost @ (RequestFailure::Forbidden(_) | RequestFailure::NotSent(_))) => {
                let kind = FailureKind::Busy { retry_after: None };
                Err(self.send_failure(kind, None, None, format!("could not be reached ({lost}); nothing was sent")))
            }
            Err(RequestFailure::Unknown(why)) => Err(self.unknown(None, &why)),
        }
    }

    fn request(&self, message: &Values<'_>) -> Result<Request, String> {
        // The parser's errors quote nothing.
        let url = Url::parse(self.url.render(message).expose_secret()).map_err(|error| error.to_string())?;
        let mut request = Request::new(self.method.http(), url);
        for (name, template) in &self.headers {
            let value =
                header::value(name, template.render(message).expose_secret()).map_err(|error| error.to_string())?;
            request.headers_mut().insert(name, value);
        }
        if let Some(body) = &self.body {
            *request.body_mut() = Some(Body::from(body.render(message).expose_secret().to_owned()));
        }
        Ok(request)
    }

    fn classify(&self, answer: &Answer, message: &Values<'_>) -> Result<Accepted, SendFailure> {
        let status = answer.status;
        let http_status = Some(status.as_u16());
        if self.retry.contains(&status.as_u16()) {
            let kind = FailureKind::Busy { retry_after: answer.retry_after };
            return Err(self.send_failure(kind, http_status, None, format!("takes nothing for now ({status})")));
        }
        let listed = self.success.contains(&status.as_u16());
        let body = match &answer.body {
            Ok(body) => String::from_utf8_lossy(body),
            // The status alone is enough, unless the description reads the body.
            Err(_) if listed && self.success_body.is_none() && self.id.is_none() => "".into(),
            Err(_) if !listed && !status.is_success() && !status.is_server_error() => "".into(),
            Err(why) => return Err(self.unknown(http_status, why)),
        };
        let good = listed && self.success_body.as_ref().is_none_or(|pattern| pattern.is_match(&body));
        if good {
            let found = self.id.as_ref().map(|pattern| pattern.find(&body));
            let (sid, doubt) = match found {
                None => (message.id.to_owned(), None),
                Some(Some(sid)) if !sid.is_empty() => (sid, None),
                // A repeat does no harm, and says more.
                Some(_) if self.idempotent => {
                    return Err(self.unknown(http_status, "its answer has no id where 'id' says"));
                }
                Some(_) => (message.id.to_owned(), Some(self.without_id(status))),
            };
            // Without a callback no further status will come.
            let status = if self.callback.is_some() { DeliveryStatus::Queued } else { DeliveryStatus::Sent };
            return Ok(Accepted { sid, status, http_status, doubt });
        }
        let said = self.said(&body, message);
        let code = self.error_code.as_ref().and_then(|pattern| pattern.find(&body)?.parse().ok());
        let (kind, detail) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let detail =
                    format!("refuses the credentials ({status}){said}: check the variables in its description");
                (FailureKind::Credentials, detail)
            }
            // It is unknown if the provider read the whole request.
            StatusCode::REQUEST_TIMEOUT => return Err(self.unknown(http_status, &format!("{status}{said}"))),
            _ if status.is_server_error() => return Err(self.unknown(http_status, &format!("{status}{said}"))),
            _ if status.is_redirection() => (
                FailureKind::Refused,
                format!("answers with a redirect ({status}), which is not followed: correct its url"),
            ),
            _ => (FailureKind::Refused, format!("refused the message ({status}){said}")),
        };
        Err(self.send_failure(kind, http_status, code, detail))
    }

    fn unknown(&self, http_status: Option<u16>, why: &str) -> SendFailure {
        let next = if self.idempotent {
            "it is repeated with the same id"
        } else {
            "its delivery report decides, or a person with 'recado settle'"
        };
        let detail = format!("may have taken the message or not ({why}): {next}");
        self.send_failure(FailureKind::Unknown, http_status, None, detail)
    }

    fn without_id(&self, status: StatusCode) -> String {
        format!(
            "provider '{}' answered {status} without an id where 'id' says: it counts as sent, but look there whether it was",
            self.name
        )
    }

    fn send_failure(
        &self,
        kind: FailureKind,
        http_status: Option<u16>,
        code: Option<i64>,
        detail: String,
    ) -> SendFailure {
        SendFailure { kind, http_status, code, detail: format!("provider '{}' {detail}", self.name) }
    }

    /// Returns the provider's text without the parts of the message and the secrets that it may repeat.
    fn said(&self, body: &str, message: &Values<'_>) -> String {
        let found = self.error.as_ref().and_then(|pattern| pattern.find(body));
        let mut said = found.unwrap_or_else(|| body.to_owned());
        for secret in self.secrets() {
            said = hide(&said, secret.expose_secret());
        }
        said = hide(&said, message.text);
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().filter(|c| !c.is_control()).take(SAID_MAX_CHARS).collect();
        if said.is_empty() { said } else { format!(": {said}") }
    }

    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let templates = std::iter::once(&self.url).chain(self.headers.iter().map(|(_, value)| value)).chain(&self.body);
        templates.flat_map(Template::secrets)
    }

    /// Reads a delivery callback; `body` is its JSON, or its form fields as an object.
    pub fn status_report(&self, body: &Value) -> Result<StatusReport, CallbackError> {
        let callback = self.callback.as_ref().ok_or_else(|| CallbackError::NotDescribed(self.name.clone()))?;
        let find = |pointer: &Option<String>| pattern::at(body, pointer.as_deref()?).filter(|found| !found.is_empty());
        let word = pattern::at(body, &callback.status).ok_or(CallbackError::NoStatus(callback.status.clone()))?;
        let status = callback.statuses.get(&word.to_lowercase()).copied();
        let status = status
            .ok_or_else(|| CallbackError::UnknownStatus(word.chars().filter(|c| !c.is_control()).take(60).collect()))?;
        Ok(StatusReport {
            sid: find(&callback.id).filter(|sid| sid.chars().count() <= FOUND_MAX_CHARS),
            status,
            error_code: find(&callback.error_code).and_then(|code| code.parse().ok()),
        })
    }
}

/// Masks `part` in `text`, plain and percent-encoded.
fn hide(text: &str, part: &str) -> String {
    const MASK: &str = "••••";
    if part.chars().count() < SECRET_MIN_CHARS {
        return text.to_owned();
    }
    text.replace(part, MASK).replace(&percent_encode(part), MASK)
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
