//! Reads and changes Twilio's settings: one request each, whose error tells what to do. Nothing is sent or bought, so
//! every request may be repeated.

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::create::{code_text, remedy};
use super::{Account, Answer, BODY_MAX_BYTES, Client, RequestFailure};

/// The Twilio host that serves a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Messaging,
    Content,
}

/// An answer, and Twilio's time of it, to the second.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    pub date: Option<DateTime<Utc>>,
    pub result: Result<T, LookupError>,
}

/// The request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("Twilio could not be reached ({why}): check the network and TWILIO_API_BASE")]
    Unreachable { why: String },
    #[error("Twilio is busy (HTTP {http_status}): ask again in a moment")]
    Busy { http_status: u16 },
    /// 401 or 20003: SID and token do not belong together.
    #[error("Twilio refuses the credentials (HTTP {http_status}: {message}): check the account's SID and auth token")]
    Unauthorized { http_status: u16, message: String },
    #[error("Twilio has no such thing (HTTP 404): check the identifier, and that it is this account's")]
    NotFound,
    #[error("Twilio refused it (HTTP {http_status}, code {}): {message}{}", code_text(*code), remedy(*code))]
    Refused { http_status: u16, code: Option<u32>, message: String },
    #[error("Twilio's answer cannot be read ({why}): check what stands at TWILIO_API_BASE")]
    Unreadable { why: String },
}

impl Host {
    /// Replaces the first label of the host, also with an edge and a region in between
    /// (<https://www.twilio.com/docs/global-infrastructure/understanding-edge-locations>). An emulator at another base
    /// serves everything there.
    fn at(self, base: &Url) -> Url {
        let mut url = base.clone();
        let label = match self {
            Self::Messaging => "messaging",
            Self::Content => "content",
        };
        let rest =
            base.host_str().and_then(|host| host.strip_prefix("api.")).filter(|rest| rest.ends_with("twilio.com"));
        if let Some(rest) = rest {
            // A valid host stays valid with another label.
            let _ = url.set_host(Some(&format!("{label}.{rest}")));
        }
        url
    }
}

impl Client {
    /// A path on one of Twilio's other hosts, each part escaped.
    pub(super) fn url_at(&self, host: Host, path: &[&str]) -> Url {
        let mut url = host.at(&self.base);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    pub(super) async fn look_up<T: DeserializeOwned>(
        &self,
        account: &Account,
        request: RequestBuilder,
        max_bytes: usize,
    ) -> Result<T, LookupError> {
        self.look_up_dated(account, request, max_bytes).await.result
    }

    /// Like [`Client::look_up`], for answers without a body.
    pub(super) async fn demand(&self, account: &Account, request: RequestBuilder) -> Result<(), LookupError> {
        match self.call(account, request, BODY_MAX_BYTES).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(classify(&answer)),
            Err(RequestFailure::NotSent(why) | RequestFailure::Unknown(why)) => Err(LookupError::Unreachable { why }),
        }
    }

    pub(super) async fn look_up_dated<T: DeserializeOwned>(
        &self,
        account: &Account,
        request: RequestBuilder,
        max_bytes: usize,
    ) -> Answered<T> {
        match self.call(account, request, max_bytes).await {
            Ok(answer) => Answered { date: answer.date, result: read(answer) },
            Err(RequestFailure::NotSent(why) | RequestFailure::Unknown(why)) => {
                Answered { date: None, result: Err(LookupError::Unreachable { why }) }
            }
        }
    }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, LookupError> {
    if !answer.status.is_success() {
        return Err(classify(&answer));
    }
    let body = answer.body.map_err(|why| LookupError::Unreachable { why })?;
    serde_json::from_slice(&body).map_err(|error| LookupError::Unreadable { why: error.to_string() })
}

fn classify(answer: &Answer) -> LookupError {
    let http_status = answer.status.as_u16();
    let error = answer.api_error();
    let code = error.as_ref().and_then(|error| error.code);
    let message = error.map_or_else(|| "no error of Twilio's".to_owned(), |error| error.message);
    match (answer.status, code) {
        (StatusCode::UNAUTHORIZED, _) | (_, Some(20003)) => LookupError::Unauthorized { http_status, message },
        (StatusCode::NOT_FOUND, _) => LookupError::NotFound,
        (StatusCode::TOO_MANY_REQUESTS, _) => LookupError::Busy { http_status },
        (status, _) if status.is_server_error() => LookupError::Busy { http_status },
        _ => LookupError::Refused { http_status, code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_stand_beside_the_api() {
        let check = |base: &str, expect: &str| {
            let base = Url::parse(base).unwrap();
            assert_eq!(Host::Content.at(&base).as_str(), expect);
        };
        check("https://api.twilio.com", "https://content.twilio.com/");
        check("https://api.dublin.ie1.twilio.com", "https://content.dublin.ie1.twilio.com/");
        check("http://127.0.0.1:4010", "http://127.0.0.1:4010/");
        check("https://api.example.com", "https://api.example.com/");
    }
}
