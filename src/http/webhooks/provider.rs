//! The delivery callback of a provider of PROVIDERS_FILE. The URL names the send, and its last part proves that we made it.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::inbound::read_body;
use crate::domain::{ActionId, RefusalKind, Route};
use crate::http::{AppState, WebhookRejection};
use crate::integrations::http_providers::provider::CallbackError;
use crate::integrations::twilio::form::Params;
use crate::store::{Settled, StatusReport};

pub async fn webhook(
    State(state): State<AppState>,
    Path(path): Path<(String, String, String, String)>,
    request: Request<Body>,
) -> Result<StatusCode, WebhookRejection> {
    let settled = settle(&state, path, request).await;
    state.record_webhook("provider", settled).map(|()| StatusCode::NO_CONTENT)
}

async fn settle(
    state: &AppState,
    (name, slug, action, mac): (String, String, String, String),
    request: Request<Body>,
) -> Result<(), WebhookRejection> {
    // First of all: a caller without a URL of ours learns nothing, not even which names exist.
    if !state.transports.callbacks.is_genuine(&name, &slug, &action, &mac) {
        return Err(WebhookRejection::unverified(
            RefusalKind::Proof,
            "this installation has made no such URL: has RECADO_SECRET_KEY changed since?",
        ));
    }
    let body = read(request).await?;
    let snapshot = state.directory.now();
    let tenant = snapshot
        .by_slug(&slug)
        .ok_or_else(|| WebhookRejection::unknown_tenant(format!("no tenant has the slug '{slug}'")))?;
    let action: ActionId =
        action.parse().map_err(|_| WebhookRejection::bad_form(format!("'{action}' is no action's id")))?;
    let provider = state.directory.platform().providers.named(&name).ok_or_else(|| {
        WebhookRejection::unknown_tenant(format!("PROVIDERS_FILE describes no provider '{name}' any more"))
    })?;
    let report = match provider.status_report(&body) {
        Ok(report) => report,
        Err(CallbackError::UnknownStatus(status)) => {
            tracing::warn!(tenant = %tenant.slug, provider = %name, %status,
                "a delivery status that [provider.callback] in PROVIDERS_FILE does not name");
            return Ok(());
        }
        Err(error) => return Err(WebhookRejection::bad_form(error.to_string())),
    };
    let report = StatusReport {
        tenant: tenant.id,
        action,
        // Without an id of the provider's, ours is used.
        sid: report.sid.unwrap_or_else(|| action.to_string()),
        status: report.status,
        error_code: report.error_code,
        unmatched: false,
        at: state.clock.now(),
    };
    if state.pipeline.settle(Route::Provider(name.as_str().into()), report).await? == Settled::UnknownAction {
        tracing::warn!(tenant = %tenant.slug, provider = %name, %action, "a delivery status of a send that this tenant does not have");
    }
    Ok(())
}

/// Reads JSON as it is, and a form or a query as an object of its fields. Fields of the body win over those of the query.
async fn read(request: Request<Body>) -> Result<Value, WebhookRejection> {
    let (parts, body) = request.into_parts();
    let body = read_body(body).await?;
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice(&body) {
        return Ok(json);
    }
    let mut fields = Map::new();
    for form in [&body[..], parts.uri.query().unwrap_or_default().as_bytes()] {
        let params = Params::parse(form).map_err(|error| WebhookRejection::bad_form(error.to_string()))?;
        for (name, value) in params.iter() {
            fields.entry(name.to_owned()).or_insert_with(|| value.into());
        }
    }
    Ok(Value::Object(fields))
}
