//! The requests of an attempt at the provider, and the meaning of its outcome for the ledger.

use std::time::Duration;

use lettre::message::Mailbox;

use super::circuit::AccountFailure;
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::clock::Random;
use crate::domain::{Address, CallBody, DeliveryStatus, OnMachine, Send, SendBody, Timestamp};
use crate::integrations::email::Mail;
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{Created, From, Instructions, NewCall, NewMessage, SendError};
use crate::integrations::twilio::codes;
use strum::VariantArray;

use crate::integrations::twilio::types::{CallEvent, MachineDetection};
use crate::store::{AttemptOutcome, AttemptResult, Claimed, QueuedSend};
use crate::tenants::{Account, Platform, Tenant};

/// A send that was refused for the moment fails for good after this time.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// The back-off of a single action: from a second, doubling, ten minutes at most.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(600);
const JITTER_PERCENT: u32 = 20;

/// Builds the provider's request for a message.
pub fn message(tenant: &Tenant, platform: &Platform, queued: &QueuedSend, send: &Send) -> NewMessage {
    let prefix = send.channel.address_prefix();
    let from = if queued.sender.starts_with("MG") {
        From::MessagingService(queued.sender.clone())
    } else {
        From::Number(format!("{prefix}{}", queued.sender))
    };
    let mut message = NewMessage::text(from, format!("{prefix}{}", send.to), "");
    message.status_callback = Some(WebhookUrls::new(&platform.app_url, &tenant.slug).message_status(queued.id.uuid()));
    match &send.body {
        SendBody::Text(text) => message.body = Some(text.clone()),
        // E-mail and calls take other routes: see `plan`.
        SendBody::Email(email) => message.body = Some(email.text.clone()),
        SendBody::Call(call) => message.body = Some(call.shown()),
        SendBody::Template(template) => {
            message.body = None;
            message.content_sid = Some(template.content.clone());
            message.content_variables =
                Some(serde_json::to_string(&template.variables).unwrap_or_else(|_| "{}".to_owned()));
        }
    }
    message
}

/// Builds the provider's request for a call. The action's id stands in its URLs, so that the provider's questions and
/// reports find the action even before the create is answered.
pub fn call(tenant: &Tenant, platform: &Platform, queued: &QueuedSend, body: &CallBody) -> NewCall {
    let urls = WebhookUrls::new(&platform.app_url, &tenant.slug);
    let answer = Instructions::Url { url: urls.placed_answer(queued.id.uuid()), method: None };
    let mut call = NewCall::new(queued.sender.clone(), queued.recipient.clone(), answer);
    call.fallback_url = Some(urls.fallback());
    call.status_callback = Some(urls.placed_status(queued.id.uuid()));
    call.status_callback_events = CallEvent::VARIANTS.to_vec();
    call.timeout_s = body.timeout_s.map(u32::from);
    // The result comes with the first request for TwiML, whose answer depends on it.
    call.machine_detection = body.machine.map(|machine| match machine {
        OnMachine::Message => MachineDetection::DetectMessageEnd,
        OnMachine::HangUp | OnMachine::GoOn => MachineDetection::Enable,
    });
    call.recording_status_callback = body.record.then(|| urls.recording());
    call
}

/// Builds the e-mail of a send; `None` where the send is no e-mail. Without a name in MAIL_FROM, the sender bears the
/// tenant's name.
pub fn mail(tenant: &Tenant, from: &Mailbox, queued: &QueuedSend, send: &Send) -> Option<Mail> {
    let (SendBody::Email(body), Address::Email(to)) = (&send.body, &send.to) else { return None };
    let name = from.name.clone().unwrap_or_else(|| tenant.name.clone());
    Some(Mail {
        id: queued.id,
        from: Mailbox::new(Some(name), from.email.clone()),
        to: to.clone(),
        subject: body.subject.clone(),
        text: body.text.clone(),
        html: body.html.clone(),
        reply_to: None,
        unsubscribe: None,
    })
}

/// The credentials of an account for the client; `None` where it has no token.
pub fn credentials(account: &Account) -> Option<client::Account> {
    Some(client::Account { sid: account.sid.clone(), token: account.tokens.first()?.clone() })
}

/// Whether two accounts sign and send as the same one.
pub fn same_account(one: &Account, other: &Account) -> bool {
    one.sid == other.sid && one.exposed_tokens().first() == other.exposed_tokens().first()
}

/// Translates Twilio's outcome into the words of the ledger.
pub fn of_twilio(outcome: Result<Created, SendError>) -> Result<Accepted, SendFailure> {
    let error = match outcome {
        Ok(created) => {
            let status = DeliveryStatus::parse(&created.status).unwrap_or(DeliveryStatus::Queued);
            return Ok(Accepted { sid: created.sid, status, http_status: Some(201) });
        }
        Err(error) => error,
    };
    let detail = error.to_string();
    let (kind, http_status, code) = match error {
        SendError::NotSent { .. } => (FailureKind::Busy { retry_after: None }, None, None),
        SendError::Throttled { retry_after } => (FailureKind::Busy { retry_after }, Some(429), None),
        SendError::Unavailable { retry_after } => (FailureKind::Busy { retry_after }, Some(503), None),
        SendError::Unauthorized { http_status, .. } => (FailureKind::Credentials, Some(http_status), Some(20003)),
        SendError::Refused { http_status, code, .. } => {
            let kind = match code.and_then(codes::lookup).map(|code| code.advice) {
                Some(codes::CodeAdvice::RetryLater { after_s, tries }) => {
                    FailureKind::Later { after: Duration::from_secs(after_s.into()), tries: tries.into() }
                }
                Some(codes::CodeAdvice::Reconcile) => FailureKind::Unknown,
                _ => FailureKind::Refused,
            };
            (kind, Some(http_status), code.map(i64::from))
        }
        SendError::Unknown { .. } => (FailureKind::Unknown, None, None),
    };
    Err(SendFailure { kind, http_status, code, detail })
}

/// Translates the outcome of an attempt into the outcome of the action and, where it says something of it, of the account.
pub fn outcome(
    claimed: &Claimed,
    outcome: Result<Accepted, SendFailure>,
    now: Timestamp,
    reconcile_after: Duration,
    random: &Random,
) -> (AttemptOutcome, Option<AccountFailure>) {
    let queued = &claimed.send;
    let outcome_of = |result, http_status, error_code, detail| AttemptOutcome {
        send: queued.clone(),
        attempt: claimed.attempt,
        result,
        http_status,
        error_code,
        detail,
    };
    let SendFailure { kind, http_status, code, detail } = match outcome {
        Ok(Accepted { sid, status, http_status }) => {
            return (outcome_of(AttemptResult::Sent { sid, status }, http_status, None, String::new()), None);
        }
        Err(send_failure) => send_failure,
    };
    let (result, failure) = match kind {
        FailureKind::Busy { retry_after } => {
            (retry(queued, now, retry_after, random), Some(AccountFailure::Busy(retry_after)))
        }
        // The account pauses and the action waits with it, until the credentials are put right.
        FailureKind::Credentials => (AttemptResult::Retry { at: now }, Some(AccountFailure::Credentials)),
        FailureKind::Later { after, tries } => (later(claimed, after, tries, now, random), None),
        FailureKind::Refused => (AttemptResult::Failed, None),
        // An unknown outcome with a code says nothing of the account; a lost answer does.
        FailureKind::Unknown => (
            AttemptResult::Unknown { look_at: now.plus(reconcile_after) },
            code.is_none().then_some(AccountFailure::Timeout),
        ),
    };
    (outcome_of(result, http_status, code, detail), failure)
}

fn retry(queued: &QueuedSend, now: Timestamp, wait: Option<Duration>, random: &Random) -> AttemptResult {
    let first = queued.first_try_at.unwrap_or(now);
    if now.since(first) >= GIVE_UP_AFTER {
        return AttemptResult::Failed;
    }
    let grown = BACKOFF_FIRST.saturating_mul(1 << queued.tries.clamp(0, 16)).min(BACKOFF_MAX);
    let pause = random.jitter(grown, JITTER_PERCENT).max(wait.unwrap_or_default());
    AttemptResult::Retry { at: now.plus(pause) }
}

fn later(claimed: &Claimed, after: Duration, tries: u32, now: Timestamp, random: &Random) -> AttemptResult {
    if claimed.attempt >= i32::try_from(tries).unwrap_or(i32::MAX) {
        return AttemptResult::Failed;
    }
    let grown = after * (1 << (claimed.attempt - 1).clamp(0, 16));
    AttemptResult::Retry { at: now.plus(random.jitter(grown.min(GIVE_UP_AFTER), JITTER_PERCENT)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{ActionId, Channel, EventId, Origin, Route, TenantId};
    use crate::store::{GateFacts, StoreError};

    const NOW: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

    fn claimed(attempt: i32) -> Claimed {
        let id = uuid::Uuid::nil();
        let send = Arc::new(QueuedSend {
            id: ActionId::new(id),
            tenant: TenantId::new(id),
            event: EventId::new(id),
            contact: None,
            channel: Some(Channel::Sms),
            sender: "+34911222333".to_owned(),
            recipient: "+34600111222".to_owned(),
            peer_key: "+34600111222".to_owned(),
            origin: Origin::Answer,
            planned: Err(StoreError::Closed),
            route: Some(Route::Twilio),
            tries: attempt,
            planned_at: NOW,
            first_try_at: None,
            tried_at: None,
            expires_at: None,
        });
        Claimed { send, facts: GateFacts::default(), attempt, not_after: NOW }
    }

    /// The outcome of an action whose `attempt`th try Twilio refused with `code`.
    fn end(attempt: i32, code: u32, random: &Random) -> AttemptResult {
        let refused = SendError::Refused { http_status: 400, code: Some(code), message: String::new() };
        outcome(&claimed(attempt), of_twilio(Err(refused)), NOW, Duration::ZERO, random).0.result
    }

    /// 21611, the sender's queue is full: after ten minutes, five tries.
    #[test]
    fn codes_that_pass_are_tried_again_later_and_later_and_not_all_at_once() {
        let random = Random::seeded(1);
        let wait = |attempt| match end(attempt, 21611, &random) {
            AttemptResult::Retry { at } => Some(at.since(NOW).as_secs()),
            _ => None,
        };
        for (attempt, minutes) in [(1, 10), (2, 20), (3, 40), (4, 80)] {
            let waits: Vec<u64> = (0..20).filter_map(|_| wait(attempt)).collect();
            assert_eq!(waits.len(), 20);
            let around = minutes * 48..=minutes * 72;
            assert!(waits.iter().all(|wait| around.contains(wait)), "try {attempt}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "try {attempt}: {waits:?}");
        }
        assert_eq!(wait(5), None, "the ledger's tries are used up");
    }

    #[test]
    fn what_only_a_callback_can_say_is_not_tried_again() {
        for code in [30001, 30003, 30008] {
            assert_eq!(end(1, code, &Random::seeded(1)), AttemptResult::Failed, "{code}");
        }
    }
}
