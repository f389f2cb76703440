//! The status callbacks of calls and of recordings.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{form, verified};
use crate::domain::{ActionId, CallStatus, RefusalKind};
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, Empty, WebhookRejection};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::voice::{CallCallback, FormError, limits};
use crate::store::{CallReport, Leg, LegReport, Recording, Reported};
use crate::tenants::Tenant;

pub async fn status_of(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    let received = receive_status(&state, Some(&slug), None, request).await;
    state.record_webhook("call_status", received.map(|()| Empty))
}

pub async fn status(State(state): State<AppState>, request: Request<Body>) -> Result<Empty, WebhookRejection> {
    let received = receive_status(&state, None, None, request).await;
    state.record_webhook("call_status", received.map(|()| Empty))
}

/// Receives a recording. Its callback names the call without its numbers, which are known from the call.
pub async fn recording(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    let received = receive_status(&state, Some(&slug), None, request).await;
    state.record_webhook("recording", received.map(|()| Empty))
}

pub(super) async fn receive_status(
    state: &AppState,
    slug: Option<&str>,
    action: Option<ActionId>,
    request: Request<Body>,
) -> Result<(), WebhookRejection> {
    let mut webhook = Webhook::read(request).await?;
    let tenant = verified(state, slug, &mut webhook)?;
    if webhook.params.filled("ParentCallSid").is_some() {
        return leg(state, &tenant, &webhook).await;
    }
    let params = &mut webhook.params;
    if let (Some(sid), None) = (params.filled("CallSid"), params.filled("From")) {
        let known = state.store.call_by_sid(tenant.id, sid).await?;
        let Some(known) = known else {
            tracing::warn!(tenant = %tenant.slug, "a recording of a call that this tenant does not have");
            return Ok(());
        };
        params.push("From", &known.peer);
        params.push("To", &known.number);
        params.push("CallStatus", known.status.as_str());
    }
    let mut caller = form::caller(&tenant, params, action).map_err(|rejection| rejection.of(tenant.id))?;
    let status = params.filled("CallStatus").unwrap_or_default();
    if CallStatus::parse(status).is_none() {
        // The set may grow. A new status is logged and not refused: the provider would repeat it.
        tracing::warn!(tenant = %tenant.slug, %status, "a call's status that is not known here");
        caller.status = CallStatus::Queued;
    }
    let number = |name: &str| params.filled(name).and_then(|number| number.parse().ok());
    let report = CallReport {
        caller,
        duration_s: number("CallDuration"),
        recording: recording_in(params),
        error_code: params.filled("ErrorCode").and_then(|code| code.parse().ok()),
        detail: params.filled("ErrorMessage").map(|text| text.chars().take(300).collect()),
        silence_is_missed: tenant.settings.voice.silence_is_missed,
        tell_later: state.voice.reports_end_later(),
        at: state.clock.now(),
    };
    match state.voice.report(report).await? {
        Reported::Foreign => {
            Err(WebhookRejection::unverified(RefusalKind::Account, "this call is another tenant's").of(tenant.id))
        }
        Reported::Advanced | Reported::Ended | Reported::Stale => Ok(()),
    }
}

/// Stores the status of a leg that our answer dialled. A leg is part of its call.
async fn leg(state: &AppState, tenant: &Tenant, webhook: &Webhook) -> Result<(), WebhookRejection> {
    let bad = |error: FormError| WebhookRejection::bad_form(error.to_string()).of(tenant.id);
    let callback = CallCallback::parse(&webhook.params).map_err(bad)?;
    let Some(status) = CallStatus::parse(&callback.status.raw) else {
        // The set may grow.
        tracing::warn!(tenant = %tenant.slug, status = %callback.status.raw, "a leg's status that is not known here");
        return Ok(());
    };
    let turn = webhook.query("turn").map(|turn| turn.parse()).transpose();
    let turn = turn.map_err(|_| WebhookRejection::bad_form("turn is a number".to_owned()).of(tenant.id))?;
    let report = LegReport {
        tenant: tenant.id,
        call: callback.parent_call_sid.unwrap_or_default(),
        turn,
        leg: Leg { sid: Some(callback.call_sid), status, duration_s: callback.duration_s, at: state.clock.now() },
    };
    match state.store.report_leg(&report).await.map_err(WebhookRejection::from)? {
        Reported::Foreign => {
            Err(WebhookRejection::unverified(RefusalKind::Account, "this call is another tenant's").of(tenant.id))
        }
        Reported::Advanced | Reported::Ended | Reported::Stale => Ok(()),
    }
}

fn recording_in(params: &Params) -> Option<Recording> {
    let ready = params.filled("RecordingStatus").is_none_or(|status| status == "completed");
    let (sid, url) = (params.filled("RecordingSid")?, params.filled("RecordingUrl")?);
    if sid.len() > limits::WORD_MAX_BYTES || url.len() > limits::URL_MAX_BYTES {
        return None;
    }
    ready.then(|| Recording {
        sid: sid.to_owned(),
        url: url.to_owned(),
        seconds: params.filled("RecordingDuration").and_then(|seconds| seconds.parse().ok()),
    })
}
