//! Turns of a call: the provider asks what to say next, and the rules decide while the caller waits, outside the queue of
//! the customer's events.
//!
//! The event of a turn is stored like any other, and [`Pipeline::dispatch`] leaves it alone for a while. If the process dies
//! before it decides, the sweep finds the event: its rules are asked, their other actions are done, and their words are
//! blocked, as the caller can no longer hear them.

use std::sync::Arc;

use super::dispatch::{SLOW_FOR, queue_of, report_failures};
use super::{INGEST_TIMEOUT, Pipeline};
use crate::domain::{Action, ActionState, CallFacts, CallId, Event, EventKind, Facts, Step, Timestamp};
use crate::engine::decision::{self, AsOf};
use crate::engine::wakeups::Speed;
use crate::rules::{Decision, Planned, RuleSet};
use crate::store::{CallReport, Decided, NewAction, NewTurn, Pending, Reported, StoreError, TurnAnswer, Turned};
use crate::telemetry::metric;
use crate::tenants::Tenant;

/// The decision of a turn, not written yet. [`Pipeline::commit_turn`] writes it.
pub struct TurnDecision {
    pub event: Event,
    pub facts: Facts,
    /// The number of the turn in its call.
    pub n: i32,
    /// The words and verbs of the rules in their order, each with its rule.
    pub steps: Vec<(String, Step)>,
    /// A rule failed, so that its words are missing.
    pub failed: bool,
    decided: Decided,
}

impl TurnDecision {
    /// The call, as this turn found it.
    pub fn call(&self) -> CallFacts {
        self.facts.call.clone().unwrap_or_default()
    }
}

/// The result of a webhook that asks for instructions.
pub enum TurnOutcome {
    New(Box<TurnDecision>),
    /// The provider asks again. `answer` holds the first answer, where that is known already.
    Repeat {
        call: CallId,
        n: i32,
        answer: Option<Vec<Step>>,
    },
    /// The rules were not asked in time: too many calls wait for them.
    Late {
        call: Box<CallFacts>,
        n: i32,
    },
    /// The call belongs to another tenant.
    OtherTenant,
}

/// The result of asking the rules while a caller waits.
enum Evaluation {
    Decided(Box<Decision>),
    Late,
    /// The tenant's rules have overrun: it is asked in the slow queue.
    InSlowQueue,
}

impl Pipeline {
    /// Stores a webhook that asks for instructions, and lets the rules decide. [`Pipeline::commit_turn`] writes the
    /// decision. After `until` the rules are no longer evaluated, so that the next caller has a chance.
    pub async fn turn(&self, tenant: &Tenant, turn: NewTurn, until: Timestamp) -> Result<TurnOutcome, StoreError> {
        let turned = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().turn(turn))
            .await
            .map_err(|_| StoreError::Busy)??;
        let (event, n) = match turned {
            Turned::New { event, n, call_answered, .. } => {
                if call_answered {
                    self.wake_dispatch(tenant.id);
                }
                (*event, n)
            }
            Turned::Repeat { call, n, answer } => return Ok(TurnOutcome::Repeat { call, n, answer }),
            Turned::Foreign => return Ok(TurnOutcome::OtherTenant),
        };
        let rules = self.rules();
        let pending = vec![Pending { event, customer: None }];
        let as_of = AsOf::Now(self.clock.now());
        let mut batch = decision::facts_of(&self.calls, &rules, tenant, pending, as_of).await?;
        // The batch has as many events as went in.
        let Some((event, facts)) = batch.pop() else { return Err(StoreError::Closed) };
        let Some(decision) = self.decide_turn(rules, &event, &facts, until).await? else {
            return Ok(TurnOutcome::Late { call: Box::new(facts.call.unwrap_or_default()), n });
        };
        report_failures(&event, &decision);
        let failed = decision.trace.rules.iter().any(|rule| rule.result.is_failure());
        let steps = decision.actions.iter().filter_map(voice_step).collect();
        let (platform, ids) = (self.directory.platform(), self.store.ids());
        let decided = decision::plan(tenant, platform, (&event, &facts), decision, ids);
        Ok(TurnOutcome::New(Box::new(TurnDecision { event, facts, n, steps, failed, decided })))
    }

    /// Evaluates the rules in the queue of the tenant's speed; `None` if the turn came too late.
    async fn decide_turn(
        &self,
        rules: Arc<RuleSet>,
        event: &Event,
        facts: &Facts,
        until: Timestamp,
    ) -> Result<Option<Decision>, StoreError> {
        let ask = |speed: Speed| {
            let (rules, event, facts) = (rules.clone(), event.clone(), facts.clone());
            let (queues, clock) = (self.to_decide.clone(), self.clock.clone());
            move || {
                let now = clock.now();
                if now >= until {
                    return Evaluation::Late;
                }
                // The speed is checked only now: of many concurrent calls, only the first ones hold up the others.
                if speed == Speed::Fast && queues.speed(event.tenant, now) == Speed::Slow {
                    return Evaluation::InSlowQueue;
                }
                let decision = rules.decide(&event, &facts);
                if decision.overran {
                    queues.slow_down(event.tenant, clock.now().plus(SLOW_FOR));
                }
                Evaluation::Decided(Box::new(decision))
            }
        };
        let mut asked = self.fast_calls.run(ask(Speed::Fast)).await;
        if let Ok(Evaluation::InSlowQueue) = asked {
            asked = self.slow_calls.run(ask(Speed::Slow)).await;
        }
        match asked.map_err(|_| StoreError::Closed)? {
            Evaluation::Decided(decision) => Ok(Some(*decision)),
            Evaluation::Late | Evaluation::InSlowQueue => Ok(None),
        }
    }

    /// Writes a turn's decision, with the answer where it is known already.
    pub async fn commit_turn(&self, turn: TurnDecision, answer: Option<TurnAnswer>) -> Result<(), StoreError> {
        let said = answer.clone();
        let decided = Decided { answer, ..turn.decided };
        let tenant = decided.tenant;
        let queues: Vec<_> = decided.actions.iter().filter_map(queue_of).collect();
        let written = self.store.writer().decided(vec![decided]);
        self.wake_queues(queues);
        let receipt = written.await?;
        if receipt.overtaken > 0
            && let Some(said) = said
        {
            // The other actions are decided again. The caller has heard this answer anyway.
            self.store.writer().said(tenant, said).await?;
        }
        if receipt.emitted > 0 || receipt.overtaken > 0 {
            self.wake_for_rows(tenant);
        }
        Ok(())
    }

    /// Applies the provider's report of a call.
    pub async fn report(&self, report: CallReport) -> Result<Reported, StoreError> {
        let (tenant, status) = (report.caller.tenant, report.caller.status);
        let reported = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().call(report))
            .await
            .map_err(|_| StoreError::Busy)??;
        if reported == Reported::Ended {
            metrics::counter!(metric::CALLS_ENDED_TOTAL, "status" => status.as_str()).increment(1);
        }
        if matches!(reported, Reported::Advanced | Reported::Ended) {
            self.wake_dispatch(tenant);
        }
        Ok(reported)
    }
}

fn voice_step(planned: &Planned) -> Option<(String, Step)> {
    match &planned.action {
        Action::Voice(step) => Some((planned.rule.clone(), step.clone())),
        _ => None,
    }
}

/// Blocks call steps that come too late: the caller got another answer, or has hung up.
pub(super) fn block_late_steps(decided: &mut Decided) {
    let spoken = |action: &&mut NewAction| matches!(action.action, Action::Voice(_));
    for action in decided.actions.iter_mut().filter(spoken) {
        action.state = ActionState::Blocked;
        action.reason = Some("nobody was on the line any more: the call was answered without this".to_owned());
    }
}

/// Whether a turn is the first of its call.
pub fn is_first_turn(kind: &EventKind) -> bool {
    *kind == EventKind::CALL_RECEIVED || *kind == EventKind::CALL_OPENED
}
