//! One attempt: from the last look at the clock to the outcome written down.

use super::{OUTCOME_RETRY, Pipeline, SendTarget};
use crate::domain::phone::mask_numbers;
use crate::domain::{Timestamp, abort};
use crate::engine::sending::deliver;
use crate::integrations::provider::{Accepted, SendFailure};
use crate::store::{AttemptOutcome, AttemptResult, Claimed, StoreError};
use crate::telemetry::metric;

impl Pipeline {
    /// One attempt at what was claimed, from the last look at the clock to the outcome written down.
    pub async fn attempt(&self, door: &SendTarget, claimed: Claimed) {
        let begun = self.clock.now();
        let outcome = self.send(door, &claimed).await;
        abort::point("after-send");
        let now = self.clock.now();
        let (tenant, account) = (&door.tenant, &door.account);
        let (verdict, until) = match outcome {
            Some(outcome) => {
                metrics::histogram!(metric::PROVIDER_SECONDS).record(now.since(begun).as_secs_f64());
                let (verdict, trouble) = deliver::outcome(&claimed, outcome, now, self.reconcile_after, &self.random);
                // A token that has been replaced meanwhile says nothing of the new one.
                let stale = trouble.is_some() && self.account_has_changed(tenant, &door.queue.route);
                let until = if stale { None } else { self.circuits.done(account, trouble, now) };
                (verdict, until)
            }
            // Nobody has asked the provider: an open circuit stays open.
            None => (given_back(&claimed, now), None),
        };
        let name = verdict.result.name();
        metrics::counter!(metric::SENDS_TOTAL, "outcome" => name).increment(1);
        if let Some(until) = until {
            tracing::warn!(tenant = %tenant.slug, account, %until, reason = %mask_numbers(&verdict.detail),
                "this account's sends pause");
        } else if !verdict.detail.is_empty() {
            tracing::info!(tenant = %tenant.slug, action = %claimed.send.id, outcome = name, reason = %mask_numbers(&verdict.detail),
                "a send did not go through");
        }
        let again = match verdict.result {
            AttemptResult::Retry { at } => Some(at),
            _ => None,
        };
        // The provider has room again, while the outcome is still to be written.
        self.give_room_back(door, 1);
        self.write_outcome(verdict).await;
        if let Some(at) = again {
            self.alarms.set(at, door.queue.clone());
        }
    }

    /// `None` where nothing left: the attempt came too late, or the customer has opted out meanwhile.
    async fn send(&self, door: &SendTarget, claimed: &Claimed) -> Option<Result<Accepted, SendFailure>> {
        let queued = &claimed.send;
        let planned = queued.planned().ok()?;
        let now = self.clock.now();
        let claimed_at = claimed.not_after.minus(crate::store::SEND_WITHIN);
        let stopped = queued.origin != crate::domain::Origin::System
            && queued
                .channel
                .is_some_and(|channel| self.stops.since(door.tenant.id, channel, &queued.peer_key, claimed_at));
        if now > claimed.not_after || stopped {
            return None;
        }
        abort::point("before-send");
        let platform = self.directory.platform();
        Some(self.transports.send(&door.tenant, platform, queued, &door.queue.route, planned).await)
    }

    /// An outcome is written down however long the database takes: it is all that is known of a message that has left.
    async fn write_outcome(&self, verdict: AttemptOutcome) {
        while let Err(error) = self.store.writer().outcome(verdict.clone()).await {
            let action = verdict.send.id;
            if !error.is_outage() && !matches!(error, StoreError::QueueFull) {
                // It would be refused again. The action stays `sending`, becomes `unknown`, and is looked for.
                tracing::error!(%error, %action, "an outcome could not be written down");
                return;
            }
            if matches!(error, StoreError::Closed) {
                return;
            }
            tracing::warn!(%error, %action, "an outcome waits for the database");
            self.clock.sleep(OUTCOME_RETRY).await;
        }
    }
}

/// Surely not sent: the claim was too old, or a STOP came in between. It goes back to the gate.
fn given_back(claimed: &Claimed, now: Timestamp) -> AttemptOutcome {
    AttemptOutcome {
        send: claimed.send.clone(),
        attempt: claimed.attempt,
        result: AttemptResult::Retry { at: now },
        http_status: None,
        error_code: None,
        detail: "nothing left: the attempt came too late, or the customer wrote STOP meanwhile".to_owned(),
    }
}
