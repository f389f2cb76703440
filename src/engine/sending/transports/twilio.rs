//! Messages and calls by Twilio.

use std::time::Duration;

use strum::VariantArray;

use super::Outgoing;
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::{CallBody, DeliveryStatus, OnMachine, Send, SendBody};
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};
use crate::integrations::twilio::client::{self, Client, Created, From, Instructions, NewCall, NewMessage, SendError};
use crate::integrations::twilio::codes;
use crate::integrations::twilio::is_sid;
use crate::integrations::twilio::types::{CallEvent, MachineDetection};
use crate::store::QueuedSend;
use crate::tenants::{Account, Platform, Tenant};

/// The circuit of the account limits them.
pub(super) const IN_FLIGHT_MAX: usize = usize::MAX;

/// The account's SID; `None` where it has no token, because the tokens are sealed under another key.
pub(super) fn account_key(tenant: &Tenant) -> Option<String> {
    (!tenant.account.tokens.is_empty()).then(|| tenant.account.sid.clone())
}

/// Sends a message or places a call; `None` where the account has no token.
pub(super) async fn send(
    client: &Client,
    outgoing: Outgoing<'_>,
    send: &Send,
) -> Option<Result<Accepted, SendFailure>> {
    let account = credentials(&outgoing.tenant.account)?;
    let created = match &send.body {
        SendBody::Call(body) => client.create_call(&account, &call(outgoing, body)).await,
        _ => client.create_message(&account, &message(outgoing.tenant, outgoing.platform, outgoing.queued, send)).await,
    };
    Some(outcome(created))
}

/// The account as the client takes it; `None` where it has no token.
pub fn credentials(account: &Account) -> Option<client::Account> {
    Some(client::Account { sid: account.sid.clone(), token: account.tokens.first()?.clone() })
}

/// Whether two accounts sign and send as the same.
pub fn same_account(one: &Account, other: &Account) -> bool {
    one.sid == other.sid && one.exposed_tokens().first() == other.exposed_tokens().first()
}

/// The message as Twilio takes it.
pub fn message(tenant: &Tenant, platform: &Platform, queued: &QueuedSend, send: &Send) -> NewMessage {
    let from = if is_sid("MG", &queued.sender) {
        From::MessagingService(queued.sender.clone())
    } else {
        From::Number(send.channel.address(&queued.sender))
    };
    let mut message = NewMessage::text(from, send.channel.address(&send.to), "");
    message.status_callback = Some(WebhookUrls::new(&platform.app_url, &tenant.slug).message_status(queued.id.uuid()));
    match &send.body {
        SendBody::Text(text) => message.body = Some(text.clone()),
        // Calls and e-mail are sent otherwise.
        SendBody::Email(email) => message.body = Some(email.text.clone()),
        SendBody::Call(call) => message.body = Some(call.summary()),
        SendBody::Template(template) => {
            message.body = None;
            message.content_sid = Some(template.content.clone());
            message.content_variables =
                Some(serde_json::to_string(&template.variables).unwrap_or_else(|_| "{}".to_owned()));
        }
    }
    message
}

/// The call as Twilio takes it. Its URLs carry the action's id, so that a webhook finds the action even before the create
/// request is answered.
fn call(outgoing: Outgoing<'_>, body: &CallBody) -> NewCall {
    let Outgoing { tenant, platform, queued } = outgoing;
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

/// Translates Twilio's outcome.
pub(in crate::engine::sending) fn outcome(outcome: Result<Created, SendError>) -> Result<Accepted, SendFailure> {
    let error = match outcome {
        Ok(created) => {
            let status = DeliveryStatus::parse(&created.status).unwrap_or(DeliveryStatus::Queued);
            return Ok(Accepted { sid: created.sid, status, http_status: Some(201), doubt: None });
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
