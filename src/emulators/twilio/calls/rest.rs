//! The Calls resource: create, list, fetch, update, delete.
//!
//! After <https://www.twilio.com/docs/voice/api/call-resource>.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::super::answer::{self, PageMeta, PageQuery};
use super::super::carrier::Carrier;
use super::super::faults::{self, FaultKind, On};
use super::super::request::{Authenticated, FormBody, ListQuery, Readable};
use super::super::validate::{Refusal, TEST_SENDER};
use super::call::{Call, CallDirection, CallStatus, HungUpBy};
use super::order::Order;
use super::store::{Conditions, Range};
use super::validate;
use crate::domain::Timestamp;
use crate::integrations::twilio::form::Params;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Creates a call.
pub async fn create(
    State(carrier): State<Carrier>,
    Authenticated(account): Authenticated<String>,
    body: Bytes,
) -> Response {
    let request_faults = carrier.0.faults.draw(On::Call, &account, &carrier.0.random);
    if let Some(response) = answer::fail_before(request_faults.answer).await {
        return response;
    }
    let Ok(form) = Params::parse(&body) else { return answer::bad_request("The request body is not a form.") };
    let call = match carrier.accept_call(&account, &form, request_faults.callbacks) {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    if request_faults.callbacks.is_some_and(|fault| fault.kind == FaultKind::CallbacksBeforeAnswer) {
        carrier.wait_calls().await;
    }
    answer::created(&call.resource(), request_faults.answer, &carrier.0.clock).await
}

impl Carrier {
    /// Accepts a call, or refuses it.
    fn accept_call(
        &self,
        account: &str,
        form: &Params,
        callback_fault: Option<faults::CallbackFault>,
    ) -> Result<Call, Refusal> {
        let (from, to) = validate::addresses(form)?;
        let owned = self.0.numbers.owns(account, &from);
        let test = from == TEST_SENDER && !owned;
        if self.0.strict && !owned && !test {
            return Err(validate::not_ours(&from));
        }
        let mut plan = validate::plan(form, self.0.calls.party(&to))?;
        plan.callback_fault = callback_fault;
        let now = self.0.clock.now();
        let mut call = Call::new(self.new_sid("CA"), account.to_owned(), CallDirection::OutboundApi, now);
        (call.from, call.to) = (from, to);
        call.live = plan.party.is_live();
        self.0.taken.send_modify(|taken| *taken += 1);
        if test {
            // Test credentials create no real call.
            self.0.push_call(call.clone());
        } else if !self.0.begin_call(call.clone(), plan) {
            return Err(Refusal::new(21611, "The carrier has no room for more calls at once.".to_owned()));
        }
        Ok(call)
    }

    /// Returns the account's call that `CA….json` names.
    fn named_call(&self, account: &str, file: &str) -> Result<Call, Refusal> {
        let sid = file.strip_suffix(".json").unwrap_or(file);
        let found = self.find_call(sid).filter(|call| call.account_sid == account);
        found.ok_or_else(|| Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/Calls/{file}")))
    }

    /// Ends a call, or replaces its document.
    fn update_call(&self, call: &Call, form: &Params) -> Result<Call, Refusal> {
        let wrong = |code, text: &str| Err(Refusal::new(code, text.to_owned()));
        let source = validate::source(form)?;
        match (form.filled("Status"), source) {
            (Some(status @ ("canceled" | "completed")), _) => {
                let rings = matches!(call.status, CallStatus::Queued | CallStatus::Ringing);
                // An ended call does not change, and an answered call cannot be cancelled.
                if !call.status.is_final() && (status == "completed" || rings) {
                    self.0.calls.order(&call.sid, Order::HangUp(HungUpBy::Api));
                }
            }
            (Some(_), _) => return wrong(21218, "The Status can only be set to canceled or completed."),
            (None, Some(source)) => {
                if call.status != CallStatus::InProgress || !self.0.calls.order(&call.sid, Order::Go(source)) {
                    return wrong(21220, "Call is not in-progress. Cannot redirect.");
                }
            }
            (None, None) => return wrong(20001, "Give a Status, a Url or Twiml."),
        }
        self.find_call(&call.sid).ok_or_else(|| Refusal::not_found(&call.sid))
    }
}

/// Lists calls.
pub async fn list(
    State(carrier): State<Carrier>,
    Readable(account): Readable<String>,
    ListQuery(query): ListQuery,
) -> Response {
    let conditions = Conditions {
        account: &account,
        to: query.filled("To"),
        from: query.filled("From"),
        parent: query.filled("ParentCallSid"),
        status: query.filled("Status"),
        started: ranges(&query, "StartTime"),
        ended: ranges(&query, "EndTime"),
    };
    let page = PageQuery::from_query(&query);
    let store = carrier.0.calls.store();
    if page.after.as_deref().is_some_and(|sid| store.find(sid).is_none()) {
        return answer::unknown_page();
    }
    let (calls, more) = store.page(&conditions, page.after.as_deref(), page.size);
    let last = calls.last().filter(|_| more).map(|last| last.sid.clone());
    let calls: Vec<Value> = calls.into_iter().map(Call::resource).collect();
    drop(store);
    let meta = page.meta(&format!("/2010-04-01/Accounts/{account}/Calls.json"), calls.len(), last.as_deref());
    Json(Page { meta, calls }).into_response()
}

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    meta: PageMeta,
    calls: Vec<Value>,
}

/// Parses `StartTime`, `StartTime<` and `StartTime>`: days in GMT, or instants. Other values set no condition.
fn ranges(query: &Params, key: &str) -> Vec<Range> {
    let read = |key: String| {
        let text = query.filled(&key)?;
        let day = Timestamp::parse(&format!("{text}T00:00:00Z")).ok().map(|at| (at, at.plus(DAY)));
        let instant = || Timestamp::parse(text).ok().map(|at| (at, at.plus(Duration::from_micros(1))));
        day.or_else(instant)
    };
    let on = read(key.to_owned()).map(|(from, before)| (Some(from), Some(before)));
    let until = read(format!("{key}<")).map(|(_, before)| (None, Some(before)));
    let since = read(format!("{key}>")).map(|(from, _)| (Some(from), None));
    [on, until, since].into_iter().flatten().collect()
}

/// Fetches a call.
pub async fn fetch(State(carrier): State<Carrier>, Readable((account, file)): Readable<(String, String)>) -> Response {
    match carrier.named_call(&account, &file) {
        Ok(call) => Json(call.resource()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Ends or redirects a call.
pub async fn update(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
    FormBody(form): FormBody,
) -> Response {
    match carrier.named_call(&account, &file).and_then(|call| carrier.update_call(&call, &form)) {
        Ok(call) => Json(call.resource()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Deletes a call that has ended.
pub async fn delete(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
) -> Response {
    match carrier.named_call(&account, &file) {
        Ok(call) if call.status.is_final() => {
            carrier.0.calls.store().remove(&call.sid);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => {
            let text = "Cannot delete this resource before it is complete.".to_owned();
            Refusal { http_status: 409, ..Refusal::new(20009, text) }.into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
