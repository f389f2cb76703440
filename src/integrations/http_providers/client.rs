//! One call: through the guard, never redirected, never repeated, and bounded in time and size.

use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{self, HeaderMap};
use reqwest::{Request, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::guard::{self, Forbidden, Guard};
use crate::config::Allowed;

/// For a connection, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole call, from the lookup to the last byte of the answer, however slowly those come.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Of an answer.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const POOL_IDLE_MAX: usize = 64;
/// Longer waits than this are not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for providers and requests could not be set up: {0}")]
pub struct ClientError(#[from] reqwest::Error);

/// Cheap to clone: clones share their connections. The caller bounds how many calls are in flight.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    guard: Guard,
    deadline: Duration,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// Else why it could not be read.
    pub body: Result<Vec<u8>, String>,
}

/// Why nothing came back. The URL, which may hold secrets, is in none of the texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No connection was made.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No byte of the request has left.
    #[error("{0}")]
    NotSent(String),
    #[error("{0}")]
    Unknown(String),
}

impl Client {
    /// `allowed` may be called though it is not public.
    pub fn new(allowed: Vec<Allowed>) -> Result<Self, ClientError> {
        Self::with_guard(Guard::new(allowed))
    }

    pub fn with_guard(guard: Guard) -> Result<Self, ClientError> {
        // Fails only if a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            // A redirect and a proxy would be other addresses than the one that was checked.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(concat!("recado/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(guard.clone())
            .build()?;
        Ok(Self { http, guard, deadline: DEADLINE })
    }

    /// Another deadline than [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// What can be said of a URL before it is called.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.guard.check(url)
    }

    /// Sends and reads within the deadline. An answer whose head came is an answer, even if its body is lost.
    pub async fn call(&self, request: Request) -> Result<Answer, Lost> {
        self.check(request.url())?;
        let deadline = Instant::now() + self.deadline;
        let mut response = match timeout_at(deadline, self.http.execute(request)).await {
            Err(_) => return Err(Lost::Unknown(format!("no answer within {} s", self.deadline.as_secs_f32()))),
            Ok(Err(error)) => return Err(lost(error)),
            Ok(Ok(response)) => response,
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = match timeout_at(deadline, read_body(&mut response)).await {
            Err(_) => Err("the answer did not end in time".to_owned()),
            Ok(body) => body,
        };
        Ok(Answer { status, retry_after, body })
    }
}

fn lost(error: reqwest::Error) -> Lost {
    if let Some(forbidden) = guard::forbidden(&error) {
        return Lost::Forbidden(forbidden.clone());
    }
    if error.is_connect() || error.is_builder() { Lost::NotSent(why(error)) } else { Lost::Unknown(why(error)) }
}

async fn read_body(response: &mut reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(format!("the answer is longer than {ANSWER_MAX_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost cause, without the URL.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Seconds, or a date, which is taken as relative to the answer's own (RFC 9110).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    let value = text(header::RETRY_AFTER)?;
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?;
            let now = DateTime::parse_from_rfc2822(text(header::DATE)?).ok()?;
            (until - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
