//! Reads and validates `PROVIDERS_FILE`.
//!
//! `src/integrations/http_providers/providers.default.toml` documents every field.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use reqwest::Url;
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::client::Client;
use super::header::{self, HEADERS_MAX};
use super::pattern::{self, Pattern};
use super::provider::{Callback, Method, Provider};
use super::template::{Field, Template, Values};
use crate::domain::placeholders::Escaping;
use crate::domain::{Channel, DeliveryStatus, Phone};

/// The documented example, which `recado config --providers` prints.
pub const EXAMPLE: &str = include_str!("providers.default.toml");

/// Limit of the file.
pub const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Limit of providers in the file.
pub const PROVIDERS_MAX: usize = 50;
/// Limit of prefixes of one provider.
pub const PREFIXES_MAX: usize = 200;
/// Limit of a URL template.
pub const URL_MAX_CHARS: usize = 2_000;
/// Limit of a body template.
pub const BODY_MAX_CHARS: usize = 16_000;
const NAME_MAX_CHARS: usize = 40;
const RATE_MAX: u32 = 10_000;
/// Names of routes that are not described providers.
const TAKEN_NAMES: [&str; 4] = ["twilio", "provider", "email", "request"];
const SUCCESS: [u16; 3] = [200, 201, 202];
const RETRY: [u16; 2] = [429, 503];

/// A mistake in the file, with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("PROVIDERS_FILE {file} cannot be read ({why}): check the path, or take the setting out")]
    Unreadable { file: String, why: String },
    #[error("{file}{}: {message}; `recado config --providers` prints an example", at_line(*.line))]
    Syntax { file: String, line: Option<usize>, message: String },
    #[error("{file}: provider '{provider}', {field}: {why}")]
    Field { file: String, provider: String, field: String, why: String },
    #[error("{file}: it has over {PROVIDERS_MAX} providers")]
    TooMany { file: String },
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    provider: Vec<Description>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    sender: String,
    url: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    content_type: Option<ContentType>,
    body: Option<String>,
    #[serde(default)]
    success: Success,
    id: Option<String>,
    error: Option<String>,
    error_code: Option<String>,
    #[serde(default)]
    retry: Statuses,
    #[serde(default)]
    idempotent: bool,
    rate: Option<u32>,
    callback: Option<CallbackFields>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ContentType {
    Json,
    Form,
    Text,
}

impl ContentType {
    const fn header(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Success {
    status: Option<Vec<u16>>,
    body: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statuses {
    status: Option<Vec<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackFields {
    id: Option<String>,
    status: String,
    #[serde(default)]
    sent: Vec<String>,
    #[serde(default)]
    delivered: Vec<String>,
    #[serde(default)]
    undelivered: Vec<String>,
    #[serde(default)]
    failed: Vec<String>,
    error_code: Option<String>,
}

/// The context of a description: secrets, and addresses that may be called.
pub struct ProviderContext<'a> {
    pub secret: &'a dyn Fn(&str) -> Option<SecretString>,
    pub client: &'a Client,
}

/// Reads every provider of the file with its prefixes.
///
/// # Errors
/// Every mistake in the file.
pub fn read(path: &Path, context: &ProviderContext<'_>) -> Result<Vec<(Provider, Vec<String>)>, Vec<FileError>> {
    let file = path.display().to_string();
    let unreadable = |why: String| vec![FileError::Unreadable { file: file.clone(), why }];
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_MAX_BYTES {
        return Err(unreadable(format!("it has over {FILE_MAX_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text, &file, context)
}

pub(super) fn parse(
    text: &str,
    file: &str,
    context: &ProviderContext<'_>,
) -> Result<Vec<(Provider, Vec<String>)>, Vec<FileError>> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        // Only the message: the error's full text quotes the line, which may contain a secret.
        vec![FileError::Syntax { file: file.to_owned(), line, message: error.message().to_owned() }]
    })?;
    if written.provider.len() > PROVIDERS_MAX {
        return Err(vec![FileError::TooMany { file: file.to_owned() }]);
    }
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for description in written.provider {
        let (name, prefixes) = (description.name.clone(), description.prefixes.clone());
        let mut faults = Faults { file, provider: &name, errors: &mut errors };
        for prefix in &prefixes {
            if let Some(other) = seen.insert(prefix.clone(), name.clone()) {
                faults.say("prefixes", format!("{prefix} is '{other}'s already: one prefix leads to one provider"));
            }
        }
        if read.iter().any(|(provider, _): &(Provider, _)| provider.name == name) {
            faults.say("name", "another provider has it already".to_owned());
        }
        if let Some(provider) = description.check(context, &mut faults) {
            read.push((provider, prefixes));
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

/// The mistakes of one provider.
struct Faults<'a> {
    file: &'a str,
    provider: &'a str,
    errors: &'a mut Vec<FileError>,
}

impl Faults<'_> {
    fn say(&mut self, field: &str, why: String) {
        let (file, provider) = (self.file.to_owned(), self.provider.chars().take(NAME_MAX_CHARS).collect());
        self.errors.push(FileError::Field { file, provider, field: field.to_owned(), why });
    }

    fn of<T>(&mut self, field: &str, result: Result<T, impl std::fmt::Display>) -> Option<T> {
        result.map_err(|error| self.say(field, error.to_string())).ok()
    }

    fn pattern(&mut self, field: &str, text: Option<&String>) -> Option<Pattern> {
        text.and_then(|text| self.of(field, Pattern::parse(text)))
    }

    fn statuses(&mut self, field: &str, written: Option<Vec<u16>>, default: &[u16]) -> Vec<u16> {
        let statuses = written.unwrap_or_else(|| default.to_vec());
        if let Some(wrong) = statuses.iter().find(|status| !(200..600).contains(*status)) {
            self.say(field, format!("{wrong} is no HTTP status of an answer: 200 to 599"));
        }
        statuses
    }
}

impl Description {
    /// Returns `None` only if `faults` has the reason.
    fn check(self, context: &ProviderContext<'_>, faults: &mut Faults<'_>) -> Option<Provider> {
        let before = faults.errors.len();
        self.check_names(faults);
        let url = self.url(context, faults);
        let headers = self.headers(context, faults);
        let body = self.body(context, faults);
        if ![url.as_ref(), body.as_ref()].into_iter().flatten().any(|template| template.has(Field::Text)) {
            faults.say("body", "{{text}} stands nowhere: put it into the body, or into the URL's query".to_owned());
        }
        let success_body = self.success.body.as_ref().and_then(|text| faults.of("success.body", pattern::regex(text)));
        let success = faults.statuses("success.status", self.success.status.clone(), &SUCCESS);
        let retry = faults.statuses("retry.status", self.retry.status.clone(), &RETRY);
        if let Some(both) = success.iter().find(|status| retry.contains(status)) {
            faults.say("retry.status", format!("{both} cannot mean both taken and not taken"));
        }
        let (id, error, error_code) = (
            faults.pattern("id", self.id.as_ref()),
            faults.pattern("error", self.error.as_ref()),
            faults.pattern("error_code", self.error_code.as_ref()),
        );
        let rate = self.rate.map(|rate| NonZeroU32::new(rate).filter(|rate| rate.get() <= RATE_MAX));
        if rate == Some(None) {
            faults.say("rate", format!("messages a second, 1 to {RATE_MAX}"));
        }
        let callback = self.callback.map(|written| written.check(faults));
        if faults.errors.len() > before {
            return None;
        }
        Some(Provider {
            name: self.name,
            sender: self.sender,
            url: url?,
            method: self.method,
            headers,
            body,
            success,
            success_body,
            id,
            error,
            error_code,
            retry,
            idempotent: self.idempotent,
            rate: rate.flatten(),
            callback,
        })
    }

    fn check_names(&self, faults: &mut Faults<'_>) {
        let name_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let (name, sender) = (self.name.as_str(), self.sender.as_str());
        if name.is_empty() || name.len() > NAME_MAX_CHARS || !name.bytes().all(name_letter) {
            faults.say("name", format!("small letters, digits and dashes, {NAME_MAX_CHARS} at most"));
        } else if TAKEN_NAMES.contains(&name) {
            faults.say("name", "it has a meaning already: choose another".to_owned());
        }
        if self.prefixes.len() > PREFIXES_MAX {
            faults.say("prefixes", format!("over {PREFIXES_MAX}"));
        }
        for prefix in self.prefixes.iter().filter(|prefix| !is_prefix(prefix)) {
            let prefix: String = prefix.chars().take(20).collect();
            faults.say("prefixes", format!("'{prefix}' is no prefix: + and the first digits of a number, such as +91"));
        }
        let sender_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_' | b'.' | b'&');
        // A number, a short code, or an alphanumeric address (GSM 03.38).
        let short = (1..=11).contains(&sender.len()) && sender.bytes().all(sender_letter);
        if !short && Phone::parse(sender).is_err() {
            faults.say("sender", "a number in E.164, a short code, or up to 11 letters and digits".to_owned());
        }
        // Templates and WhatsApp senders belong to Twilio.
        if let Some(channels) = self.channels.as_ref().filter(|channels| *channels != &[Channel::Sms.as_str()]) {
            faults.say("channels", format!("only [\"sms\"] goes through another provider, not {channels:?}"));
        }
    }

    fn url(&self, context: &ProviderContext<'_>, faults: &mut Faults<'_>) -> Option<Template> {
        if self.url.chars().count() > URL_MAX_CHARS {
            faults.say("url", format!("over {URL_MAX_CHARS} letters"));
        }
        let template = faults.of("url", Template::parse(&self.url, Escaping::Url, context.secret))?;
        let head = template.head();
        let after_scheme = head.split_once("://").map_or("", |(_, rest)| rest);
        if !after_scheme.contains(['/', '?']) {
            faults.say("url", "write scheme and host out, and a path, as in https://sms.example.com/send".to_owned());
            return None;
        }
        if template.has(Field::Text) && !self.url.split("{{text}}").next().is_some_and(|before| before.contains('?')) {
            faults.say("url", "{{text}} may stand behind the ? only, not in the path".to_owned());
        }
        let rendered = template.render(&sample());
        // The parser's errors quote nothing, so they contain no secret.
        let url = faults.of("url", Url::parse(rendered.expose_secret()))?;
        if url.fragment().is_some() {
            faults.say("url", "what stands behind # is never sent: take it out".to_owned());
        }
        faults.of("url", context.client.check(&url))?;
        Some(template)
    }

    fn headers(&self, context: &ProviderContext<'_>, faults: &mut Faults<'_>) -> Vec<(HeaderName, Template)> {
        if self.headers.len() > HEADERS_MAX {
            faults.say("headers", format!("over {HEADERS_MAX}"));
        }
        let mut headers = Vec::new();
        let fixed = self.content_type.map(|kind| ("content-type".to_owned(), kind.header().to_owned()));
        let written = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        for (name, text) in fixed.into_iter().chain(written) {
            let field = format!("headers.{name}");
            let Some(name) = faults.of(&field, header::name(&name)) else { continue };
            let template = Template::parse(&text, Escaping::Plain, context.secret);
            let Some(template) = faults.of(&field, template) else { continue };
            if template.has(Field::Text) {
                faults.say(&field, "{{text}} goes into the body or the query, not into a header".to_owned());
            }
            if headers.iter().any(|(other, _)| *other == name) {
                faults.say(&field, "it is said twice (content_type says it, too)".to_owned());
            }
            faults.of(&field, header::value(&name, template.render(&sample()).expose_secret()));
            headers.push((name, template));
        }
        headers
    }

    fn body(&self, context: &ProviderContext<'_>, faults: &mut Faults<'_>) -> Option<Template> {
        let text = match (&self.body, self.content_type) {
            (Some(text), Some(_)) => text,
            (Some(_), None) => {
                faults.say("content_type", "say what the body is: json, form or text".to_owned());
                return None;
            }
            (None, Some(_)) => {
                faults.say("body", "content_type says what it is, but there is none".to_owned());
                return None;
            }
            (None, None) => return None,
        };
        if self.method == Method::Get {
            faults.say("body", "a GET has none: put the values into the URL's query".to_owned());
        }
        if text.chars().count() > BODY_MAX_CHARS {
            faults.say("body", format!("over {BODY_MAX_CHARS} letters"));
        }
        let escaping = match self.content_type {
            Some(ContentType::Json) => Escaping::Json,
            Some(ContentType::Form) => Escaping::Url,
            _ => Escaping::Plain,
        };
        let template = faults.of("body", Template::parse(text, escaping, context.secret))?;
        if escaping == Escaping::Json {
            let rendered = template.render(&sample());
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(rendered.expose_secret()) {
                let column = error.column();
                let why = format!(
                    "it is no JSON (line {}, column {column}): {{{{values}}}} stand within quotes",
                    error.line()
                );
                faults.say("body", why);
            }
        }
        Some(template)
    }
}

impl CallbackFields {
    fn check(self, faults: &mut Faults<'_>) -> Callback {
        let words = [
            (DeliveryStatus::Sent, &self.sent),
            (DeliveryStatus::Delivered, &self.delivered),
            (DeliveryStatus::Undelivered, &self.undelivered),
            (DeliveryStatus::Failed, &self.failed),
        ];
        let mut statuses = BTreeMap::new();
        for (status, words) in words {
            for word in words {
                if statuses.insert(word.to_lowercase(), status).is_some_and(|other| other != status) {
                    faults.say("callback", format!("'{word}' cannot mean two statuses"));
                }
            }
        }
        if statuses.is_empty() {
            faults.say("callback", "say which words mean delivered, sent, undelivered or failed".to_owned());
        }
        Callback {
            id: self.id.map(pointer),
            status: pointer(self.status),
            statuses,
            error_code: self.error_code.map(pointer),
        }
    }
}

/// Turns a plain field name into a JSON pointer (RFC 6901).
fn pointer(field: String) -> String {
    if field.starts_with('/') { field } else { format!("/{}", field.replace('~', "~0").replace('/', "~1")) }
}

/// True for `+` and the first digits of a number in E.164.
pub fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

/// A sample message to try a template with. No value is JSON by itself, so that missing quotes are found.
const fn sample() -> Values<'static> {
    Values { to: "+15005550006", from: "sender", text: "text", id: "id", callback: "https://recado.example/callback" }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
