//! `/api/v1/calls`

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::appointments::instant;
use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::messages::{self, Accepted};
use super::once::once;
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{CallBody, CallDirection, CallId, CallStatus, ContactId, EventId, OnMachine, Phone};
use crate::engine::sending::by_hand::Outbox;
use crate::engine::sending::call_request::UnfitCall;
use crate::engine::sending::services::{CallRefused, CallService};
use crate::http::AppState;
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS};
use crate::store::{CallEvent, CallFilter, ListedCall, ListedLeg, ListedTurn};

/// The longest that names a call, ours or the provider's, in bytes.
const ID_MAX_BYTES: usize = 64;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, begin)).routes(routes!(show))
}

/// A call in either direction.
#[derive(Debug, Serialize, ToSchema)]
struct Call {
    id: Uuid,
    /// The provider's (`CA…`)
    sid: String,
    /// `in`: a customer rang; `out`: a customer was rung
    direction: String,
    from: String,
    to: String,
    /// `null` where the number is nobody's, or the customer was erased
    customer: Option<Uuid>,
    /// The send of ours that began it: the `id` that the call was begun with
    action: Option<Uuid>,
    /// The voice agent that it was given to
    agent: Option<String>,
    #[schema(example = "completed")]
    status: String,
    /// `human`, `machine_start` and the like, where it was asked for
    answered_by: Option<String>,
    /// Seconds
    duration_s: Option<u32>,
    recording_sid: Option<String>,
    /// Of the last recording
    recording_url: Option<String>,
    error_code: Option<i64>,
    /// Why it failed, in the provider's words
    detail: Option<String>,
    /// How the customer felt, from -1 to 1; where a conversation model was asked
    sentiment: Option<f64>,
    /// Two lines; where a conversation model was asked
    summary: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<String>,
}

impl From<ListedCall> for Call {
    fn from(one: ListedCall) -> Self {
        Self {
            id: one.id.uuid(),
            sid: one.sid,
            direction: one.direction.as_str().to_owned(),
            from: one.from,
            to: one.to,
            customer: one.customer.map(ContactId::uuid),
            action: one.action.map(|action| action.uuid()),
            agent: one.agent,
            status: one.status.to_string(),
            answered_by: one.answered_by,
            duration_s: one.duration_s,
            recording_sid: one.recording_sid,
            recording_url: one.recording_url,
            error_code: one.error_code,
            detail: one.detail,
            sentiment: one.result.sentiment,
            summary: one.result.summary,
            started_at: one.started_at.to_string(),
            ended_at: one.ended_at.map(|at| at.to_string()),
        }
    }
}

/// A call with all that is kept of it.
#[derive(Debug, Serialize, ToSchema)]
struct WholeCall {
    #[serde(flatten)]
    call: Call,
    /// The rules that ran in it, by name
    rules: Vec<String>,
    /// Whom the caller was put through to
    legs: Vec<CallLeg>,
    /// What was said
    transcript: Vec<Spoken>,
    /// What was heard, and who found the answer
    turns: Vec<CallTurn>,
    /// The events that it has fired
    events: Vec<Fired>,
}

/// A leg: somebody else who was dialled.
#[derive(Debug, Serialize, ToSchema)]
struct CallLeg {
    /// In the answer to this turn
    turn: i32,
    /// The provider's (`CA…`)
    sid: Option<String>,
    /// A number, or `queue:` and its name
    to: String,
    #[schema(example = "no-answer")]
    status: String,
    duration_s: Option<u32>,
    #[schema(value_type = String, format = DateTime)]
    began_at: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<String>,
}

impl From<ListedLeg> for CallLeg {
    fn from(one: ListedLeg) -> Self {
        Self {
            turn: one.n,
            sid: one.sid,
            to: one.to,
            status: one.status.to_string(),
            duration_s: one.duration_s,
            began_at: one.began_at.to_string(),
            ended_at: one.ended_at.map(|at| at.to_string()),
        }
    }
}

/// A line of what was said.
#[derive(Debug, Serialize, ToSchema)]
struct Spoken {
    /// `caller` or `us`
    who: String,
    text: String,
}

/// One question of the provider's: what is said next?
#[derive(Debug, Serialize, ToSchema)]
struct CallTurn {
    n: i32,
    #[schema(value_type = String, format = DateTime)]
    at: String,
    /// What was pressed or said
    heard: String,
    /// The steps that answered it; `null` while the answer is looked for
    #[schema(value_type = Option<Vec<Object>>)]
    answer: Option<Value>,
    /// Who found it: `rules`, `agent`, `model`, `stream`, `greeting` or `fallback`
    how: Option<String>,
    /// Milliseconds
    took_ms: Option<i32>,
}

impl From<ListedTurn> for CallTurn {
    fn from(one: ListedTurn) -> Self {
        let answer = one.answer.and_then(|steps| serde_json::to_value(steps).ok());
        Self { n: one.n, at: one.at.to_string(), heard: one.heard, answer, how: one.how, took_ms: one.took_ms }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Fired {
    id: Uuid,
    #[schema(example = "call_completed")]
    kind: String,
    #[schema(value_type = String, format = DateTime)]
    at: String,
}

impl From<CallEvent> for Fired {
    fn from(one: CallEvent) -> Self {
        Self { id: one.id.uuid(), kind: one.kind, at: one.at.to_string() }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those of this customer
    customer: Option<Uuid>,
    /// Only those from and to this number of a customer's, E.164
    #[param(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    number: Option<String>,
    /// Only those that customers began, or those that we began
    #[param(value_type = Option<String>, pattern = "^(in|out)$")]
    direction: Option<CallDirection>,
    /// Only those that stand so
    #[param(value_type = Option<String>,
        pattern = "^(queued|initiated|ringing|in-progress|completed|busy|failed|no-answer|canceled)$")]
    status: Option<CallStatus>,
    /// That began at this instant or later
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    since: Option<String>,
    /// That began before this
    #[param(example = "2026-12-08T00:00:00Z", format = DateTime)]
    until: Option<String>,
    /// Rows, at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

/// A call to be made: it begins at a step of a rule, or with a voice agent, or says something and is over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCall {
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    to: String,
    /// What is said
    #[schema(min_length = 1, max_length = 3000)]
    say: Option<String>,
    /// The rule whose `.on_call(…)` begins it
    #[schema(min_length = 1, max_length = 80)]
    rule: Option<String>,
    /// The step of the rule
    #[schema(min_length = 1, max_length = 80)]
    step: Option<String>,
    /// The voice agent that has it
    #[schema(min_length = 1, max_length = 80)]
    agent: Option<String>,
    /// The provider's name of a voice; else the agent's, else the business's
    #[schema(example = "Polly.Lucia", min_length = 1, max_length = 80)]
    voice: Option<String>,
    /// BCP 47; else the agent's, else the business's
    #[schema(example = "es-ES", min_length = 1, max_length = 80)]
    language: Option<String>,
    /// Where a machine answers: `hangup`, `message` or `go_on`; nobody looks who answers where nothing is said
    #[schema(value_type = Option<String>, pattern = "^(hangup|message|go_on)$")]
    machine: Option<OnMachine>,
    /// What a machine is told; else what is said
    #[schema(min_length = 1, max_length = 3000)]
    message: Option<String>,
    /// Record it
    #[serde(default)]
    record: bool,
    /// Seconds that it rings
    #[schema(minimum = 5, maximum = 600)]
    timeout_s: Option<u16>,
    /// What the call remembers from its beginning: `e.call.state`
    #[serde(default)]
    #[schema(value_type = Object)]
    state: BTreeMap<String, Value>,
}

/// What became of a call so far.
#[derive(Debug, Serialize, ToSchema)]
struct Begun {
    /// Opens the call, once the provider has spoken of it; `recado explain` takes it at once
    id: Uuid,
    #[schema(example = "planned")]
    state: String,
}

/// Calls, the newest first
#[utoipa::path(get, path = "/calls", operation_id = "listCalls", tag = "calls", params(Which),
    responses((status = 200, description = "A page of them", body = Page<Call>), Common))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<axum::Json<Page<Call>>, Problem> {
    let limit = Cursor { limit: which.limit, after: which.after }.limit()?;
    let phone = which.number.as_deref().map(Phone::parse).transpose();
    let filter = CallFilter {
        contact: which.customer.map(ContactId::new),
        peer_key: phone.map_err(|error| Problem::bad_request(error.to_string()))?.map(|phone| phone.key()),
        direction: which.direction,
        status: which.status,
        since: instant("since", which.since.as_deref())?,
        until: instant("until", which.until.as_deref())?,
        after: which.after.map(CallId::new),
        limit: limit + 1,
    };
    let rows = state.store.call_page(caller.0.id, &filter).await?;
    let calls = rows.into_iter().map(Call::from).collect();
    Ok(axum::Json(Page::of(calls, limit, |call: &Call| call.id)))
}

/// One call, with its legs, what was said in it and what it has fired
#[utoipa::path(get, path = "/calls/{id}", operation_id = "getCall", tag = "calls",
    params(("id" = String, Path, description = "Its `id`, the provider's (`CA…`), or the one it was begun with")),
    responses((status = 200, description = "The call", body = WholeCall), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<WholeCall>, Problem> {
    let (store, tenant) = (&state.store, caller.0.id);
    let none = || Problem::not_found("call");
    if id.len() > ID_MAX_BYTES || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(none());
    }
    let call = store.listed_call(tenant, &id).await?.ok_or_else(none)?;
    let transcript = store.transcript(tenant, call.id).await?;
    let (legs, turns) = (store.call_legs(tenant, call.id).await?, store.call_turns(tenant, call.id).await?);
    Ok(axum::Json(WholeCall {
        rules: store.rules_of_call(tenant, call.id).await?,
        legs: legs.into_iter().map(CallLeg::from).collect(),
        transcript: transcript.into_iter().map(|line| Spoken { who: line.who, text: line.text }).collect(),
        turns: turns.into_iter().map(CallTurn::from).collect(),
        events: store.events_of_call(tenant, &call).await?.into_iter().map(Fired::from).collect(),
        call: call.into(),
    }))
}

/// Calls somebody
///
/// It goes through the ledger like any other: do-not-call, quiet hours and rates hold.
#[utoipa::path(post, path = "/calls", operation_id = "beginCall", tag = "calls", request_body = NewCall,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 202, description = "It is in the ledger", body = Begun), Common, Writing))]
async fn begin(State(state): State<AppState>, caller: Caller, body: Body<NewCall>) -> Result<Response, Problem> {
    const { assert!(SPOKEN_CHARS == 3_000 && NAME_CHARS == 80, "the description says so") };
    let pipeline = &state.pipeline;
    let calls = CallService(Outbox { store: state.store.clone(), directory: state.directory.clone() });
    once(&state, &caller, body, async |id, new: NewCall| {
        let to = Phone::parse(&new.to).map_err(|error| Problem::unfit("not_e164", error))?;
        let event = EventId::new(id);
        let begun = calls.call(&pipeline.rules(), event, &caller.0, to.as_str(), new.into()).await;
        let action = begun.map_err(refused)?;
        let Accepted { id, state } = messages::accepted(&state, caller.0.id, action).await?;
        Ok((StatusCode::ACCEPTED, Begun { id, state }))
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
