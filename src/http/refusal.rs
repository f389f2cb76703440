//! Refusals: a status for the caller, a cause for whoever reads the log.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::{RefusalKind, TenantId};
use crate::store::StoreError;

#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    /// Said to the caller: nothing that a forger could learn from.
    text: String,
    /// Said to the log.
    cause: String,
    /// `None` where it is our own failure: that is no fault of who called.
    kind: Option<RefusalKind>,
    /// Whose URL was called, as far as it is known.
    tenant: Option<TenantId>,
}

impl Refusal {
    /// The caller has not proven to be the provider: the same words whatever the reason.
    pub fn forged(kind: RefusalKind, cause: impl Into<String>) -> Self {
        let text = "this request is not signed by the account that this URL belongs to";
        Self::new(StatusCode::FORBIDDEN, text, cause, kind)
    }

    /// What is brought is another's, said to a caller who need not prove to be the provider.
    pub fn misdirected(kind: RefusalKind, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self::new(StatusCode::FORBIDDEN, cause.clone(), cause, kind)
    }

    pub fn unknown_tenant(cause: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "nobody here is known by this URL or number", cause, RefusalKind::Unknown)
    }

    /// The form cannot be read; the text says which field and what is expected.
    pub fn bad_form(cause: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, cause.clone(), cause, RefusalKind::BadForm)
    }

    pub fn too_large(max_bytes: usize) -> Self {
        let text = format!("the body has more than {max_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text.clone(), text, RefusalKind::TooLarge)
    }

    pub fn timeout(cause: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, cause, cause, RefusalKind::TooSlow)
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn cause(&self) -> &str {
        &self.cause
    }

    pub const fn kind(&self) -> Option<RefusalKind> {
        self.kind
    }

    pub const fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// With whose URL was called.
    #[must_use]
    pub fn of(self, tenant: TenantId) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    fn new(status: StatusCode, text: impl Into<String>, cause: impl Into<String>, kind: RefusalKind) -> Self {
        Self { status, text: text.into(), cause: cause.into(), kind: Some(kind), tenant: None }
    }
}

/// What could not be stored was not accepted: the provider may bring it again, and the catch-up will find it.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "this cannot be stored at the moment; bring it again".to_owned(),
            cause: error.to_string(),
            kind: None,
            tenant: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text).into_response()
    }
}
