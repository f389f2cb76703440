//! Deciding: from an event and its facts to actions. Pure: no I/O, no clock but the facts' own.

use std::sync::Arc;
use std::time::Duration;

use rhai::{CallFnOptions, Dynamic, FuncArgs, Scope};

use super::index::{Beginnings, Candidate, has_text};
use super::stack;
use super::trace::{Decision, Planned, RuleExplanation, RuleResult, RuleTrace, Trace};
use crate::domain::timer::Fired;
use crate::domain::{Event, Facts, NewTimer, Purpose};
use crate::rules::eval::cpu_budget::Worked;
use crate::rules::load::timing;
use crate::rules::script::context::{Call, Frame, Keyword, Phase, Wanted};
use crate::rules::script::engine;
use crate::rules::script::failure;
use crate::rules::script::failure::Failure;
use crate::rules::script::functions::conversation;
use crate::rules::script::functions::conversation::Turn;
use crate::rules::script::views::event::EventView;
use crate::rules::{Rule, RuleSet};

/// What a rule's timing says of an event, and the timer that is planned.
type OfTime = (RuleResult, Option<NewTimer>);

impl RuleSet {
    /// What the rules want done about this event.
    ///
    /// Deciding twice gives the same actions, unless time ran out ([`Decision::overran`]).
    pub fn decide(&self, event: &Event, facts: &Facts) -> Decision {
        self.decide_among(event, facts, |_| true)
    }

    fn decide_among(&self, event: &Event, facts: &Facts, keep: impl Fn(&Rule) -> bool) -> Decision {
        let fired = Fired::of(event);
        let mut candidates = self.candidates(fired.as_ref(), event, facts);
        candidates.retain(|candidate| keep(&self.rules[candidate.rule]));
        let turn = self.turn(event, facts, keep);
        let question = facts.question(event).cloned();
        let trace = Trace { ruleset: self.version.clone(), question, rules: Vec::new() };
        let mut decision = Decision { trace, ..Decision::default() };
        if turn.is_none()
            && let Some(fired) = fired.as_ref().filter(|fired| self.rule(&fired.rule).is_none())
        {
            decision.trace.rules.push(RuleTrace::without_run(&fired.rule, RuleResult::Gone));
        }
        // What waits or comes too late is said without any script.
        let said = |candidate: &Candidate| self.says_of_time(&self.rules[candidate.rule], fired.as_ref(), event, facts);
        let said: Vec<_> = candidates.into_iter().map(|candidate| (said(&candidate), candidate)).collect();
        if turn.is_none() && said.iter().all(|(said, _)| said.is_some()) {
            said.into_iter().for_each(|(said, candidate)| self.note(&candidate, said, &mut decision));
            return decision;
        }
        stack::on_rules_stack(|| {
            let call =
                Call::new(timing::as_seen(event), facts.clone(), Arc::clone(&self.templates), Arc::clone(&self.links));
            self.evaluate(&call, turn, said, &mut decision);
        });
        decision
    }

    fn candidates(&self, fired: Option<&Fired>, event: &Event, facts: &Facts) -> Vec<Candidate> {
        match fired {
            Some(fired) => self.of_timer(fired, event),
            None => self.index.candidates(&event.kind, &event.data, &facts.tenant, |number| self.rules[number].entry()),
        }
    }

    /// The rules that may run on this event: the one whose question it may answer, and those that it concerns.
    pub(in crate::rules) fn asked_about<'r>(
        &'r self,
        event: &Event,
        facts: &Facts,
    ) -> impl Iterator<Item = &'r Rule> + use<'r> {
        let asker = match self.turn(event, facts, |_| true) {
            Some(Turn::Answer(rule, ..) | Turn::Silence(rule, _)) => Some(rule),
            _ => None,
        };
        let concerned = self.candidates(Fired::of(event).as_ref(), event, facts).into_iter();
        asker.into_iter().chain(concerned.map(|candidate| &self.rules[candidate.rule]))
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
                Ok(timer) => (RuleResult::Waits { until: timer.due }, Some(timer)),
                Err(result) => (result, None),
            }),
        }
    }

    fn note(&self, candidate: &Candidate, said: Option<OfTime>, decision: &mut Decision) {
        let Some((result, timer)) = said else { return };
        decision.timers.extend(timer);
        decision.trace.rules.push(RuleTrace::without_run(&self.rules[candidate.rule].info.name, result));
    }

    fn evaluate(
        &self,
        call: &Arc<Call>,
        turn: Option<Turn<'_>>,
        candidates: Vec<(Option<OfTime>, Candidate)>,
        decision: &mut Decision,
    ) {
        let worked = Worked::begin();
        let whole = Duration::from_millis(self.limits.decision_ms);
        if turn.is_some_and(|turn| self.converse(call, turn, whole, decision)) {
            return;
        }
        for (said, candidate) in candidates {
            if said.is_some() {
                self.note(&candidate, said, decision);
                continue;
            }
            let rule = &self.rules[candidate.rule];
            let left = whole.saturating_sub(worked.so_far());
            let trace = if left.is_zero() {
                decision.overran = true;
                RuleTrace::without_run(&rule.info.name, RuleResult::NoTime)
            } else {
                self.run(call, rule, candidate.keyword, left, decision, || self.ask_and_do(call, rule))
            };
            decision.trace.rules.push(trace);
        }
        self.ask_again(call, decision);
    }

    /// Runs something of a rule; what it asks for joins the decision only if all of it went well.
    pub(in crate::rules) fn run(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        keyword: Option<Keyword>,
        left: Duration,
        decision: &mut Decision,
        body: impl FnOnce() -> Result<RuleResult, Failure>,
    ) -> RuleTrace {
        let name = &rule.info.name;
        let params = rule.params(&call.facts);
        let first_index = decision.actions.iter().filter(|planned| planned.rule == *name).count();
        *call.frame() = Frame {
            keyword,
            params,
            planned: decision.actions.len(),
            rule: name.clone(),
            first_index,
            talk: (!rule.talk.is_empty()).then(|| Arc::clone(&rule.talk)),
            ..Frame::default()
        };
        engine::refill(&self.limits, left);
        let result = body().unwrap_or_else(|failure| {
            let (file, place) = (&rule.info.file, failure.place);
            let line = if place.line > 0 { place.line } else { rule.info.line };
            let error = match place.column {
                0 => format!("{file}:{line}: {}", failure.message),
                column => format!("{file}:{line}:{column}: {}", failure.message),
            };
            if failure.limit { RuleResult::TooMuch { error } } else { RuleResult::Failed { error } }
        });
        decision.overran |= matches!(result, RuleResult::TooMuch { .. });
        let frame = std::mem::take(&mut *call.frame());
        let mut trace = RuleTrace { reads: frame.reads, ..RuleTrace::without_run(name, result) };
        if trace.result.counts() {
            trace.actions = frame.actions.len();
            trace.asks = conversation::said(call, &decision.questions, &frame.questions);
            decision.questions.extend(frame.questions);
            let planned = |(index, Wanted { action, due }): (usize, Wanted)| Planned {
                rule: name.clone(),
                index: first_index + index,
                action,
                due,
            };
            decision.actions.extend(frame.actions.into_iter().enumerate().map(planned));
        }
        if trace.result == RuleResult::Fired {
            decision.firings.extend(rule.firing(&call.event, &call.facts));
        }
        trace
    }

    fn ask_and_do(&self, call: &Arc<Call>, rule: &Rule) -> Result<RuleResult, Failure> {
        let limited = rule.limit.as_ref().and_then(|limit| limit.reached(&rule.info.name, &call.facts));
        if let Some(result) = limited {
            return Ok(result);
        }
        let event = || (EventView(Arc::clone(call)),);
        for (text, function) in &rule.whens {
            let answer = self.invoke(call, rule, function, event())?;
            match answer.as_bool() {
                Ok(true) => {}
                Ok(false) => return Ok(RuleResult::WhenNo { text: text.clone() }),
                Err(_) => {
                    return Err(Failure {
                        place: <_>::default(),
                        message: format!(
                            "when \"{text}\" must give true or false, and gave a {}",
                            crate::rules::script::values::kind_of(&answer)
                        ),
                        limit: false,
                    });
                }
            }
        }
        call.frame().phase = Phase::Then;
        for function in &rule.thens {
            // What a then gives back means nothing.
            let _ = self.invoke(call, rule, function, event())?;
        }
        Ok(RuleResult::Fired)
    }

    /// Calls a closure of the rule with what it is about.
    pub(in crate::rules) fn invoke(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        function: &str,
        arguments: impl FuncArgs,
    ) -> Result<Dynamic, Failure> {
        let options = CallFnOptions::new().eval_ast(false).with_tag(Arc::clone(call));
        failure::caught(|| {
            self.engine.call_fn_with_options(options, &mut Scope::new(), &rule.functions, function, arguments)
        })
    }

    /// Every rule of the folder: what it says to this event, or why it was not even asked.
    pub fn explain(&self, event: &Event, facts: &Facts) -> Vec<RuleExplanation> {
        self.explain_among(event, facts, |_| true).0
    }

    /// What the rules of one file say to this event, and what they want done.
    pub(in crate::rules) fn explain_file(
        &self,
        file: &str,
        event: &Event,
        facts: &Facts,
    ) -> (Vec<RuleExplanation>, Decision) {
        self.explain_among(event, facts, |rule| rule.info.file == file)
    }

    fn explain_among(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> (Vec<RuleExplanation>, Decision) {
        let decision = self.decide_among(event, facts, &keep);
        let mut evaluated = decision.trace.rules.clone().into_iter().peekable();
        let result = |rule: &Rule, trace| RuleExplanation { file: rule.info.file.clone(), line: rule.info.line, trace };
        // A conversation comes before the rules, and stands apart: its rule may be asked with the others, too.
        let first = self.turn(event, facts, &keep).and_then(|_| evaluated.next());
        let asker = first.as_ref().and_then(|trace| self.rules.iter().find(|rule| rule.info.name == trace.rule));
        let mut results: Vec<RuleExplanation> =
            asker.zip(first.clone()).map(|(rule, trace)| result(rule, trace)).into_iter().collect();
        for rule in self.rules.iter().filter(|rule| keep(rule)) {
            let name = &rule.info.name;
            // Rules are evaluated in the order in which they stand here.
            let trace = match (evaluated.next_if(|trace| trace.rule == *name), &first) {
                (Some(trace), _) => trace,
                (None, Some(first)) if first.rule == *name => continue,
                (None, first) => {
                    let answered =
                        first.as_ref().map(|first| RuleResult::AnsweredElsewhere { rule: first.rule.clone() });
                    let passed_over = rule.passed_over(event, facts).or(answered);
                    debug_assert!(passed_over.is_some(), "the index missed a rule");
                    let no_keyword = || RuleResult::NoKeyword { keywords: rule.info.keywords.clone() };
                    RuleTrace::without_run(name, passed_over.unwrap_or_else(no_keyword))
                }
            };
            results.push(result(rule, trace));
        }
        (results, decision)
    }
}

impl Rule {
    /// Why the index did not give this rule for the event; `None` where it did.
    fn passed_over(&self, event: &Event, facts: &Facts) -> Option<RuleResult> {
        if !self.info.kinds.contains(&event.kind) {
            return Some(RuleResult::OtherKind { kinds: self.info.kinds.iter().map(ToString::to_string).collect() });
        }
        if self.info.blueprint && !facts.tenant.blueprints.contains_key(&self.info.name) {
            return Some(RuleResult::NotEnabled);
        }
        let none = !self.keywords.is_empty()
            && has_text(&event.data)
            && Beginnings::of(&event.data, 8).first_of(&self.keywords).is_none();
        none.then(|| RuleResult::NoKeyword { keywords: self.info.keywords.clone() })
    }
}
