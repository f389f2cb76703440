//! One attempt, from the last look at the clock to the stored outcome.

use super::{DATABASE_RETRY, Pipeline, SendTarget};
use crate::domain::phone::mask_numbers;
use crate::domain::{Origin, Timestamp, abort};
use crate::engine::sending::deliver;
use crate::integrations::provider::{Accepted, SendFailure};
use crate::store::{AttemptOutcome, AttemptResult, Claimed, SEND_WITHIN, StoreError};
use crate::telemetry::metric;

/// How often the database may refuse to write an outcome, for reasons other than an outage.
const REFUSALS_MAX: usize = 5;

impl Pipeline {
    /// Sends what was claimed and stores the outcome.
    pub async fn attempt(&self, target: &SendTarget, claimed: Claimed) {
        let begun = self.clock.now();
        let answer = self.send(target, &claimed).await;
        abort::point("after-send");
        let (outcome, paused_until) = self.outcome_of(target, &claimed, answer, begun);
        report(target, &claimed, &outcome, paused_until);
        let again = match outcome.result {
            AttemptResult::Retry { at } => Some(at),
            _ => None,
        };
        // The provider has capacity again, while the outcome is still to be written.
        self.release_capacity(target, 1);
        let failed = outcome.result == AttemptResult::Failed;
        self.write_outcome(outcome).await;
        // It may have made the event of a fallback.
        if failed {
            self.wake_dispatch(target.tenant.id);
        }
        if let Some(at) = again {
            self.delayed.schedule(at, target.queue.clone());
        }
    }

    /// Sends the message. Gives `None` where nothing left: the attempt came too late, or the customer has opted out
    /// meanwhile.
    async fn send(&self, target: &SendTarget, claimed: &Claimed) -> Option<Result<Accepted, SendFailure>> {
        let queued = &claimed.send;
        let planned = queued.planned().ok()?;
        let now = self.clock.now();
        let claimed_at = claimed.not_after.minus(SEND_WITHIN);
        let opted_out = queued.origin != Origin::System
            && queued.channel.is_some_and(|channel| {
                self.recent_opt_outs.since(target.tenant.id, channel, &queued.peer_key, claimed_at)
            });
        if now > claimed.not_after || opted_out {
            return None;
        }
        abort::point("before-send");
        let platform = self.directory.platform();
        Some(self.transports.send(&target.tenant, platform, queued, &target.queue.route, planned).await)
    }

    /// Returns the outcome for the action, and until when the account pauses because of it.
    fn outcome_of(
        &self,
        target: &SendTarget,
        claimed: &Claimed,
        answer: Option<Result<Accepted, SendFailure>>,
        begun: Timestamp,
    ) -> (AttemptOutcome, Option<Timestamp>) {
        let now = self.clock.now();
        // The provider was not asked: an open circuit stays open.
        let Some(answer) = answer else { return (outcome_not_sent(claimed, now), None) };
        metrics::histogram!(metric::PROVIDER_SECONDS).record(now.since(begun).as_secs_f64());
        let (outcome, failure) = deliver::outcome(claimed, answer, now, self.reconcile_after, &self.random);
        // A token that has been replaced meanwhile says nothing of the new one.
        let stale = failure.is_some() && self.account_has_changed(&target.tenant, &target.queue.route);
        let paused_until = if stale { None } else { self.circuits.record(&target.account, failure, now) };
        (outcome, paused_until)
    }

    /// Writes an outcome, however long the database takes: nothing else is known of a message that has left.
    async fn write_outcome(&self, mut outcome: AttemptOutcome) {
        let mut refusals = 0;
        while let Err(error) = self.store.writer().outcome(outcome.clone()).await {
            let action = outcome.send.id;
            if matches!(error, StoreError::Closed) {
                return;
            }
            if error.is_outage() || matches!(error, StoreError::QueueFull) {
                tracing::warn!(%error, %action, "an outcome waits for the database");
                self.clock.sleep(DATABASE_RETRY).await;
                continue;
            }
            refusals += 1;
            match outcome.doubted() {
                // The provider may have repeated the id of another message.
                Some(doubted) => outcome = doubted,
                None if refusals < REFUSALS_MAX => self.clock.sleep(DATABASE_RETRY).await,
                None => {
                    // The action stays `sending`, becomes `unknown`, and is reconciled.
                    tracing::error!(%error, %action, "an outcome could not be written down");
                    return;
                }
            }
        }
    }
}

/// Counts an outcome, and logs it where the send did not go through.
fn report(target: &SendTarget, claimed: &Claimed, outcome: &AttemptOutcome, paused_until: Option<Timestamp>) {
    let (tenant, result) = (&target.tenant.slug, outcome.result.name());
    metrics::counter!(metric::SENDS_TOTAL, "outcome" => result).increment(1);
    let reason = mask_numbers(&outcome.detail);
    if let Some(until) = paused_until {
        tracing::warn!(%tenant, account = target.account, %until, %reason, "this account's sends pause");
    } else if !outcome.detail.is_empty() {
        tracing::info!(%tenant, action = %claimed.send.id, outcome = result, %reason, "a send did not go through");
    }
}

/// Returns the outcome of a send that did not leave: it goes back to the gate.
fn outcome_not_sent(claimed: &Claimed, now: Timestamp) -> AttemptOutcome {
    AttemptOutcome {
        send: claimed.send.clone(),
        attempt: claimed.attempt,
        result: AttemptResult::Retry { at: now },
        http_status: None,
        error_code: None,
        detail: "nothing left: the attempt came too late, or the customer wrote STOP meanwhile".to_owned(),
    }
}
