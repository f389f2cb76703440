//! One described provider: a send, what its answer means, and what its delivery callback says.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use regex::Regex;
use reqwest::header::HeaderName;
use reqwest::{Body, Request, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Answer, Client, Lost};
use super::header;
use super::pattern::{self, FOUND_MAX_CHARS, Pattern};
use super::template::{Template, Values, percent_encode};
use crate::domain::DeliveryStatus;
use crate::integrations::provider::{Failure, NotTaken, Taken};

/// Of an error's text that is kept of what the provider said.
const SAID_MAX_CHARS: usize = FOUND_MAX_CHARS;
/// Shorter secrets cannot be told from other text.
const SECRET_MIN_CHARS: usize = 4;

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

/// A provider as its description says; see `src/providers.default.toml`.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: String,
    /// What messages come from: E.164, a short code or letters and digits.
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
    /// It refuses a second message with the same id: a send of unknown outcome may be repeated.
    pub idempotent: bool,
    /// Messages a second.
    pub rate: Option<NonZeroU32>,
    pub(super) callback: Option<Callback>,
}

/// How a delivery callback is read: JSON pointers into its body, and the provider's words in lower case.
#[derive(Clone, Debug)]
pub struct Callback {
    pub(super) id: Option<String>,
    pub(super) status: String,
    pub(super) statuses: BTreeMap<String, DeliveryStatus>,
    pub(super) error_code: Option<String>,
}

/// What a delivery callback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The provider's id of the message.
    pub sid: Option<String>,
    pub status: DeliveryStatus,
    pub error_code: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("provider '{0}' is described without a callback: add [provider.callback] to PROVIDERS_FILE")]
    NotDescribed(String),
    #[error("the callback has no status at {0}: compare it with [provider.callback] in PROVIDERS_FILE")]
    NoStatus(String),
    /// The set may grow: to be logged, not refused, or the provider would repeat it.
    #[error("the callback's status '{0}' is none that [provider.callback] in PROVIDERS_FILE names")]
    UnknownStatus(String),
}

impl Provider {
    /// One attempt, never repeated here.
    pub async fn send(&self, client: &Client, message: &Values<'_>) -> Result<Taken, NotTaken> {
        let request = self.request(message).map_err(|why| {
            self.not_taken(Failure::Refused, None, None, format!("cannot be called ({why}): see its description"))
        })?;
        match client.call(request).await {
            Ok(answer) => self.classify(&answer, message),
            // Nothing was sent, and nothing passes until somebody changes something: nothing is lost meanwhile.
            Err(lost @ (Lost::Forbidden(_) | Lost::NotSent(_))) => {
                let what = Failure::Busy { retry_after: None };
                Err(self.not_taken(what, None, None, format!("could not be reached ({lost}); nothing was sent")))
            }
            Err(Lost::Unknown(why)) => Err(self.unknown(None, &why)),
        }
    }

    fn request(&self, message: &Values<'_>) -> Result<Request, String> {
        // The parser's words quote nothing.
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

    fn classify(&self, answer: &Answer, message: &Values<'_>) -> Result<Taken, NotTaken> {
        let status = answer.status;
        let http_status = Some(status.as_u16());
        if self.retry.contains(&status.as_u16()) {
            let what = Failure::Busy { retry_after: answer.retry_after };
            return Err(self.not_taken(what, http_status, None, format!("takes nothing for now ({status})")));
        }
        let listed = self.success.contains(&status.as_u16());
        let body = match &answer.body {
            Ok(body) => String::from_utf8_lossy(body),
            // The status alone says enough, unless it is to be read what was taken.
            Err(_) if listed && self.success_body.is_none() && self.id.is_none() => "".into(),
            Err(_) if !listed && !status.is_success() && !status.is_server_error() => "".into(),
            Err(why) => return Err(self.unknown(http_status, why)),
        };
        let good = listed && self.success_body.as_ref().is_none_or(|pattern| pattern.is_match(&body));
        if good {
            let found = self.id.as_ref().map(|pattern| pattern.find(&body));
            let sid = match found {
                None => message.id.to_owned(),
                Some(Some(sid)) => sid,
                Some(None) => return Err(self.unknown(http_status, "its answer has no id where 'id' says")),
            };
            // Without a callback nothing more will be heard of it.
            let status = if self.callback.is_some() { DeliveryStatus::Queued } else { DeliveryStatus::Sent };
            return Ok(Taken { sid, status, http_status });
        }
        let said = self.said(&body, message);
        let code = self.error_code.as_ref().and_then(|pattern| pattern.find(&body)?.parse().ok());
        let (what, detail) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let detail =
                    format!("refuses the credentials ({status}){said}: check the variables in its description");
                (Failure::Credentials, detail)
            }
            // Whether the request was ever read to its end is not known.
            StatusCode::REQUEST_TIMEOUT => return Err(self.unknown(http_status, &format!("{status}{said}"))),
            _ if status.is_server_error() => return Err(self.unknown(http_status, &format!("{status}{said}"))),
            _ if status.is_redirection() => (
                Failure::Refused,
                format!("answers with a redirect ({status}), which is not followed: correct its url"),
            ),
            _ => (Failure::Refused, format!("refused the message ({status}){said}")),
        };
        Err(self.not_taken(what, http_status, code, detail))
    }

    fn unknown(&self, http_status: Option<u16>, why: &str) -> NotTaken {
        let next = if self.idempotent {
            "it is repeated with the same id"
        } else {
            "its delivery report decides, or a person with 'recado settle'"
        };
        let detail = format!("may have taken the message or not ({why}): {next}");
        self.not_taken(Failure::Unknown, http_status, None, detail)
    }

    fn not_taken(&self, what: Failure, http_status: Option<u16>, code: Option<i64>, detail: String) -> NotTaken {
        NotTaken { what, http_status, code, detail: format!("provider '{}' {detail}", self.name) }
    }

    /// The provider's own words, without what it may have repeated of the message and of our secrets.
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

    /// What a delivery callback says; `body` is its JSON, or its form's fields as an object.
    pub fn told(&self, body: &Value) -> Result<Told, CallbackError> {
        let callback = self.callback.as_ref().ok_or_else(|| CallbackError::NotDescribed(self.name.clone()))?;
        let find = |pointer: &Option<String>| pattern::at(body, pointer.as_deref()?).filter(|found| !found.is_empty());
        let word = pattern::at(body, &callback.status).ok_or(CallbackError::NoStatus(callback.status.clone()))?;
        let status = callback.statuses.get(&word.to_lowercase()).copied();
        let status = status
            .ok_or_else(|| CallbackError::UnknownStatus(word.chars().filter(|c| !c.is_control()).take(60).collect()))?;
        Ok(Told {
            sid: find(&callback.id).filter(|sid| sid.chars().count() <= FOUND_MAX_CHARS),
            status,
            error_code: find(&callback.error_code).and_then(|code| code.parse().ok()),
        })
    }
}

/// `text` without `part`, as it is and percent-encoded.
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
