//! `http_request`: one HTTP request of a rule.
//!
//! | outcome | |
//! |---|---|
//! | 2xx | done |
//! | no connection, 429, 503 | not done: retried later |
//! | another 4xx, a redirect, a forbidden address | failed permanently |
//! | 5xx, 408, no answer | GET, PUT, DELETE: retried later, because they are idempotent (RFC 9110, 9.2.2). POST and PATCH: `unknown`, never retried automatically; the receiver can recognize repeats by our `Idempotency-Key` |

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Url};

use super::client::{Answer, Client, RequestFailure};
use super::guard::{self, Forbidden};
use super::header::{self, HEADERS_MAX, HeaderError};
use crate::domain::{DeliveryStatus, HttpMethod, HttpRequest};
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};

/// Limit of a URL.
pub const URL_MAX_CHARS: usize = 2_000;
/// Limit of a body.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// The action's id, the same at each attempt.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The first wait between attempts; it doubles each time.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
const TRIES_MAX: u32 = 8;

/// A mistake that is found before the request is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the URL cannot be read ({0}): write it out, as in https://example.com/hook")]
    Url(String),
    #[error("the URL has over {URL_MAX_CHARS} letters")]
    LongUrl,
    #[error("the body has over {BODY_MAX_BYTES} bytes")]
    LongBody,
    #[error("a GET or DELETE has no body: put the values into the URL's query")]
    NoBody,
    #[error("there are over {HEADERS_MAX} headers")]
    ManyHeaders,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the header '{IDEMPOTENCY_KEY}' is set by Recado: leave it out")]
    IdempotencyKey,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl RequestError {
    /// Whether the rule is wrong, as opposed to the values that it was given.
    pub const fn is_of_script(&self) -> bool {
        matches!(self, Self::NoBody | Self::ManyHeaders | Self::IdempotencyKey)
    }
}

/// Checks a request as far as possible without looking anything up.
pub fn check(request: &HttpRequest) -> Result<(), RequestError> {
    parse(request, "").map(|_| ())
}

fn parse(request: &HttpRequest, id: &str) -> Result<Request, RequestError> {
    if request.url.chars().count() > URL_MAX_CHARS {
        return Err(RequestError::LongUrl);
    }
    if request.headers.len() > HEADERS_MAX {
        return Err(RequestError::ManyHeaders);
    }
    let url = Url::parse(&request.url).map_err(|error| RequestError::Url(error.to_string()))?;
    guard::check_shape(&url)?;
    let mut made = Request::new(method(request.method), url);
    for (name, value) in &request.headers {
        let name = header::name(name)?;
        if name == IDEMPOTENCY_KEY {
            return Err(RequestError::IdempotencyKey);
        }
        let value = header::value(&name, value)?;
        made.headers_mut().insert(name, value);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        made.headers_mut().insert(HeaderName::from_static(IDEMPOTENCY_KEY), id);
    }
    if let Some(body) = &request.body {
        if matches!(request.method, HttpMethod::Get | HttpMethod::Delete) {
            return Err(RequestError::NoBody);
        }
        if body.len() > BODY_MAX_BYTES {
            return Err(RequestError::LongBody);
        }
        *made.body_mut() = Some(Body::from(body.clone()));
    }
    Ok(made)
}

const fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    }
}

/// Returns a URL for display: without its query, which may be private.
pub fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "a URL that cannot be read".to_owned() };
    let more = if url.query().is_some() { "?…" } else { "" };
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for URLs without credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    format!("{url}{more}")
}

/// Makes one attempt, never repeated here. `id` is the action's id.
pub async fn send(client: &Client, request: &HttpRequest, id: &str) -> Result<Accepted, SendFailure> {
    let shown = shown(&request.url);
    let failure = |kind, http_status, why: String| SendFailure {
        kind,
        http_status,
        code: None,
        detail: format!("{} {shown} {why}", method(request.method)),
    };
    let made =
        parse(request, id).map_err(|error| failure(FailureKind::Refused, None, format!("was not made: {error}")))?;
    let again = |after: Option<Duration>| FailureKind::Later { after: after.unwrap_or(AGAIN_AFTER), tries: TRIES_MAX };
    let repeatable = request.method.is_idempotent();
    let lost = |http_status, why: String| {
        if repeatable {
            failure(again(None), http_status, format!("is tried again: {why}"))
        } else {
            failure(
                FailureKind::Unknown,
                http_status,
                format!("may have been done or not ({why}): it is not repeated by itself"),
            )
        }
    };
    match client.call(made).await {
        Ok(Answer { status, .. }) if status.is_success() => {
            let http_status = Some(status.as_u16());
            Ok(Accepted { sid: id.to_owned(), status: DeliveryStatus::Sent, http_status, doubt: None })
        }
        Ok(Answer { status, retry_after, .. }) => {
            let http_status = Some(status.as_u16());
            Err(match status.as_u16() {
                429 | 503 => {
                    failure(again(retry_after), http_status, format!("was answered {status}: it was not done"))
                }
                408 | 500.. => lost(http_status, format!("it was answered {status}")),
                300..400 => failure(
                    FailureKind::Refused,
                    http_status,
                    format!("was answered {status}: redirects are not followed"),
                ),
                _ => failure(FailureKind::Refused, http_status, format!("was refused: {status}")),
            })
        }
        Err(RequestFailure::Forbidden(why)) => Err(failure(FailureKind::Refused, None, format!("was not made: {why}"))),
        Err(RequestFailure::NotSent(why)) => {
            Err(failure(again(None), None, format!("was not made, there was no connection: {why}")))
        }
        Err(RequestFailure::Unknown(why)) => Err(lost(None, why)),
    }
}
