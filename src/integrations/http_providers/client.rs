//! One call: through the guard, never redirected, never repeated, and bounded in time and size.

use std::time::Duration;

use reqwest::{Request, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::guard::{self, Forbidden, Guard};
use crate::config::Allowed;
use crate::integrations::http;
use crate::integrations::http::{ClientError, DEADLINE};

/// Limit of an answer.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Idle connections that are kept for one host: rules and files name many.
const POOL_IDLE_MAX: usize = 64;

/// Clones are cheap and share their connections. The caller limits the number of concurrent calls.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    guard: Guard,
    deadline: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The body, or why it could not be read.
    pub body: Result<Vec<u8>, String>,
}

/// Why there is no answer. No text contains the URL, which may have secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// The guard refused the connection.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No byte of the request was sent.
    #[error("{0}")]
    NotSent(String),
    #[error("{0}")]
    Unknown(String),
}

impl Client {
    /// Creates a client; `allowed` addresses may be called although they are not public.
    pub fn new(allowed: Vec<Allowed>) -> Result<Self, ClientError> {
        Self::with_guard(Guard::new(allowed))
    }

    /// Creates a client with its own guard.
    pub fn with_guard(guard: Guard) -> Result<Self, ClientError> {
        // The guard checks the address of the request: a redirect or a proxy would lead to another one.
        let http = http::builder();
        let http = http.pool_max_idle_per_host(POOL_IDLE_MAX).no_proxy().dns_resolver(guard.clone()).build()?;
        Ok(Self { http, guard, deadline: DEADLINE })
    }

    /// Replaces the default deadline, [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Checks a URL before it is called.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.guard.check(url)
    }

    /// Sends a request and reads the answer within the deadline. An answer counts once its head is read, even if its
    /// body is lost.
    pub async fn call(&self, request: Request) -> Result<Answer, RequestFailure> {
        self.check(request.url())?;
        let deadline = Instant::now() + self.deadline;
        let mut response = match timeout_at(deadline, self.http.execute(request)).await {
            Err(_) => {
                return Err(RequestFailure::Unknown(format!("no answer within {} s", self.deadline.as_secs_f32())));
            }
            Ok(Err(error)) => return Err(lost(error)),
            Ok(Ok(response)) => response,
        };
        let (status, retry_after) = (response.status(), http::retry_after(response.headers()));
        let body = match timeout_at(deadline, http::read_body(&mut response, ANSWER_MAX_BYTES)).await {
            Err(_) => Err("the answer did not end in time".to_owned()),
            Ok(body) => body.map_err(|error| error.to_string()),
        };
        Ok(Answer { status, retry_after, body })
    }
}

fn lost(error: reqwest::Error) -> RequestFailure {
    if let Some(forbidden) = guard::forbidden(&error) {
        return RequestFailure::Forbidden(forbidden.clone());
    }
    if error.is_connect() || error.is_builder() {
        RequestFailure::NotSent(http::describe(error))
    } else {
        RequestFailure::Unknown(http::describe(error))
    }
}
