//! The outcome of an attempt, and its meaning for the action and for the account.

use std::time::Duration;

use super::circuit::AccountFailure;
use crate::domain::Timestamp;
use crate::domain::clock::Random;
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};
use crate::store::{AttemptOutcome, AttemptResult, Claimed, QueuedSend};

/// A send that is refused temporarily fails for good after this time.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// The back-off of a single action starts at a second, doubles, and ends at ten minutes.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(600);
const JITTER_PERCENT: u32 = 20;

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
        Ok(Accepted { sid, status, http_status, doubt: None }) => {
            return (outcome_of(AttemptResult::Sent { sid, status }, http_status, None, String::new()), None);
        }
        Ok(Accepted { sid, status, http_status, doubt: Some(why) }) => {
            return (outcome_of(AttemptResult::Doubtful { sid, status }, http_status, None, why), None);
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
    use crate::engine::sending::transports::twilio;
    use crate::integrations::twilio::client::SendError;
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
            ordering_key: None,
        });
        Claimed { send, facts: GateFacts::default(), attempt, not_after: NOW }
    }

    /// The outcome of an action whose `attempt`th try Twilio refused with `code`.
    fn end(attempt: i32, code: u32, random: &Random) -> AttemptResult {
        let refused = SendError::Refused { http_status: 400, code: Some(code), message: String::new() };
        outcome(&claimed(attempt), twilio::outcome(Err(refused)), NOW, Duration::ZERO, random).0.result
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

    #[test]
    fn a_send_that_is_always_refused_for_the_moment_is_given_up_after_a_day() {
        let after = |first_try_s: u64| {
            let mut claimed = claimed(9);
            let first = Some(NOW.minus(Duration::from_secs(first_try_s)));
            claimed.send = Arc::new(QueuedSend { first_try_at: first, ..(*claimed.send).clone() });
            let busy = SendFailure {
                kind: FailureKind::Busy { retry_after: Some(Duration::from_secs(1)) },
                http_status: Some(429),
                code: None,
                detail: String::new(),
            };
            outcome(&claimed, Err(busy), NOW, Duration::ZERO, &Random::seeded(1)).0.result
        };
        for seconds in [0, 3_600, 86_399] {
            assert!(matches!(after(seconds), AttemptResult::Retry { .. }), "{seconds}");
        }
        for seconds in [86_400, 90_000, 1_000_000] {
            assert_eq!(after(seconds), AttemptResult::Failed, "{seconds}");
        }
    }
}
