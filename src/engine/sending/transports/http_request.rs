//! HTTP requests that a rule makes.

use crate::domain::{HttpRequest, Route};
use crate::integrations::http_providers::{Client, request};
use crate::integrations::provider::{Accepted, SendFailure};
use crate::store::QueuedSend;
use crate::tenants::Tenant;

/// The circuit of the account limits them.
pub(super) const IN_FLIGHT_MAX: usize = usize::MAX;

/// The servers are the tenant's own.
pub(super) fn account_key(tenant: &Tenant) -> String {
    format!("{}:{}", Route::Request, tenant.id)
}

/// Makes the request.
pub(super) async fn send(client: &Client, queued: &QueuedSend, wanted: &HttpRequest) -> Result<Accepted, SendFailure> {
    request::send(client, wanted, &queued.id.to_string()).await
}
