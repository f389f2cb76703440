//! Deciding: from an event and its facts to actions. Pure: no I/O, no clock but the facts' own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::{CallFnOptions, Dynamic, Scope};

use super::call::{Call, Frame, Keyword, Phase};
use super::failure::{self, Failure};
use super::index::{Beginnings, Candidate};
use super::trace::{Decision, Planned, RuleTrace, RuleVerdict, Trace, Verdict};
use super::view::EventView;
use super::{Rule, RuleSet, engine, stack, timing};
use crate::domain::timer::Fired;
use crate::domain::{Event, Facts, NewTimer, Purpose};

/// What a rule's timing says of an event, and the timer that is planned.
type OfTime = (Verdict, Option<NewTimer>);

impl RuleSet {
    /// What the rules want done about this event.
    ///
    /// Deciding twice gives the same actions, unless time ran out ([`Decision::overran`]).
    pub fn decide(&self, event: &Event, facts: &Facts) -> Decision {
        self.decide_among(event, facts, |_| true)
    }

    fn decide_among(&self, event: &Event, facts: &Facts, keep: impl Fn(&Rule) -> bool) -> Decision {
        let fired = Fired::of(event);
        let mut candidates = match &fired {
            Some(fired) => self.of_timer(fired, event),
            None => self.index.candidates(&event.kind, &event.data, &facts.tenant, |number| self.rules[number].entry()),
        };
        candidates.retain(|candidate| keep(&self.rules[candidate.rule]));
        let mut decision =
            Decision { trace: Trace { ruleset: self.version.clone(), rules: Vec::new() }, ..Decision::default() };
        if let Some(fired) = fired.as_ref().filter(|fired| self.rule(&fired.rule).is_none()) {
            decision.trace.rules.push(RuleTrace::without_run(&fired.rule, Verdict::Gone));
        }
        // What waits or comes too late is said without any script.
        let said = |candidate: &Candidate| self.says_of_time(&self.rules[candidate.rule], fired.as_ref(), event, facts);
        let said: Vec<_> = candidates.into_iter().map(|candidate| (said(&candidate), candidate)).collect();
        if said.iter().all(|(said, _)| said.is_some()) {
            said.into_iter().for_each(|(said, candidate)| self.note(&candidate, said, &mut decision));
            return decision;
        }
        stack::on_rules_stack(|| {
            let call = Call::new(timing::as_seen(event), facts.clone(), Arc::clone(&self.templates));
            self.evaluate(&call, said, &mut decision);
        });
        decision
    }

    /// The one rule that a timer is for. A question's timer and a page of customers are heard elsewhere.
    fn of_timer(&self, fired: &Fired, event: &Event) -> Vec<Candidate> {
        if fired.purpose == Purpose::Silence || self.is_page(event) {
            return Vec::new();
        }
        let Some(number) = self.rules.iter().position(|rule| rule.info.name == fired.rule) else { return Vec::new() };
        let keywords = &self.rules[number].keywords;
        let longest = keywords.iter().map(|keyword| keyword.split(' ').count()).max().unwrap_or_default();
        vec![Candidate { rule: number, keyword: Beginnings::of(&event.data, longest).first_of(keywords) }]
    }

    /// What a rule's timing says, and the timer that it plans; `None` where the rule is to be run now.
    fn says_of_time(&self, rule: &Rule, fired: Option<&Fired>, event: &Event, facts: &Facts) -> Option<OfTime> {
        match fired {
            Some(fired) => Some((rule.when_due(fired, event, facts)?, None)),
            None if rule.timing.is_none() => None,
            None => Some(match rule.plan(event, facts) {
                Ok(timer) => (Verdict::Waits { until: timer.due }, Some(timer)),
                Err(verdict) => (verdict, None),
            }),
        }
    }

    fn note(&self, candidate: &Candidate, said: Option<OfTime>, decision: &mut Decision) {
        let Some((verdict, timer)) = said else { return };
        decision.timers.extend(timer);
        decision.trace.rules.push(RuleTrace::without_run(&self.rules[candidate.rule].info.name, verdict));
    }

    fn evaluate(&self, call: &Arc<Call>, candidates: Vec<(Option<OfTime>, Candidate)>, decision: &mut Decision) {
        let started = Instant::now();
        let whole = Duration::from_millis(self.limits.decision_ms);
        for (said, candidate) in candidates {
            if said.is_some() {
                self.note(&candidate, said, decision);
                continue;
            }
            let rule = &self.rules[candidate.rule];
            let left = whole.saturating_sub(started.elapsed());
            let trace = if left.is_zero() {
                RuleTrace::without_run(&rule.info.name, Verdict::NoTime)
            } else {
                self.run(call, rule, candidate.keyword, left, &mut decision.actions)
            };
            decision.overran |= matches!(trace.verdict, Verdict::NoTime | Verdict::TooMuch { .. });
            decision.trace.rules.push(trace);
        }
    }

    /// Evaluates one rule; its actions join the others only if all of it went well.
    fn run(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        keyword: Option<Keyword>,
        left: Duration,
        planned: &mut Vec<Planned>,
    ) -> RuleTrace {
        let name = &rule.info.name;
        let params = rule.params(&call.facts);
        *call.frame() = Frame { keyword, params, planned: planned.len(), ..Frame::default() };
        engine::refill(&self.limits, left);
        let verdict = match self.ask_and_do(call, rule) {
            Ok(verdict) => verdict,
            Err(failure) => {
                let (file, place) = (&rule.info.file, failure.place);
                let line = if place.line > 0 { place.line } else { rule.info.line };
                let error = match place.column {
                    0 => format!("{file}:{line}: {}", failure.message),
                    column => format!("{file}:{line}:{column}: {}", failure.message),
                };
                if failure.limit { Verdict::TooMuch { error } } else { Verdict::Failed { error } }
            }
        };
        let frame = std::mem::take(&mut *call.frame());
        let actions = if verdict == Verdict::Fired { frame.actions } else { Vec::new() };
        let count = actions.len();
        planned.extend(actions.into_iter().enumerate().map(|(index, action)| Planned {
            rule: name.clone(),
            index,
            action,
        }));
        RuleTrace { rule: name.clone(), verdict, reads: frame.reads, actions: count }
    }

    fn ask_and_do(&self, call: &Arc<Call>, rule: &Rule) -> Result<Verdict, Failure> {
        for (text, function) in &rule.whens {
            let answer = self.invoke(call, rule, function)?;
            match answer.as_bool() {
                Ok(true) => {}
                Ok(false) => return Ok(Verdict::WhenNo { text: text.clone() }),
                Err(_) => {
                    return Err(Failure {
                        place: <_>::default(),
                        message: format!(
                            "when \"{text}\" must give true or false, and gave a {}",
                            super::values::kind_of(&answer)
                        ),
                        limit: false,
                    });
                }
            }
        }
        call.frame().phase = Phase::Then;
        for function in &rule.thens {
            // What a then gives back means nothing.
            let _ = self.invoke(call, rule, function)?;
        }
        Ok(Verdict::Fired)
    }

    fn invoke(&self, call: &Arc<Call>, rule: &Rule, function: &str) -> Result<Dynamic, Failure> {
        self.invoke_on(call, rule, function, EventView(Arc::clone(call)))
    }

    /// Calls a closure of the rule with what it is about.
    pub(super) fn invoke_on(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        function: &str,
        about: impl Clone + Send + Sync + 'static,
    ) -> Result<Dynamic, Failure> {
        let options = CallFnOptions::new().eval_ast(false).with_tag(Arc::clone(call));
        failure::caught(|| {
            self.engine.call_fn_with_options(options, &mut Scope::new(), &rule.functions, function, (about,))
        })
    }

    /// Every rule of the folder: what it says to this event, or why it was not even asked.
    pub fn explain(&self, event: &Event, facts: &Facts) -> Vec<RuleVerdict> {
        self.explain_among(event, facts, |_| true).0
    }

    /// What the rules of one file say to this event, and what they want done.
    pub(super) fn explain_file(&self, file: &str, event: &Event, facts: &Facts) -> (Vec<RuleVerdict>, Decision) {
        self.explain_among(event, facts, |rule| rule.info.file == file)
    }

    fn explain_among(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> (Vec<RuleVerdict>, Decision) {
        let mut decision = self.decide_among(event, facts, &keep);
        let mut evaluated = std::mem::take(&mut decision.trace.rules).into_iter().peekable();
        let verdicts = self.rules.iter().filter(|rule| keep(rule)).map(|rule| {
            // Rules are evaluated in the order in which they stand here.
            let trace = evaluated
                .next_if(|trace| trace.rule == rule.info.name)
                .unwrap_or_else(|| RuleTrace::without_run(&rule.info.name, rule.passed_over(event, facts)));
            RuleVerdict { file: rule.info.file.clone(), line: rule.info.line, trace }
        });
        (verdicts.collect(), decision)
    }
}

impl Rule {
    /// Why the index did not give this rule for the event.
    fn passed_over(&self, event: &Event, facts: &Facts) -> Verdict {
        if !self.info.kinds.contains(&event.kind) {
            return Verdict::OtherKind { kinds: self.info.kinds.iter().map(ToString::to_string).collect() };
        }
        if self.info.blueprint && !facts.tenant.blueprints.contains_key(&self.info.name) {
            return Verdict::NotEnabled;
        }
        debug_assert!(Beginnings::of(&event.data, 8).first_of(&self.keywords).is_none(), "the index missed a rule");
        Verdict::NoKeyword { keywords: self.info.keywords.clone() }
    }
}
