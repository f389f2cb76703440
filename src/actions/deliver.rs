//! One attempt at the provider, and what its outcome means for the ledger.

use std::time::Duration;

use super::circuit::Trouble;
use crate::directory::{Account, Platform, Tenant};
use crate::domain::clock::Random;
use crate::domain::{DeliveryStatus, Send, SendBody, Timestamp};
use crate::store::{Candidate, Claimed, End, Verdict};
use crate::twilio::client::{self, Created, From, NewMessage, SendError};
use crate::twilio::codes;

/// After this, what was refused for the moment again and again has failed.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// A single action's back-off: from a second, doubling, ten minutes at most.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(600);
const JITTER_PERCENT: u32 = 20;

/// What is posted to the provider.
pub fn message(tenant: &Tenant, platform: &Platform, candidate: &Candidate, send: &Send) -> NewMessage {
    let prefix = send.channel.address_prefix();
    let from = if candidate.sender.starts_with("MG") {
        From::MessagingService(candidate.sender.clone())
    } else {
        From::Number(format!("{prefix}{}", candidate.sender))
    };
    let mut message = NewMessage::text(from, format!("{prefix}{}", send.to), "");
    message.status_callback = Some(status_url(platform, &tenant.slug, candidate));
    match &send.body {
        SendBody::Text(text) => message.body = Some(text.clone()),
        SendBody::Template(template) => {
            message.body = None;
            message.content_sid = Some(template.content.clone());
            message.content_variables =
                Some(serde_json::to_string(&template.variables).unwrap_or_else(|_| "{}".to_owned()));
        }
    }
    message
}

/// Our action's id stands in the URL: so a callback finds its action even before the create is answered.
fn status_url(platform: &Platform, slug: &str, candidate: &Candidate) -> String {
    format!("{}/api/twilio/{slug}/messages/{}/status", platform.app_url, candidate.id)
}

/// The account as the client wants it; `None` where it has no token.
pub fn credentials(account: &Account) -> Option<client::Account> {
    Some(client::Account { sid: account.sid.clone(), token: account.tokens.first()?.clone() })
}

/// Whether two sign and send as the same.
pub fn same_account(one: &Account, other: &Account) -> bool {
    one.sid == other.sid && one.exposed_tokens().first() == other.exposed_tokens().first()
}

/// What an attempt's outcome means, for the action and for the account.
pub fn verdict(
    claimed: &Claimed,
    outcome: Result<Created, SendError>,
    now: Timestamp,
    reconcile_after: Duration,
    random: &Random,
) -> (Verdict, Option<Trouble>) {
    let candidate = &claimed.candidate;
    let mut http_status = None;
    let mut error_code = None;
    let mut detail = String::new();
    let mut trouble = None;
    let end = match outcome {
        Ok(created) => {
            http_status = Some(201);
            End::Sent {
                sid: created.sid,
                status: DeliveryStatus::parse(&created.status).unwrap_or(DeliveryStatus::Queued),
            }
        }
        Err(error) => {
            detail = error.to_string();
            match error {
                SendError::NotSent { .. } => {
                    trouble = Some(Trouble::Busy(None));
                    retry(candidate, now, None, random)
                }
                SendError::Throttled { retry_after } | SendError::Unavailable { retry_after } => {
                    http_status = Some(if matches!(error, SendError::Throttled { .. }) { 429 } else { 503 });
                    trouble = Some(Trouble::Busy(retry_after));
                    retry(candidate, now, retry_after, random)
                }
                SendError::Unauthorized { http_status: status, .. } => {
                    http_status = Some(status);
                    error_code = Some(20003);
                    trouble = Some(Trouble::Credentials);
                    // The account pauses, the action waits with it: nothing is lost while the token is put right.
                    End::Retry { at: now }
                }
                SendError::Refused { http_status: status, code, .. } => {
                    http_status = Some(status);
                    error_code = code.map(i64::from);
                    refused(claimed, code, now, reconcile_after, random)
                }
                SendError::Unknown { .. } => {
                    trouble = Some(Trouble::Timeout);
                    End::Unknown { look_at: now.plus(reconcile_after) }
                }
            }
        }
    };
    (Verdict { candidate: candidate.clone(), attempt: claimed.attempt, end, http_status, error_code, detail }, trouble)
}

fn retry(candidate: &Candidate, now: Timestamp, wait: Option<Duration>, random: &Random) -> End {
    let first = candidate.first_try_us.map_or(now, Timestamp::from_unix_us);
    if now.since(first) >= GIVE_UP_AFTER {
        return End::Failed;
    }
    let grown = BACKOFF_FIRST.saturating_mul(1 << candidate.tries.clamp(0, 16)).min(BACKOFF_MAX);
    let pause = random.jitter(grown, JITTER_PERCENT).max(wait.unwrap_or_default());
    End::Retry { at: now.plus(pause) }
}

fn refused(claimed: &Claimed, code: Option<u32>, now: Timestamp, reconcile_after: Duration, random: &Random) -> End {
    match code.and_then(codes::lookup).map(|code| code.verdict) {
        Some(codes::Verdict::RetryLater { after_s, tries }) if claimed.attempt < i32::from(tries) => {
            let grown = Duration::from_secs(after_s.into()) * (1 << (claimed.attempt - 1).clamp(0, 16));
            End::Retry { at: now.plus(random.jitter(grown.min(GIVE_UP_AFTER), JITTER_PERCENT)) }
        }
        Some(codes::Verdict::Reconcile) => End::Unknown { look_at: now.plus(reconcile_after) },
        _ => End::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

    fn claimed(attempt: i32) -> Claimed {
        let id = uuid::Uuid::nil();
        let candidate = Candidate {
            id,
            tenant_id: id,
            event_id: id,
            contact_id: None,
            channel: "sms".to_owned(),
            sender: "+34911222333".to_owned(),
            recipient: "+34600111222".to_owned(),
            peer_key: "+34600111222".to_owned(),
            origin: "answer".to_owned(),
            payload: String::new(),
            tries: attempt,
            planned_us: 0,
            first_try_us: None,
            tried_us: None,
            last_whatsapp_us: None,
            opted_out: false,
            recent: 0,
            started: 0,
        };
        Claimed { candidate, attempt, not_after: NOW }
    }

    /// 21611, the sender's queue is full: ten minutes, five tries.
    #[test]
    fn codes_that_pass_are_tried_again_later_and_later_and_not_all_at_once() {
        let random = Random::seeded(1);
        let wait = |attempt| match refused(&claimed(attempt), Some(21611), NOW, Duration::ZERO, &random) {
            End::Retry { at } => Some(at.since(NOW).as_secs()),
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
            let end = refused(&claimed(1), Some(code), NOW, Duration::ZERO, &Random::seeded(1));
            assert_eq!(end, End::Failed, "{code}");
        }
    }
}
