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
                    refused(claimed, code, now, reconcile_after)
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

fn refused(claimed: &Claimed, code: Option<u32>, now: Timestamp, reconcile_after: Duration) -> End {
    match code.and_then(codes::lookup).map(|code| code.verdict) {
        Some(codes::Verdict::RetryLater { after_s, tries }) if claimed.attempt < i32::from(tries) => {
            End::Retry { at: now.plus(Duration::from_secs(after_s.into())) }
        }
        Some(codes::Verdict::Reconcile) => End::Unknown { look_at: now.plus(reconcile_after) },
        _ => End::Failed,
    }
}
