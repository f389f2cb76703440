//! Deciding: from an event and its facts to actions. It is pure: no I/O, no clock but the facts' own.

use std::sync::Arc;
use std::time::Duration;

use rhai::{CallFnOptions, Dynamic, FuncArgs, Scope};

use crate::domain::timer::Fired;
use crate::domain::{Action, Event, Facts, NewTimer, Purpose, Question, QuestionChange};
use crate::rules::eval::conversation::{Turn, describe_questions};
use crate::rules::eval::cpu_budget::{self, CpuTimer};
use crate::rules::eval::index::{Candidate, keyword_of};
use crate::rules::eval::trace::{Decision, Planned, RuleResult, RuleTrace, Trace};
use crate::rules::eval::{stack, timers};
use crate::rules::load::error::SourcePosition;
use crate::rules::model::{Keyword, Rule};
use crate::rules::ruleset::RuleSet;
use crate::rules::script::context::{EvalContext, Phase, RequestedAction, RuleFrame};
use crate::rules::script::failure::{self, Failure};
use crate::rules::script::values::kind_of;
use crate::rules::script::views::event::EventView;

/// The result of a rule that does not run now, because of its timing, and the timer that is planned.
type Deferred = (RuleResult, Option<NewTimer>);

impl RuleSet {
    /// Decides an event. Deciding it again gives the same actions, unless time ran out ([`Decision::overran`]).
    pub fn decide(&self, event: &Event, facts: &Facts) -> Decision {
        self.decide_among(event, facts, |_| true)
    }

    /// Decides an event among the rules that `keep` accepts.
    pub(in crate::rules) fn decide_among(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> Decision {
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
        // Rules that wait or come too late need no script.
        let deferred = |candidate: &Candidate| self.deferred(&self.rules[candidate.rule], fired.as_ref(), event, facts);
        let candidates: Vec<_> = candidates.into_iter().map(|candidate| (deferred(&candidate), candidate)).collect();
        if turn.is_none() && candidates.iter().all(|(deferred, _)| deferred.is_some()) {
            candidates.into_iter().for_each(|(deferred, candidate)| self.defer(&candidate, deferred, &mut decision));
            return decision;
        }
        stack::on_rules_stack(|| {
            let (templates, links) = (Arc::clone(&self.templates), Arc::clone(&self.links));
            let eval = EvalContext::new(timers::anchor_event(event), facts.clone(), templates, links);
            self.evaluate(&eval, turn, candidates, &mut decision);
        });
        decision
    }

    fn candidates(&self, fired: Option<&Fired>, event: &Event, facts: &Facts) -> Vec<Candidate> {
        match fired {
            Some(fired) => self.of_timer(fired, event),
            None => self.index.candidates(&event.kind, &event.data, &facts.tenant, |number| self.indexed(number)),
        }
    }

    /// Returns the rules that may run on this event: the one whose question it may answer, and those that it concerns.
    pub(in crate::rules) fn concerned_rules<'r>(
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

    /// Returns the rule that a timer is for. Timers of questions and of pages are handled elsewhere.
    fn of_timer(&self, fired: &Fired, event: &Event) -> Vec<Candidate> {
        if fired.purpose == Purpose::Silence || self.is_page(event) {
            return Vec::new();
        }
        let Some(number) = self.rules.iter().position(|rule| rule.info.name == fired.rule) else { return Vec::new() };
        vec![Candidate { rule: number, keyword: keyword_of(&event.data, &self.rules[number].keywords) }]
    }

    /// Returns the result of a rule that does not run now, and its timer; `None` if it runs now.
    fn deferred(&self, rule: &Rule, fired: Option<&Fired>, event: &Event, facts: &Facts) -> Option<Deferred> {
        match fired {
            Some(fired) => Some((rule.refuses_firing(fired, event, facts)?, None)),
            None if rule.timing.is_none() => None,
            None => Some(match rule.plan(event, facts) {
                Ok(timer) => (RuleResult::Waits { until: timer.due }, Some(timer)),
                Err(result) => (result, None),
            }),
        }
    }

    fn defer(&self, candidate: &Candidate, deferred: Option<Deferred>, decision: &mut Decision) {
        let Some((result, timer)) = deferred else { return };
        decision.timers.extend(timer);
        decision.trace.rules.push(RuleTrace::without_run(&self.rules[candidate.rule].info.name, result));
    }

    fn evaluate(
        &self,
        eval: &Arc<EvalContext>,
        turn: Option<Turn<'_>>,
        candidates: Vec<(Option<Deferred>, Candidate)>,
        decision: &mut Decision,
    ) {
        let timer = CpuTimer::start();
        let whole = Duration::from_millis(self.limits.decision_ms);
        if turn.is_some_and(|turn| self.run_conversation(eval, turn, whole, decision)) {
            return;
        }
        for (deferred, candidate) in candidates {
            if deferred.is_some() {
                self.defer(&candidate, deferred, decision);
                continue;
            }
            let rule = &self.rules[candidate.rule];
            let left = whole.saturating_sub(timer.elapsed());
            let trace = if left.is_zero() {
                decision.overran = true;
                RuleTrace::without_run(&rule.info.name, RuleResult::NoTime)
            } else {
                self.run(eval, rule, candidate.keyword, left, decision, || self.run_rule(eval, rule))
            };
            decision.trace.rules.push(trace);
        }
        self.repeat_if_unanswered(eval, decision);
    }

    /// Runs a part of a rule. Its actions join the decision only if all of it succeeds.
    pub(in crate::rules) fn run(
        &self,
        eval: &Arc<EvalContext>,
        rule: &Rule,
        keyword: Option<Keyword>,
        left: Duration,
        decision: &mut Decision,
        body: impl FnOnce() -> Result<RuleResult, Failure>,
    ) -> RuleTrace {
        let name = &rule.info.name;
        let params = rule.params(&eval.facts);
        let first_index = decision.actions.iter().filter(|planned| planned.rule == *name).count();
        *eval.frame() = RuleFrame {
            keyword,
            params,
            planned: decision.actions.len(),
            rule: name.clone(),
            first_index,
            handlers: (!rule.handlers.is_empty()).then(|| Arc::clone(&rule.handlers)),
            ..RuleFrame::default()
        };
        cpu_budget::refill(&self.limits, left);
        let result = body().unwrap_or_else(|failure| {
            let (file, at) = (&rule.info.file, failure.at);
            let line = if at.line > 0 { at.line } else { rule.info.line };
            let error = match at.column {
                0 => format!("{file}:{line}: {}", failure.message),
                column => format!("{file}:{line}:{column}: {}", failure.message),
            };
            if failure.limit { RuleResult::TooMuch { error } } else { RuleResult::Failed { error } }
        });
        decision.overran |= matches!(result, RuleResult::TooMuch { .. });
        let frame = std::mem::take(&mut *eval.frame());
        let result = if result.counts() { taken(name, &frame, decision).unwrap_or(result) } else { result };
        let mut trace = RuleTrace { reads: frame.reads, ..RuleTrace::without_run(name, result) };
        if trace.result.counts() {
            trace.actions = frame.actions.len();
            trace.asks = describe_questions(eval, &decision.questions, &frame.questions);
            decision.questions.extend(frame.questions);
            let planned = |(index, RequestedAction { action, due, blocked }): (usize, RequestedAction)| Planned {
                rule: name.clone(),
                index: first_index + index,
                action,
                due,
                blocked,
            };
            decision.actions.extend(frame.actions.into_iter().enumerate().map(planned));
        }
        if trace.result == RuleResult::Fired {
            decision.firings.extend(rule.firing(&eval.event, &eval.facts));
        }
        trace
    }

    /// Checks the limit and the conditions, then runs every `then`.
    fn run_rule(&self, eval: &Arc<EvalContext>, rule: &Rule) -> Result<RuleResult, Failure> {
        let limited = rule.limit.as_ref().and_then(|limit| limit.reached(&rule.info.name, &eval.facts));
        if let Some(result) = limited {
            return Ok(result);
        }
        let event = || (EventView(Arc::clone(eval)),);
        for (text, function) in &rule.whens {
            let answer = self.invoke(eval, rule, function, event())?;
            match answer.as_bool() {
                Ok(true) => {}
                Ok(false) => return Ok(RuleResult::WhenNo { text: text.clone() }),
                Err(_) => {
                    return Err(Failure {
                        at: SourcePosition::default(),
                        message: format!("when \"{text}\" must give true or false, and gave a {}", kind_of(&answer)),
                        limit: false,
                    });
                }
            }
        }
        eval.frame().phase = Phase::Then;
        for function in &rule.thens {
            // The value of a then is ignored.
            let _ = self.invoke(eval, rule, function, event())?;
        }
        Ok(RuleResult::Fired)
    }

    /// Calls a closure of the rule.
    pub(in crate::rules) fn invoke(
        &self,
        eval: &Arc<EvalContext>,
        rule: &Rule,
        function: &str,
        arguments: impl FuncArgs,
    ) -> Result<Dynamic, Failure> {
        let options = CallFnOptions::new().eval_ast(false).with_tag(Arc::clone(eval));
        failure::caught(|| {
            self.engine.call_fn_with_options(options, &mut Scope::new(), &rule.functions, function, arguments)
        })
    }
}

/// Returns the result of a rule that came too late: the first rule that speaks in a call has it, and the first that asks on a
/// channel asks there.
fn taken(rule: &str, frame: &RuleFrame, decision: &Decision) -> Option<RuleResult> {
    let speaks = |action: &Action| matches!(action, Action::Voice(step) if step.is_audible());
    if frame.actions.iter().any(|requested| speaks(&requested.action)) {
        let has_it = decision.actions.iter().find(|planned| planned.rule != rule && speaks(&planned.action));
        if let Some(first) = has_it {
            return Some(RuleResult::CallTaken { by: first.rule.clone() });
        }
    }
    let opened = |changes: &[QuestionChange]| -> Vec<Question> {
        let open = changes.iter().filter_map(|change| match change {
            QuestionChange::Open(question) => Some(question.clone()),
            QuestionChange::Close(_) => None,
        });
        open.collect()
    };
    let asked = opened(&decision.questions);
    opened(&frame.questions).into_iter().find_map(|new| {
        let first = asked.iter().find(|first| first.rule != rule && first.channel == new.channel)?;
        Some(RuleResult::QuestionTaken { by: first.rule.clone(), channel: new.channel })
    })
}
