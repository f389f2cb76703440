//! From a provider's form to a call in our own words.

use crate::directory::Tenant;
use crate::domain::event::CallData;
use crate::domain::{ActionId, CallDirection, CallStatus, Phone};
use crate::store::Caller;
use crate::twilio::form::Params;
use crate::web::Refusal;

/// Whose call it is.
pub fn caller(tenant: &Tenant, params: &Params, action: Option<ActionId>) -> Result<Caller, Refusal> {
    let field = |name: &str| {
        params.filled(name).map(str::to_owned).ok_or_else(|| Refusal::bad_form(format!("the form has no {name}")))
    };
    let (sid, from, to) = (field("CallSid")?, field("From")?, field("To")?);
    let outbound = params.get("Direction").is_some_and(|direction| direction.starts_with("outbound"));
    let (direction, peer, number) =
        if outbound { (CallDirection::Out, to, from) } else { (CallDirection::In, from, to) };
    let status = params.get("CallStatus").and_then(CallStatus::parse).unwrap_or(CallStatus::InProgress);
    Ok(Caller {
        tenant: tenant.id,
        sid,
        direction,
        phone: Phone::parse(&peer).ok(),
        peer,
        number,
        action,
        status,
        answered_by: params.filled("AnsweredBy").map(str::to_owned),
    })
}

/// What was pressed or said, or how something else has ended.
pub fn heard(params: &Params) -> CallData {
    let text = |name: &str| params.filled(name).unwrap_or_default().trim().to_owned();
    let (digits, speech) = (text("Digits"), text("SpeechResult"));
    let outcome = ["DialCallStatus", "QueueResult"].into_iter().find_map(|name| params.filled(name));
    let recorded = params.filled("RecordingUrl").map(str::to_owned);
    CallData {
        body: if digits.is_empty() { speech.clone() } else { digits.clone() },
        digits,
        speech,
        confidence: params.filled("Confidence").and_then(|number| number.parse().ok()),
        outcome: outcome.map(str::to_owned).or_else(|| recorded.as_ref().map(|_| "recorded".to_owned())),
        recording_s: params.filled("RecordingDuration").and_then(|seconds| seconds.parse().ok()),
        recording_url: recorded,
        ..CallData::default()
    }
}
