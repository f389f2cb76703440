//! Calls: what is said next is decided while somebody waits on the line, outside the queue of the customer's events.
//!
//! The event is stored like any other, and left alone by [`Pipeline::dispatch`] for a while. If nobody decides it in that
//! time, since the process has died, the sweep finds it: what else its rules want is done, but nobody hears what they say.

use std::sync::Arc;

use super::{INGEST_TIMEOUT, Pipeline, SLOW_LANE_FOR, write_down};
use crate::domain::contact::ContactFacts;
use crate::domain::{Action, ActionState, CallFacts, CallId, Event, EventKind, Facts, Step, Timestamp};
use crate::engine::wakeups::{Bus, Speed};
use crate::rules::{Decision, RuleSet};
use crate::store::{CallReport, Decided, NewTurn, Pending, Reported, StoreError, TurnAnswer, Turned};
use crate::telemetry::metric;
use crate::tenants::Tenant;

/// What the rules say to a turn of a call, not written down yet.
pub struct Heard {
    pub event: Event,
    pub facts: Facts,
    pub n: i32,
    /// In their order, each with the rule that says it.
    pub steps: Vec<(String, Step)>,
    decided: Decided,
}

impl Heard {
    /// The call, as this turn found it.
    pub fn call(&self) -> CallFacts {
        self.facts.call.clone().unwrap_or_default()
    }
}

/// What there is of a turn of a call.
pub enum TurnOf {
    New(Box<Heard>),
    /// It was asked before; beside it what was answered, where that is known already.
    Repeat {
        call: CallId,
        n: i32,
        answer: Option<Vec<Step>>,
    },
    /// The rules were not asked in time: too many wait for them.
    Late {
        call: Box<CallFacts>,
        n: i32,
    },
    /// The call is another tenant's.
    Foreign,
}

/// What came of asking the rules while somebody waits.
enum Asked {
    Decided(Box<Decision>),
    Late,
    /// The tenant's rules have overrun: it is asked among its like.
    InTheOtherLane,
}

impl Pipeline {
    /// Stores that the provider asks what to say next, and asks the rules. Write it down with [`Pipeline::conclude`].
    /// Past `until` the rules are not asked any more: who is next in line has a chance.
    pub async fn turn(&self, tenant: &Tenant, turn: NewTurn, until: Timestamp) -> Result<TurnOf, StoreError> {
        let turned = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().turn(turn))
            .await
            .map_err(|_| StoreError::Busy)??;
        let (event, n) = match turned {
            Turned::New { event, n, answered, .. } => {
                if answered {
                    self.wake_dispatch(tenant.id);
                }
                (*event, n)
            }
            Turned::Repeat { call, n, answer } => return Ok(TurnOf::Repeat { call, n, answer }),
            Turned::Foreign => return Ok(TurnOf::Foreign),
        };
        let rules = self.rules();
        let pending = vec![Pending { event, customer: None }];
        let mut batch =
            crate::engine::facts::recall::facts(&self.store, &rules, tenant, pending, self.clock.now()).await?;
        // As many come out as went in.
        let Some((event, facts)) = batch.pop() else { return Err(StoreError::Closed) };
        let Some(decision) = self.decide_on_the_line(rules, &event, &facts, until).await? else {
            return Ok(TurnOf::Late { call: Box::new(facts.call.unwrap_or_default()), n });
        };
        let spoken = |planned: &crate::rules::Planned| match &planned.action {
            Action::Voice(step) => Some((planned.rule.clone(), step.clone())),
            _ => None,
        };
        let steps = decision.actions.iter().filter_map(spoken).collect();
        let customer = facts.contact.as_ref().map(ContactFacts::address_keys).unwrap_or_default();
        let at = Timestamp::from_unix_us(self.store.ids().tick_us());
        let decided = write_down(tenant, self.directory.platform(), &event, &customer, decision, at);
        Ok(TurnOf::New(Box::new(Heard { event, facts, n, steps, decided })))
    }

    /// Asks the rules, in the lane of the tenant's speed; `None` where their turn came too late.
    async fn decide_on_the_line(
        &self,
        rules: Arc<RuleSet>,
        event: &Event,
        facts: &Facts,
        until: Timestamp,
    ) -> Result<Option<Decision>, StoreError> {
        let ask = |speed: Speed| {
            let (rules, event, facts) = (rules.clone(), event.clone(), facts.clone());
            let (lanes, clock) = (self.to_decide.clone(), self.clock.clone());
            move || {
                let now = clock.now();
                if now >= until {
                    return Asked::Late;
                }
                // Looked at when its turn has come: of many who call at once, only the first hold up the others.
                if speed == Speed::Fast && lanes.speed(event.tenant, now) == Speed::Slow {
                    return Asked::InTheOtherLane;
                }
                let decision = rules.decide(&event, &facts);
                if decision.overran {
                    lanes.slow_down(event.tenant, clock.now().plus(SLOW_LANE_FOR));
                }
                Asked::Decided(Box::new(decision))
            }
        };
        let mut asked = self.line.run(ask(Speed::Fast)).await;
        if let Ok(Asked::InTheOtherLane) = asked {
            asked = self.slow_line.run(ask(Speed::Slow)).await;
        }
        match asked.map_err(|_| StoreError::Closed)? {
            Asked::Decided(decision) => Ok(Some(*decision)),
            Asked::Late | Asked::InTheOtherLane => Ok(None),
        }
    }

    /// Writes down what was decided, with what is said where that is known already.
    pub async fn conclude(&self, heard: Heard, answer: Option<TurnAnswer>) -> Result<(), StoreError> {
        let said = answer.clone();
        let decided = Decided { answer, ..heard.decided };
        let tenant = decided.tenant;
        let queues: Vec<_> = decided.actions.iter().filter_map(super::queue_of).collect();
        let written = self.store.writer().decided(vec![decided]);
        for (queue, due) in queues {
            match due {
                None => self.to_send.publish(queue),
                Some(due) => self.alarms.set(due, queue),
            }
        }
        let receipt = written.await?;
        if receipt.overtaken > 0
            && let Some(said) = said
        {
            // What else the rules want is decided anew; the caller has heard this all the same.
            self.store.writer().said(tenant, said).await?;
        }
        if receipt.emitted > 0 || receipt.overtaken > 0 {
            self.wake_for_rows(tenant);
        }
        Ok(())
    }

    /// Applies what the provider says of a call.
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

/// Too late to be heard: the caller was answered otherwise, or is gone.
pub(super) fn nobody_listens(decided: &mut Decided) {
    let spoken = |action: &&mut crate::store::NewAction| matches!(action.action, Action::Voice(_));
    for action in decided.actions.iter_mut().filter(spoken) {
        action.state = ActionState::Blocked;
        action.reason = Some("nobody was on the line any more: the call was answered without this".to_owned());
    }
}

/// Whether a turn is the first of its call.
pub fn opens(kind: &EventKind) -> bool {
    *kind == EventKind::CALL_RECEIVED || *kind == EventKind::CALL_OPENED
}
