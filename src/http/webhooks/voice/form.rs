//! From a provider's form to a call in our own words.

use crate::domain::event::CallData;
use crate::domain::{ActionId, CallDirection, CallStatus, Phone};
use crate::http::WebhookRejection;
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::voice::{CallRequest, Dialled, Gathered, Queued};
use crate::store::Caller;
use crate::tenants::Tenant;

fn bad(error: impl ToString) -> WebhookRejection {
    WebhookRejection::bad_form(error.to_string())
}

/// Stands for a withheld number. It is no phone number, so that two such callers do not count as one customer.
const ANONYMOUS: &str = "anonymous";

/// Returns the caller of a call.
pub fn caller(tenant: &Tenant, params: &Params, action: Option<ActionId>) -> Result<Caller, WebhookRejection> {
    let request = CallRequest::parse(params).map_err(bad)?;
    let outbound = request.direction.as_ref().is_some_and(|direction| direction.raw.starts_with("outbound"));
    let withheld = request.is_withheld();
    let (from, to) = (request.from.value, request.to.value);
    let (direction, peer, number) = match (outbound, withheld) {
        (true, _) => (CallDirection::Out, to, from),
        (false, true) => (CallDirection::In, ANONYMOUS.to_owned(), to),
        (false, false) => (CallDirection::In, from, to),
    };
    Ok(Caller {
        tenant: tenant.id,
        account: Some(tenant.account.sid.clone()),
        sid: request.call_sid,
        direction,
        phone: Phone::parse(&peer).ok(),
        peer,
        number,
        action,
        // Twilio may add statuses. A caller for whom instructions are requested is on the line.
        status: CallStatus::parse(&request.status.raw).unwrap_or(CallStatus::InProgress),
        answered_by: request.answered_by.map(|who| who.raw),
    })
}

/// Returns what was pressed or said, or the result of another verb.
pub fn call_data(params: &Params) -> CallData {
    let gathered = Gathered::parse(params);
    let text = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
    let (digits, speech) = (text(gathered.digits), text(gathered.speech));
    let recording_url = params.filled("RecordingUrl").map(str::to_owned);
    let dialled = params.filled("DialCallStatus").map(|_| Dialled::parse(params));
    let outcome = if let Some(leg) = &dialled {
        Some(leg.status.raw.clone()).filter(|status| !status.is_empty())
    } else if params.filled("QueueResult").is_some() {
        Queued::parse(params).result.map(|result| result.raw)
    } else {
        recording_url.as_ref().map(|_| "recorded".to_owned())
    };
    CallData {
        body: if digits.is_empty() { speech.clone() } else { digits.clone() },
        digits,
        speech,
        confidence: gathered.confidence,
        outcome,
        leg_s: dialled.as_ref().and_then(|leg| leg.duration_s),
        leg_sid: dialled.and_then(|leg| leg.call_sid),
        recording_s: params.filled("RecordingDuration").and_then(|seconds| seconds.parse().ok()),
        recording_url,
        dropped: gathered.dropped,
        ..CallData::default()
    }
}
