//! The steps of the second stage: the oldest events of some tenants are read with their facts, decided together, and
//! written in one transaction.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::round::Round;
use super::{DATABASE_RETRY, Pipeline, call_turn};
use crate::domain::{Event, Facts, SendQueue, TenantId, Timestamp};
use crate::engine::decision::{self, AsOf};
use crate::engine::wakeups::Speed;
use crate::rules::{Decision, Evaluator, RuleSet};
use crate::store::{Decided, NewAction, StoreError};
use crate::telemetry::metric;

/// The most events in one batch.
const BATCH_EVENTS: usize = 256;
/// The least number of events for each of many tenants in one round.
const TENANT_EVENTS_MIN: usize = 8;
/// The decisions of a batch take no longer than this and one more event. The rest waits for the next round.
pub(super) const DECIDE_BUDGET: Duration = Duration::from_millis(20);
/// How long a tenant whose rules overran stands in the slow queue.
pub(super) const SLOW_FOR: Duration = Duration::from_secs(60);

/// The events of a round with their facts, and the tenants that have more.
#[derive(Default)]
struct Batch {
    events: Vec<(Event, Facts)>,
    more: HashSet<TenantId>,
}

impl Pipeline {
    /// Waits for tenants with events to decide. Returns them in groups, with the number of events for each tenant.
    pub(super) async fn next_rounds(&self, speed: Speed) -> (Vec<Round<'_>>, usize) {
        let tenants = self.to_decide.receive(speed, || self.clock.now()).await;
        let fair = (BATCH_EVENTS / tenants.len()).max(TENANT_EVENTS_MIN);
        let groups = tenants.chunks((BATCH_EVENTS / fair).max(1));
        (groups.map(|group| Round::new(self, group.to_vec())).collect(), fair)
    }

    /// Decides the oldest events of some tenants and writes them in one transaction.
    pub(super) async fn decide_round(
        &self,
        tenants: &[TenantId],
        per_tenant: usize,
        speed: Speed,
    ) -> Result<(), StoreError> {
        let rules = self.rules();
        let Batch { events, mut more } = self.read_batch(&rules, tenants, per_tenant, speed).await?;
        if events.is_empty() {
            return Ok(());
        }
        let events = Arc::new(events);
        // An evaluator ends only with the process.
        let decisions = self.evaluator(speed).decide_batch(rules, events.clone(), DECIDE_BUDGET).await;
        let decisions = decisions.map_err(|_| StoreError::Closed)?;
        let (decided, undecided) = events.split_at(decisions.len());
        // A batch that took too long was cut: the next round decides the rest.
        for (event, _) in undecided {
            self.store.give_back(event.tenant);
            more.insert(event.tenant);
        }
        decided.iter().zip(&decisions).for_each(|((event, _), decision)| report_failures(event, decision));
        let overran = overran(decided, &decisions);
        let planned: Vec<Decided> = decided
            .iter()
            .zip(decisions)
            .filter_map(|((event, facts), decision)| self.plan_decision(event, facts, decision))
            .collect();
        self.write_round(tenants, planned, more, overran).await
    }

    const fn evaluator(&self, speed: Speed) -> &Evaluator {
        match speed {
            Speed::Fast => &self.fast,
            Speed::Slow => &self.slow,
        }
    }

    /// Reads the oldest events of each tenant with their facts. Pages of a fan-out are decided on the way: they come before
    /// the other events of their batch.
    async fn read_batch(
        &self,
        rules: &RuleSet,
        tenants: &[TenantId],
        per_tenant: usize,
        speed: Speed,
    ) -> Result<Batch, StoreError> {
        let mut batch = Batch::default();
        for tenant in tenants {
            let events = self.store.pending_events(*tenant, per_tenant).await?;
            if events.len() == per_tenant {
                batch.more.insert(*tenant);
            }
            let Some(tenant) = self.directory.now().by_id(*tenant).cloned() else { continue };
            let (pages, events): (Vec<_>, Vec<_>) =
                events.into_iter().partition(|pending| rules.is_page(&pending.event));
            for page in pages {
                self.decide_page(&tenant, page.event, self.evaluator(speed)).await?;
            }
            let as_of = AsOf::Now(self.clock.now());
            batch.events.extend(decision::facts_of(&self.store, rules, &tenant, events, as_of).await?);
        }
        Ok(batch)
    }

    fn plan_decision(&self, event: &Event, facts: &Facts, decision: Decision) -> Option<Decided> {
        let tenant = self.directory.now().by_id(event.tenant)?.clone();
        let platform = self.directory.platform();
        let mut decided = decision::plan(&tenant, platform, (event, facts), decision, self.store.ids());
        call_turn::block_late_steps(&mut decided);
        Some(decided)
    }

    /// Writes what a round has decided, and wakes the next stage and the tenants that have `more`.
    async fn write_round(
        &self,
        tenants: &[TenantId],
        decided: Vec<Decided>,
        mut more: HashSet<TenantId>,
        overran: HashSet<TenantId>,
    ) -> Result<(), StoreError> {
        let actions = || decided.iter().flat_map(|one| &one.actions);
        let queues: HashSet<_> = actions().filter_map(queue_of).collect();
        let busy: HashSet<TenantId> = actions().map(|action| action.tenant).collect();
        metrics::counter!(metric::EVENTS_DECIDED_TOTAL).increment(decided.len() as u64);
        for action in actions() {
            metrics::counter!(metric::ACTIONS_TOTAL, "kind" => action.action.kind()).increment(1);
        }
        let written = self.store.writer().decided(decided);
        // A claim that stands behind it in the writer's queue sees its rows, and often shares its commit.
        self.wake_queues(queues);
        let receipt = written.await?;
        if receipt.overtaken > 0 {
            tenants.iter().for_each(|tenant| self.store.give_back(*tenant));
            more.extend(tenants);
        }
        overran.into_iter().for_each(|tenant| self.move_to_slow_queue(tenant));
        if receipt.emitted > 0 {
            busy.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        }
        more.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        Ok(())
    }

    /// Puts tenants back whose round failed with a database error, and pauses.
    pub(super) async fn put_back(&self, tenants: &[TenantId], error: StoreError) {
        tracing::warn!(%error, "deciding waits for the database");
        tenants.iter().for_each(|tenant| self.wake_for_rows(*tenant));
        self.clock.sleep(DATABASE_RETRY).await;
    }

    fn move_to_slow_queue(&self, tenant: TenantId) {
        tracing::warn!(%tenant, "this tenant's rules overran their limits: they are decided apart from the others for a while");
        self.to_decide.slow_down(tenant, self.clock.now().plus(SLOW_FOR));
    }
}

/// Counts and logs rules that failed.
pub(super) fn report_failures(event: &Event, decision: &Decision) {
    for rule in &decision.trace.rules {
        if rule.result.is_failure() {
            metrics::counter!(metric::RULE_ERRORS_TOTAL).increment(1);
            // The error may quote the customer: `explain` shows it, the log does not.
            if event.kind.is_on_the_line() {
                metrics::counter!(metric::CALL_RULE_ERRORS_TOTAL).increment(1);
                tracing::warn!(rule = %rule.rule, event = %event.id, kind = %event.kind,
                    "a rule failed in a call, and the caller did not hear it: see recado explain");
                continue;
            }
            tracing::warn!(rule = %rule.rule, event = %event.id, "a rule failed, the others went on: see recado explain");
        }
    }
}

/// The tenants whose rules ran into a limit.
fn overran(events: &[(Event, Facts)], decisions: &[Decision]) -> HashSet<TenantId> {
    let overran = events.iter().zip(decisions).filter(|(_, decision)| decision.overran);
    overran.map(|((event, _), _)| event.tenant).collect()
}

/// The queue of an action, with its time where it has one; `None` for effects.
pub(super) fn queue_of(action: &NewAction) -> Option<(SendQueue, Option<Timestamp>)> {
    Some((SendQueue::new(action.tenant, action.route.clone()?), action.due))
}
