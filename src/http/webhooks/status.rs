//! The status callback of messages. Its URL has the action's id, so it finds the action even before the send's answer.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use crate::domain::{ActionId, DeliveryStatus, Route};
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, Empty, WebhookRejection};
use crate::integrations::twilio::inbound::StatusCallback;
use crate::integrations::twilio::recut::FormKind;
use crate::store::{Settled, StatusReport};
use crate::tenants::Tenant;

pub async fn webhook(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    let settled = settle(&state, &slug, &action, request).await;
    state.record_webhook("status", settled.map(|()| Empty))
}

async fn settle(state: &AppState, slug: &str, action: &str, request: Request<Body>) -> Result<(), WebhookRejection> {
    let webhook = Webhook::read(request).await?;
    let snapshot = state.directory.now();
    let tenant = snapshot
        .by_slug(slug)
        .ok_or_else(|| webhook.refuse_unknown(state, format!("no tenant has the slug '{slug}'")))?;
    apply(state, tenant, action, webhook).await.map_err(|rejection| rejection.of(tenant.id))
}

async fn apply(state: &AppState, tenant: &Tenant, action: &str, mut webhook: Webhook) -> Result<(), WebhookRejection> {
    webhook.verify(state, tenant, FormKind::Message)?;
    let action: ActionId =
        action.parse().map_err(|_| WebhookRejection::bad_form(format!("'{action}' is no action's id")))?;
    let callback =
        StatusCallback::parse(&webhook.params).map_err(|error| WebhookRejection::bad_form(error.to_string()))?;
    let Some(status) = DeliveryStatus::parse(&callback.status) else {
        // The set may grow. A new status is logged and not refused: the provider would repeat it.
        tracing::warn!(tenant = %tenant.slug, status = %callback.status, "a delivery status that is not known here");
        return Ok(());
    };
    let report = StatusReport {
        tenant: tenant.id,
        action,
        sid: callback.message_sid,
        status,
        error_code: callback.error_code.map(i64::from),
        unmatched: false,
        at: state.clock.now(),
    };
    if state.pipeline.settle(Route::Twilio, report).await? == Settled::UnknownAction {
        tracing::warn!(tenant = %tenant.slug, %action, "a delivery status of a send that this tenant does not have");
    }
    Ok(())
}
