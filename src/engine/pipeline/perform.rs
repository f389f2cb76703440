//! The steps of the third stage: due sends are claimed, each in the order of its ordering key, and go to the provider.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Pipeline;
use crate::domain::{Route, SendQueue};
use crate::engine::wakeups::Bus;
use crate::store::{ClaimRequest, Claimed, Claims, Gate, Judge};
use crate::tenants::Tenant;

/// The most sends in one claim.
const BATCH_SENDS: usize = 128;

/// The target of a claim: its tenant, its route, and the account with which it shares capacity and failures.
#[derive(Clone)]
pub struct SendTarget {
    pub(super) tenant: Arc<Tenant>,
    pub(super) queue: SendQueue,
    pub(super) account: String,
}

impl Pipeline {
    /// Waits for queues with something due; `None` once the pipeline stops.
    pub(super) async fn next_queues(&self) -> Option<Vec<SendQueue>> {
        let mut stopping = self.stopping.subscribe();
        if *stopping.borrow_and_update() {
            return None;
        }
        tokio::select! {
            _ = stopping.changed() => None,
            queues = self.to_send.receive() => Some(queues),
            queues = self.delayed.next_due(&self.clock) => Some(queues),
            queues = self.store.promoted_queues() => Some(queues),
        }
    }

    /// Claims for all these queues side by side, so that many claims share a commit.
    pub(super) async fn claim_and_send(self: &Arc<Self>, queues: Vec<SendQueue>) {
        let fair = (BATCH_SENDS / queues.len()).max(1);
        join_all(queues.into_iter().map(|queue| self.claim_for(queue, fair))).await;
    }

    async fn claim_for(self: &Arc<Self>, queue: SendQueue, fair: usize) {
        let Some(tenant) = self.directory.now().by_id(queue.tenant).cloned() else { return };
        // Nothing can leave by this route now. Its sends wait in their rows, and the sweep looks again.
        let Some(target) = self.target(tenant, queue.route) else { return };
        let wanted = fair.min(self.permits.available_permits());
        let acquired = self.capacity.acquire(&target.queue, &target.account, wanted, self.allowed(&target));
        // Without capacity, the send that releases some wakes this queue. The sweep finds a circuit that has closed.
        if acquired == 0 {
            return;
        }
        let claims = self.claim(&target, acquired).await;
        self.start_sends(&target, claims.sends).await;
    }

    /// Claims up to `acquired` sends, releases the capacity that they do not need, and wakes the queues that may go on.
    async fn claim(self: &Arc<Self>, target: &SendTarget, acquired: usize) -> Claims {
        let request = ClaimRequest {
            queue: target.queue.clone(),
            account_sid: target.account.clone(),
            limit: acquired,
            judge: self.judge(target),
            recent_within: self.gate.limits().loop_guard_window,
            stop_ends_calls: target.tenant.settings.voice.stop_ends_calls,
            has_budget: target.tenant.settings.sends.has_budget(),
        };
        self.capacity.claim_begins(&target.queue, &target.account);
        let claims = self.store.writer().claim(request).await.unwrap_or_else(|error| {
            tracing::warn!(%error, tenant = %target.tenant.slug, "sending waits for the database");
            Claims::default()
        });
        let claimed = claims.sends.len();
        let released_meanwhile = self.capacity.claim_ends(&target.queue, claims.more);
        if claimed < acquired {
            self.capacity.remove_waiting(&target.queue, &target.account);
            self.release_capacity(target, acquired - claimed);
        }
        if claimed == acquired || released_meanwhile {
            self.to_send.publish(target.queue.clone());
        }
        if claims.keys_freed {
            self.wake_ordering_keys(&target.account);
        }
        if claims.new_events {
            self.wake_dispatch(target.tenant.id);
        }
        claims
    }

    /// Starts an attempt for each claimed send. Attempts go on by themselves.
    async fn start_sends(self: &Arc<Self>, target: &SendTarget, sends: Vec<Claimed>) {
        // All of them before the first wait: from the claim on they are no orphans.
        let begun: Vec<_> = sends.into_iter().map(|one| (self.in_flight.begin(one.send.id), one)).collect();
        for (attempt, one) in begun {
            // A permit comes soon: there was one a moment ago, and only this loop takes them.
            let Ok(permit) = self.permits.clone().acquire_owned().await else { return };
            let (pipeline, target) = (self.clone(), target.clone());
            tokio::spawn(async move {
                pipeline.attempt(&target, one).await;
                drop((attempt, permit));
                pipeline.wake_ordering_keys(&target.account);
            });
        }
    }

    /// The target of a tenant's sends by a route; `None` where nothing can leave by it now.
    pub fn target(&self, tenant: Arc<Tenant>, route: Route) -> Option<SendTarget> {
        let account = self.transports.account(&tenant, self.directory.platform(), &route)?;
        Some(SendTarget { queue: SendQueue::new(tenant.id, route), tenant, account })
    }

    /// The gate's judgement, which also schedules the sends that it postpones.
    fn judge(self: &Arc<Self>, target: &SendTarget) -> Judge {
        let (pipeline, target) = (self.clone(), target.clone());
        Arc::new(move |candidate, now| {
            let quiet = target.tenant.quiet(pipeline.directory.platform());
            let gate = pipeline.gate.judge(candidate, now, &quiet, &target.tenant.settings.sends);
            if let Gate::Postpone(until, _) | Gate::Replan(until, _) = &gate {
                pipeline.delayed.schedule(*until, target.queue.clone());
            }
            gate
        })
    }

    /// Returns how many sends may be in flight to the target now.
    fn allowed(&self, target: &SendTarget) -> usize {
        let by_circuit = self.circuits.allows(&target.account, self.clock.now());
        by_circuit.min(self.transports.at_once(&target.queue.route))
    }

    /// Releases capacity and wakes the next queues of the account, first in first out.
    pub(super) fn release_capacity(&self, target: &SendTarget, count: usize) {
        let allowed = self.allowed(target);
        for next in self.capacity.release(&target.queue, &target.account, count, allowed) {
            self.to_send.publish(next);
        }
    }

    /// Wakes the queues of the account that wait for an ordering key: a send along one has ended.
    pub(super) fn wake_ordering_keys(&self, account: &str) {
        let waiting = self.capacity.ordering_key_released(account);
        waiting.into_iter().for_each(|queue| self.to_send.publish(queue));
    }
}
