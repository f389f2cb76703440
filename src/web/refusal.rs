//! Refusals: a status for the caller, a cause for whoever reads the log.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    /// Said to the caller: nothing that a forger could learn from.
    text: String,
    /// Said to the log.
    cause: String,
}

impl Refusal {
    /// The caller has not proven to be the provider: the same words whatever the reason.
    pub fn forged(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "this request is not signed by the account that this URL belongs to", cause)
    }

    /// What is brought is another's, said to a caller who need not prove to be the provider.
    pub fn misdirected(cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self::new(StatusCode::FORBIDDEN, cause.clone(), cause)
    }

    pub fn unknown_tenant(cause: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "nobody here is known by this URL or number", cause)
    }

    /// The form cannot be read; the text says which field and what is expected.
    pub fn bad_form(cause: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, cause.clone(), cause)
    }

    pub fn too_large(max_bytes: usize) -> Self {
        let text = format!("the body has more than {max_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text.clone(), text)
    }

    pub fn timeout(cause: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, cause, cause)
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn cause(&self) -> &str {
        &self.cause
    }

    fn new(status: StatusCode, text: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { status, text: text.into(), cause: cause.into() }
    }
}

/// What could not be stored was not accepted: the provider may bring it again, and the catch-up will find it.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this cannot be stored at the moment; bring it again",
            error.to_string(),
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text).into_response()
    }
}
