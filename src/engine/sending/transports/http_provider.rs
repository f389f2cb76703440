//! Text messages by another provider, which PROVIDERS_FILE describes.

use std::sync::Arc;

use super::Outgoing;
use crate::domain::{Route, Send, SendBody};
use crate::integrations::http_providers::template::Values;
use crate::integrations::http_providers::{Callbacks, Client};
use crate::integrations::provider::{Accepted, SendFailure};
use crate::tenants::Platform;

/// The circuit of the account limits them.
pub(super) const IN_FLIGHT_MAX: usize = usize::MAX;

/// All tenants share a provider; `None` where PROVIDERS_FILE does not describe it.
pub(super) fn account_key(platform: &Platform, name: &Arc<str>) -> Option<String> {
    platform.providers.named(name).map(|_| Route::Provider(name.clone()).to_string())
}

/// Sends a text; `None` where the provider is not described, or `send` is no text.
pub(super) async fn send(
    client: &Client,
    callbacks: &Callbacks,
    outgoing: Outgoing<'_>,
    name: &Arc<str>,
    send: &Send,
) -> Option<Result<Accepted, SendFailure>> {
    let Outgoing { tenant, platform, queued } = outgoing;
    let SendBody::Text(text) = &send.body else { return None };
    let provider = platform.providers.named(name)?;
    let id = queued.id.to_string();
    let callback = callbacks.url(name, &tenant.slug, &id);
    let values = Values { to: send.to.as_str(), from: &queued.sender, text, id: &id, callback: &callback };
    Some(provider.send(client, &values).await)
}
