//! The emulator's own routes for calls: inbound calls, acts of a person, events, scripts, pace.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::carrier::Carrier;
use super::super::long_poll::wait_for;
use super::super::method::Method;
use super::call::{Call, CallDirection, CallLogEntry, CallStatus, HungUpBy};
use super::order::{Order, Source};
use super::party::{Act, Party, Step};
use super::plan::Plan;
use super::report::Report;
use super::state::Pace;
use crate::domain::phone::Phone;

/// Calls in one answer.
const PAGE_MAX: usize = 200;
/// Limit of a caller's name.
const NAME_MAX_CHARS: usize = 256;

/// An inbound call: `{"from": "+34600111222", "to": "+34911222333", "steps": [{"digits": "1"}, {"speech": "gracias"},
/// {"hangup": true}]}`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerCall {
    /// The caller: a number, or `anonymous`, `client:…`, `sip:…`.
    pub from: String,
    /// The called number, E.164.
    pub to: String,
    /// The caller's steps, one for each prompt; silence afterwards.
    pub steps: Vec<Step>,
    /// A person acts as the caller after the steps: prompts wait for them.
    pub live: bool,
    pub forwarded_from: Option<String>,
    pub caller_name: Option<String>,
}

/// Why an inbound call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("{0}")]
    Wrong(String),
    #[error("nobody has the number {0}: GET /carrier/numbers lists those there are")]
    NoSuchNumber(String),
    #[error("{0} takes no calls: set its VoiceUrl")]
    NotConfigured(String),
    #[error("too many calls go on: try again when some have ended")]
    Busy,
    #[error("there is no call {0}, or it is over")]
    Over(String),
}

impl CallError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchNumber(_) => StatusCode::NOT_FOUND,
            Self::NotConfigured(_) | Self::Over(_) => StatusCode::CONFLICT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl Carrier {
    /// Starts an inbound call: requests the number's voice URL and runs the call in the background.
    pub fn take_call(&self, given: &CustomerCall) -> Result<Call, CallError> {
        let party = Party { steps: given.steps.clone(), ..Party::default() };
        party.check().map_err(CallError::Wrong)?;
        let named = ["client:", "sip:"].iter().any(|prefix| given.from.starts_with(prefix));
        if !named && given.from != "anonymous" && Phone::parse(&given.from).is_err() {
            return Err(CallError::Wrong(format!("from is '{}': write a number in E.164, or anonymous", given.from)));
        }
        if given.from.chars().chain(given.caller_name.iter().flat_map(|name| name.chars())).count() > NAME_MAX_CHARS {
            return Err(CallError::Wrong(format!("names have {NAME_MAX_CHARS} letters at most")));
        }
        let number = self.0.numbers.find(&given.to).ok_or_else(|| CallError::NoSuchNumber(given.to.clone()))?;
        let url = number.voice_url().ok_or_else(|| CallError::NotConfigured(given.to.clone()))?;
        let mut plan = Plan::new(Source::url(url, number.method("VoiceMethod")), party);
        plan.fallback =
            number.setting("VoiceFallbackUrl").map(|url| (url.to_owned(), number.method("VoiceFallbackMethod")));
        plan.report = number.status_url().map(|url| Report {
            url: url.to_owned(),
            method: number.method("StatusCallbackMethod"),
            events: vec!["completed"],
        });
        let now = self.0.clock.now();
        let account = number.config.account_sid.clone();
        let mut call = Call::new(self.new_sid("CA"), account, CallDirection::Inbound, now);
        (call.from, call.to) = (given.from.clone(), given.to.clone());
        (call.forwarded_from, call.caller_name) = (given.forwarded_from.clone(), given.caller_name.clone());
        (call.live, call.status, call.started_at) = (given.live, CallStatus::Ringing, Some(now));
        if self.0.begin_call(call.clone(), plan) { Ok(call) } else { Err(CallError::Busy) }
    }

    /// Performs an act of the person at the phone.
    pub fn act(&self, sid: &str, act: Act) -> Result<(), CallError> {
        let status = self.find_call(sid).map(|call| call.status);
        let talks = status == Some(CallStatus::InProgress);
        let taken = match &act {
            Act::Does(step) => {
                step.check().map_err(CallError::Wrong)?;
                if matches!(step, Step::Hangup { .. }) && talks {
                    self.0.calls.order(sid, Order::HangUp(HungUpBy::Party))
                } else {
                    self.0.calls.act(sid, act)
                }
            }
            Act::Answer { .. } => self.0.calls.act(sid, act),
        };
        if taken { Ok(()) } else { Err(CallError::Over(sid.to_owned())) }
    }
}

/// Formats a call for these routes.
fn call_view(call: &Call, after: u64) -> Value {
    let entries: Vec<&CallLogEntry> = call.entries.iter().filter(|entry| entry.number > after).collect();
    json!({
        "seq": call.seq,
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": call.parent_sid,
        "direction": call.direction.as_str(),
        "from": call.from,
        "to": call.to,
        "status": call.status.as_str(),
        "answered_by": call.answered_by,
        "live": call.live,
        "duration_ms": call.duration.as_millis() as u64,
        "error": call.error,
        "created_at": call.created_at,
        "happened": call.happened,
        "entries": entries,
    })
}

/// Starts an inbound call.
pub async fn begin(State(carrier): State<Carrier>, Json(given): Json<CustomerCall>) -> Result<Response, CallError> {
    let call = carrier.take_call(&given)?;
    Ok((StatusCode::CREATED, Json(call_view(&call, 0))).into_response())
}

/// Performs an act of the person at the phone.
pub async fn act(
    State(carrier): State<Carrier>,
    Path(sid): Path<String>,
    Json(act): Json<Act>,
) -> Result<StatusCode, CallError> {
    carrier.act(&sid, act)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query of a long poll.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowQuery {
    /// Only calls with this other end.
    customer: Option<String>,
    /// The number of the last known change, or of the last known event.
    after: u64,
    wait_ms: u64,
}

/// Returns the events of a call after a given one; waits for an event, or for the call's end.
pub async fn follow(
    State(carrier): State<Carrier>,
    Path(sid): Path<String>,
    Query(query): Query<FollowQuery>,
) -> Response {
    let look = || {
        let store = carrier.0.calls.store();
        let found = store.find(&sid);
        found.map(|call| (call.happened > query.after || call.status.is_final(), call_view(call, query.after)))
    };
    match wait_for(&carrier.0.calls.changes, query.wait_ms, look).await {
        Some(found) => Json(found).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such call").into_response(),
    }
}

/// Lists new and changed calls, without their events.
pub async fn list(State(carrier): State<Carrier>, Query(query): Query<FollowQuery>) -> Response {
    let look = || {
        let store = carrier.0.calls.store();
        let calls = store.changed_after(query.after, query.customer.as_deref(), PAGE_MAX);
        let seq = calls.last().filter(|_| calls.len() == PAGE_MAX).map_or(store.seq(), |last| last.seq);
        let calls: Vec<Value> = calls.into_iter().map(|call| call_view(call, u64::MAX)).collect();
        Some((!calls.is_empty(), json!({"seq": seq, "calls": calls})))
    };
    Json(wait_for(&carrier.0.calls.changes, query.wait_ms, look).await).into_response()
}

/// Lists the media streams of a call.
pub async fn streams(State(carrier): State<Carrier>, Path(sid): Path<String>) -> Response {
    let own: Vec<_> = carrier.streams().into_iter().filter(|stream| stream.call_sid == sid).collect();
    Json(own).into_response()
}

/// Returns the received audio of a stream: μ-law, without a header.
pub async fn sound(State(carrier): State<Carrier>, Path(sid): Path<String>) -> Response {
    match carrier.streams().into_iter().find(|stream| stream.sid == sid) {
        Some(stream) => ([("content-type", "audio/basic")], stream.sound).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such stream").into_response(),
    }
}

/// Sets the script of a number.
pub async fn set_party(
    State(carrier): State<Carrier>,
    Path(number): Path<String>,
    Json(party): Json<Party>,
) -> Result<StatusCode, CallError> {
    carrier.set_party(&number, party).map_err(CallError::Wrong)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the script of a number.
pub async fn party(State(carrier): State<Carrier>, Path(number): Path<String>) -> Json<Party> {
    Json(carrier.0.calls.party(&number))
}

/// Removes a number's script: it answers and stays silent again.
pub async fn clear_party(State(carrier): State<Carrier>, Path(number): Path<String>) -> StatusCode {
    carrier.0.calls.parties.lock().remove(&number);
    StatusCode::NO_CONTENT
}

/// Returns the pace.
pub async fn pace(State(carrier): State<Carrier>) -> Json<Pace> {
    Json(carrier.0.calls.pace())
}

/// Sets the pace.
pub async fn set_pace(State(carrier): State<Carrier>, Json(pace): Json<Pace>) -> StatusCode {
    carrier.set_pace(pace);
    StatusCode::NO_CONTENT
}

/// The methods of a number's URLs, by its settings.
impl super::super::number_store::Number {
    fn method(&self, key: &str) -> Method {
        if self.setting(key) == Some("GET") { Method::Get } else { Method::Post }
    }
}
