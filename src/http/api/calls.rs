//! `/api/v1/calls`

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::appointments::instant;
use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::messages;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{CallBody, CallDirection, CallId, CallStatus, ContactId, EventId, OnMachine, Phone};
use crate::engine::sending::by_hand::Outbox;
use crate::engine::sending::call_request::UnfitCall;
use crate::engine::sending::services::{CallRefused, CallService};
use crate::http::AppState;
use crate::http::views::action::SendStateView;
use crate::http::views::call::{CallDetailsView, CallView};
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS};
use crate::store::CallFilter;

/// The longest id of a call, ours or the provider's, in bytes.
const ID_MAX_BYTES: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CallQuery {
    /// Only calls of this customer
    customer: Option<Uuid>,
    /// Only calls from and to this customer's number, E.164
    #[param(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    number: Option<String>,
    /// Only inbound or only outbound calls
    #[param(value_type = Option<String>, pattern = "^(in|out)$")]
    direction: Option<CallDirection>,
    /// Only calls with this status
    #[param(value_type = Option<String>,
        pattern = "^(queued|initiated|ringing|in-progress|completed|busy|failed|no-answer|canceled)$")]
    status: Option<CallStatus>,
    /// Only calls that began at this time or later
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    since: Option<String>,
    /// Only calls that began before this time
    #[param(example = "2026-12-08T00:00:00Z", format = DateTime)]
    until: Option<String>,
    /// The most rows
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

/// A call to place: it begins at a step of a rule, or with a voice agent, or speaks a text and ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    to: String,
    /// Text to speak
    #[schema(min_length = 1, max_length = 3000)]
    say: Option<String>,
    /// The rule whose `.on_call(…)` handles it
    #[schema(min_length = 1, max_length = 80)]
    rule: Option<String>,
    /// The step of the rule
    #[schema(min_length = 1, max_length = 80)]
    step: Option<String>,
    /// The voice agent that handles it
    #[schema(min_length = 1, max_length = 80)]
    agent: Option<String>,
    /// The voice, by the provider's name; default: the agent's, else the business's
    #[schema(example = "Polly.Lucia", min_length = 1, max_length = 80)]
    voice: Option<String>,
    /// Language tag (BCP 47); default: the agent's, else the business's
    #[schema(example = "es-ES", min_length = 1, max_length = 80)]
    language: Option<String>,
    /// Action when a machine answers: `hangup`, `message` or `go_on`; default: no detection
    #[schema(value_type = Option<String>, pattern = "^(hangup|message|go_on)$")]
    machine: Option<OnMachine>,
    /// Text to speak to a machine; default: `say`
    #[schema(min_length = 1, max_length = 3000)]
    message: Option<String>,
    /// Record the call
    #[serde(default)]
    record: bool,
    /// Seconds to ring
    #[schema(minimum = 5, maximum = 600)]
    timeout_s: Option<u16>,
    /// The initial state of the call: `e.call.state`
    #[serde(default)]
    #[schema(value_type = Object)]
    state: BTreeMap<String, Value>,
}

/// List calls, newest first.
#[utoipa::path(get, path = "/calls", operation_id = "listCalls", tag = "calls", params(CallQuery),
    responses((status = 200, description = "A page of calls", body = Page<CallView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<CallQuery>,
) -> Result<axum::Json<Page<CallView>>, Problem> {
    let limit = Cursor { limit: query.limit, after: query.after }.limit()?;
    let phone = query.number.as_deref().map(|number| Phone::parse_human(number, caller.0.home())).transpose();
    let filter = CallFilter {
        contact: query.customer.map(ContactId::new),
        peer_key: phone.map_err(|error| Problem::bad_request(error.to_string()))?.map(|phone| phone.key()),
        direction: query.direction,
        status: query.status,
        since: instant("since", query.since.as_deref())?,
        until: instant("until", query.until.as_deref())?,
        after: query.after.map(CallId::new),
        limit: limit + 1,
    };
    let rows = state.store.call_page(caller.0.id, &filter).await?;
    let calls = rows.into_iter().map(CallView::from).collect();
    Ok(axum::Json(Page::of(calls, limit, |call: &CallView| call.id)))
}

/// Get a call with its legs, transcript, notes and events.
#[utoipa::path(get, path = "/calls/{id}", operation_id = "getCall", tag = "calls",
    params(("id" = String, Path, description = "The call's id, the provider's (`CA…`), or the id of the send that placed it")),
    responses((status = 200, description = "The call", body = CallDetailsView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<CallDetailsView>, Problem> {
    let (store, tenant) = (&state.store, caller.0.id);
    let none = || Problem::not_found("call");
    if id.len() > ID_MAX_BYTES || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(none());
    }
    let call = store.listed_call(tenant, &id).await?.ok_or_else(none)?;
    Ok(axum::Json(CallDetailsView::load(store, tenant, call).await?))
}

/// Place a call.
///
/// Do-not-call, quiet hours and rates apply as to every send.
#[utoipa::path(post, path = "/calls", operation_id = "beginCall", tag = "calls", request_body = NewCall,
    params(IdempotencyKey),
    responses((status = 202, description = "The send is planned", body = SendStateView), Common, Writing))]
pub async fn begin(State(state): State<AppState>, caller: Caller, body: Body<NewCall>) -> Result<Response, Problem> {
    const { assert!(SPOKEN_CHARS == 3_000 && NAME_CHARS == 80, "the description says so") };
    let pipeline = &state.pipeline;
    let calls =
        CallService(Outbox { store: state.store.clone(), directory: state.directory.clone(), by: Some(caller.by()) });
    once(&state, &caller, body, async |id, new: NewCall| {
        let to = Phone::parse_human(&new.to, caller.0.home()).map_err(|error| Problem::unfit("not_e164", error))?;
        let event = EventId::new(id);
        let begun = calls.call(&pipeline.rules(), event, &caller.0, to.as_str(), new.into()).await;
        let action = begun.map_err(refused)?;
        Ok((StatusCode::ACCEPTED, messages::accepted(&state, caller.0.id, action).await?))
    })
    .await
}

impl From<NewCall> for CallBody {
    fn from(new: NewCall) -> Self {
        Self {
            rule: new.rule,
            step: new.step,
            agent: new.agent,
            say: new.say,
            voice: new.voice,
            language: new.language,
            machine: new.machine,
            message: new.message,
            record: new.record,
            timeout_s: new.timeout_s,
            state: new.state,
        }
    }
}

fn refused(error: CallRefused) -> Problem {
    match error {
        CallRefused::Send(error) => messages::refused(error),
        CallRefused::Unfit(error) => {
            let code = match &error {
                UnfitCall::Beginning(_) => "no_beginning",
                UnfitCall::Agent { .. } => "no_such_agent",
                UnfitCall::Body(_) => "bad_call",
            };
            Problem::unfit(code, error)
        }
    }
}
