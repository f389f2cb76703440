//! The webhooks of calls: the provider asks what to say next, and reports the state of a call. All take GET and POST.
//!
//! | | with a slug | without |
//! |---|---|---|
//! | a call comes in, or the customer that we called has answered | `/api/twilio/{slug}/answer`, `…/voice` | `/api/twilio/voice`, `/api/voice/webhook`, `/api/webhooks/twilio` |
//! | keys or words of the caller | `…/gather` | `/api/webhooks/twilio/gather` |
//! | the state of the call | `…/status` | `/api/twilio/status`, `/api/voice/status-callback`, `/api/webhooks/twilio/status` |
//! | a call that we placed: it was answered; its state | `…/calls/{action}/answer`, `…/calls/{action}/status` | |
//! | a recording | `…/recording` | |
//! | while a caller waits in a queue | `…/queue` | |
//! | while the answer is being worked out | `…/wait` | |
//! | a live conversation (WebSocket) | | `/api/twilio/stream/{token}` |
//! | where nothing else answers | `…/fallback` | `/api/twilio/fallback` |

mod form;
pub mod outbound;
pub(in crate::http) mod queue;
pub(in crate::http) mod status;
pub(in crate::http) mod stream;
pub(in crate::http) mod turn;

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::domain::Channel;
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, WebhookRejection};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::recut::FormKind;
use crate::integrations::twilio::twiml;
use crate::tenants::{Snapshot, Tenant};

/// A TwiML document, the answer to a call's webhook.
pub struct Document(String);

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, twiml::CONTENT_TYPE)], self.0).into_response()
    }
}

/// Finds the tenant of a call whose URL names none: by our number, then by the tenant's own account. Our number is the
/// called one, or the calling one where we placed the call.
fn by_content(snapshot: &Snapshot, params: &Params) -> Result<Arc<Tenant>, WebhookRejection> {
    let outbound = params.get("Direction").is_some_and(|direction| direction.starts_with("outbound"));
    let ours = params.get(if outbound { "From" } else { "To" }).unwrap_or_default();
    let account = params.get("AccountSid").unwrap_or_default();
    snapshot
        .by_number(Channel::Voice, ours)
        .or_else(|| snapshot.by_number(Channel::Sms, ours))
        .or_else(|| snapshot.by_own_account(account))
        .cloned()
        .ok_or_else(|| {
            WebhookRejection::unknown_tenant(
                "no tenant owns the number that was rung; add it with 'recado tenant set'".to_owned(),
            )
        })
}

/// Finds the tenant of a webhook and verifies that its account has signed it.
fn verified(state: &AppState, slug: Option<&str>, webhook: &mut Webhook) -> Result<Arc<Tenant>, WebhookRejection> {
    let snapshot = state.directory.now();
    let tenant = match slug {
        Some(slug) => snapshot
            .by_slug(slug)
            .cloned()
            .ok_or_else(|| webhook.refuse_unknown(state, format!("no tenant has the slug '{slug}'")))?,
        None => by_content(&snapshot, &webhook.params)
            .map_err(|rejection| webhook.refuse_unknown(state, rejection.cause().to_owned()))?,
    };
    webhook.verify(state, &tenant, FormKind::Call).map_err(|rejection| rejection.of(tenant.id))?;
    Ok(tenant)
}
