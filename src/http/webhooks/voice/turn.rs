//! The webhooks that ask for instructions.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, form, verified};
use crate::domain::event::CallData;
use crate::domain::phone::mask;
use crate::domain::{ActionId, CallDirection, EventKind, RefusalKind};
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, WebhookRejection};
use crate::integrations::twilio::twiml;
use crate::store::NewTurn;

pub async fn answer_of(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = answer_call(&state, Some(&slug), None, request).await;
    state.record_webhook("answer", result)
}

pub async fn answer(State(state): State<AppState>, request: Request<Body>) -> Result<Document, WebhookRejection> {
    let result = answer_call(&state, None, None, request).await;
    state.record_webhook("answer", result)
}

pub async fn gather_of(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = answer_input(&state, Some(&slug), request).await;
    state.record_webhook("gather", result)
}

pub async fn gather(State(state): State<AppState>, request: Request<Body>) -> Result<Document, WebhookRejection> {
    let result = answer_input(&state, None, request).await;
    state.record_webhook("gather", result)
}

pub async fn fallback_of(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = answer_fallback(&state, Some(&slug), request).await;
    state.record_webhook("fallback", result)
}

pub async fn fallback(State(state): State<AppState>, request: Request<Body>) -> Result<Document, WebhookRejection> {
    let result = answer_fallback(&state, None, request).await;
    state.record_webhook("fallback", result)
}

/// The provider comes back for an answer that was not ready.
pub async fn wait(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = answer_wait(&state, &slug, request).await;
    state.record_webhook("wait", result)
}

async fn answer_wait(state: &AppState, slug: &str, request: Request<Body>) -> Result<Document, WebhookRejection> {
    let mut webhook = Webhook::read(request).await?;
    let number = |name: &str| webhook.query(name).and_then(|number| number.parse::<u32>().ok());
    let (turn, round) = (number("turn").and_then(|turn| i32::try_from(turn).ok()), number("round"));
    let (Some(turn), Some(round)) = (turn, round) else {
        return Err(WebhookRejection::bad_form("turn and round are numbers".to_owned()));
    };
    let tenant = verified(state, Some(slug), &mut webhook)?;
    let sid = webhook
        .params
        .filled("CallSid")
        .ok_or_else(|| WebhookRejection::bad_form("the form has no CallSid".to_owned()))?;
    Ok(Document(state.voice.answer_or_hold(&tenant, sid, turn, round).await))
}

/// Answers the beginning of a call; `action` is the send that placed it.
pub(super) async fn answer_call(
    state: &AppState,
    slug: Option<&str>,
    action: Option<ActionId>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let webhook = Webhook::read(request).await?;
    // Without parameters somebody tests whether the URL can be reached. A webhook of a call must be signed.
    if webhook.params.is_empty() {
        return Ok(Document(twiml::EMPTY_RESPONSE.to_owned()));
    }
    turn(state, slug, action, webhook, |_, caller| {
        let kind = match caller {
            CallDirection::In => EventKind::CALL_RECEIVED,
            CallDirection::Out => EventKind::CALL_OPENED,
        };
        Ok((kind, "answer".to_owned(), false))
    })
    .await
}

/// Answers keys or words of the caller, their absence, or the end of a step.
async fn answer_input(
    state: &AppState,
    slug: Option<&str>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let webhook = Webhook::read(request).await?;
    turn(state, slug, None, webhook, |webhook, _| Ok((EventKind::CALL_INPUT, key_of_turn(webhook)?, true))).await
}

/// Our own URLs name the turn. Without it a repeat could not be told from the next turn.
fn key_of_turn(webhook: &Webhook) -> Result<String, WebhookRejection> {
    match webhook.query("turn") {
        Some(turn) if turn.len() <= 10 && turn.bytes().all(|b| b.is_ascii_digit()) => Ok(format!("after:{turn}")),
        Some(_) => Err(WebhookRejection::bad_form("turn is a number".to_owned())),
        None => Err(WebhookRejection::bad_form(
            "the URL names no turn, such as ?turn=2: call only the URLs of the TwiML that was answered".to_owned(),
        )),
    }
}

async fn turn(
    state: &AppState,
    slug: Option<&str>,
    action: Option<ActionId>,
    mut webhook: Webhook,
    which: impl Fn(&Webhook, CallDirection) -> Result<(EventKind, String, bool), WebhookRejection>,
) -> Result<Document, WebhookRejection> {
    let tenant = verified(state, slug, &mut webhook)?;
    let caller = form::caller(&tenant, &webhook.params, action).map_err(|rejection| rejection.of(tenant.id))?;
    // Only after the signature, so that nobody else learns what is looked at.
    let (kind, key, has_input) = which(&webhook, caller.direction).map_err(|rejection| rejection.of(tenant.id))?;
    let (from, to) = caller.direction.ends(&caller.peer, &caller.number);
    tracing::info!(tenant = %tenant.slug, call = %caller.sid, from = %mask(from), to = %mask(to), kind = %kind, "Twilio: a call asks what to say");
    let data = if has_input { form::call_data(&webhook.params) } else { CallData::default() };
    if !data.dropped.is_empty() {
        tracing::warn!(tenant = %tenant.slug, call = %caller.sid, fields = ?data.dropped, "fields of a call that were not usable");
    }
    let turn = NewTurn { caller, kind, key, data, at: state.clock.now() };
    let answer = state.voice.answer(&tenant, turn).await;
    answer
        .map(Document)
        .map_err(|_| WebhookRejection::unverified(RefusalKind::Account, "this call is another tenant's").of(tenant.id))
}

/// Answers when the provider could not reach or understand the other URLs, with fixed words from memory.
async fn answer_fallback(
    state: &AppState,
    slug: Option<&str>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let mut webhook = Webhook::read(request).await?;
    if webhook.params.is_empty() {
        return Ok(Document(twiml::EMPTY_RESPONSE.to_owned()));
    }
    let tenant = verified(state, slug, &mut webhook)?;
    let code = webhook.params.filled("ErrorCode").unwrap_or("none");
    tracing::error!(tenant = %tenant.slug, code, "the provider fell back: the call's own URL did not answer it well");
    Ok(Document(state.voice.fallback(&tenant)))
}
