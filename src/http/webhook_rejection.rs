//! Rejected webhooks, with a status for the caller and a cause for the log.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::{RefusalKind, TenantId};
use crate::store::StoreError;

#[derive(Debug)]
pub struct WebhookRejection {
    status: StatusCode,
    /// The answer to the caller. It tells a forger nothing.
    text: String,
    /// The cause, for the log.
    cause: String,
    /// `None` for a failure of our own.
    kind: Option<RefusalKind>,
    /// The tenant of the URL, where it is known.
    tenant: Option<TenantId>,
    /// The URLs for which the signature was checked, for the log.
    checked: Option<String>,
}

impl WebhookRejection {
    /// The caller has not proven to be the provider. The answer is the same whatever the reason.
    pub fn unverified(kind: RefusalKind, cause: impl Into<String>) -> Self {
        let text = "this request is not signed by the account that this URL belongs to";
        Self::new(StatusCode::FORBIDDEN, text, cause, kind)
    }

    /// The webhook belongs to another account or tenant, where the caller need not prove to be the provider.
    pub fn wrong_recipient(kind: RefusalKind, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self::new(StatusCode::FORBIDDEN, cause.clone(), cause, kind)
    }

    pub fn unknown_tenant(cause: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "nobody here is known by this URL or number", cause, RefusalKind::Unknown)
    }

    /// The form cannot be read. The text names the field and what is expected.
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

    /// Adds the tenant of the URL.
    #[must_use]
    pub fn of(self, tenant: TenantId) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    /// The URLs for which the signature was checked.
    pub fn checked_urls(&self) -> Option<&str> {
        self.checked.as_deref()
    }

    /// Adds the URLs for which the signature was checked.
    #[must_use]
    pub fn checked(self, urls: String) -> Self {
        Self { checked: Some(urls), ..self }
    }

    fn new(status: StatusCode, text: impl Into<String>, cause: impl Into<String>, kind: RefusalKind) -> Self {
        Self { status, text: text.into(), cause: cause.into(), kind: Some(kind), tenant: None, checked: None }
    }
}

/// A webhook that could not be stored was not accepted. The provider repeats it, or the catch-up finds it.
impl From<StoreError> for WebhookRejection {
    fn from(error: StoreError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "this cannot be stored at the moment; bring it again".to_owned(),
            cause: error.to_string(),
            kind: None,
            tenant: None,
            checked: None,
        }
    }
}

impl IntoResponse for WebhookRejection {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text).into_response()
    }
}
