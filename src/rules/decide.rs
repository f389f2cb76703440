//! Deciding: from an event and its facts to actions. Pure: no I/O, no clock but the facts' own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::{CallFnOptions, Dynamic, Scope};

use super::call::{Call, Frame, Keyword, Phase};
use super::failure::{self, Failure};
use super::index::{Beginnings, Candidate};
use super::trace::{Decision, Planned, RuleTrace, RuleVerdict, Trace, Verdict};
use super::view::EventView;
use super::{Rule, RuleSet, engine, stack};
use crate::domain::{Event, Facts};

impl RuleSet {
    /// What the rules want done about this event.
    ///
    /// Deciding twice gives the same actions, unless time ran out ([`Decision::overran`]).
    pub fn decide(&self, event: &Event, facts: &Facts) -> Decision {
        self.decide_among(event, facts, |_| true)
    }

    fn decide_among(&self, event: &Event, facts: &Facts, keep: impl Fn(&Rule) -> bool) -> Decision {
        let mut candidates =
            self.index.candidates(&event.kind, &event.data, &facts.tenant, |number| self.rules[number].entry());
        candidates.retain(|candidate| keep(&self.rules[candidate.rule]));
        let mut decision =
            Decision { trace: Trace { ruleset: self.version.clone(), rules: Vec::new() }, ..Decision::default() };
        if candidates.is_empty() {
            return decision;
        }
        stack::on_rules_stack(|| {
            let call = Call::new(event.clone(), facts.clone(), Arc::clone(&self.templates));
            self.evaluate(&call, candidates, &mut decision);
        });
        decision
    }

    fn evaluate(&self, call: &Arc<Call>, candidates: Vec<Candidate>, decision: &mut Decision) {
        let started = Instant::now();
        let whole = Duration::from_millis(self.limits.decision_ms);
        for candidate in candidates {
            let rule = &self.rules[candidate.rule];
            let left = whole.saturating_sub(started.elapsed());
            let trace = if left.is_zero() {
                RuleTrace { rule: rule.info.name.clone(), verdict: Verdict::NoTime, reads: <_>::default(), actions: 0 }
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
        let options = CallFnOptions::new().eval_ast(false).with_tag(Arc::clone(call));
        let event = EventView(Arc::clone(call));
        failure::caught(|| {
            self.engine.call_fn_with_options(options, &mut Scope::new(), &rule.functions, function, (event,))
        })
    }

    /// Every rule of the folder: what it says to this event, or why it was not even asked.
    pub fn explain(&self, event: &Event, facts: &Facts) -> Vec<RuleVerdict> {
        self.explain_among(event, facts, |_| true).0
    }

    /// What the rules of one file say to this event, and what they want done.
    pub(super) fn explain_file(&self, file: &str, event: &Event, facts: &Facts) -> (Vec<RuleVerdict>, Vec<Planned>) {
        self.explain_among(event, facts, |rule| rule.info.file == file)
    }

    fn explain_among(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> (Vec<RuleVerdict>, Vec<Planned>) {
        let decision = self.decide_among(event, facts, &keep);
        let mut evaluated = decision.trace.rules.into_iter().peekable();
        let verdicts = self.rules.iter().filter(|rule| keep(rule)).map(|rule| {
            // Rules are evaluated in the order in which they stand here.
            let trace = evaluated.next_if(|trace| trace.rule == rule.info.name).unwrap_or_else(|| RuleTrace {
                rule: rule.info.name.clone(),
                verdict: rule.passed_over(event, facts),
                reads: <_>::default(),
                actions: 0,
            });
            RuleVerdict { file: rule.info.file.clone(), line: rule.info.line, trace }
        });
        (verdicts.collect(), decision.actions)
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
