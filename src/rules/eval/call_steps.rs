//! Input in a call: it goes to the rule whose step waits for it, before all other rules.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::domain::call::{Awaited, Gather, PendingInput, Step};
use crate::domain::event::CallData;
use crate::domain::fold::fold;
use crate::domain::stock_phrase::{StockPhrase, stock_phrase};
use crate::domain::{Action, Event, EventKind, Facts};
use crate::rules::eval::trace::{Decision, Planned, RuleResult, RuleTrace};
use crate::rules::model::Rule;
use crate::rules::ruleset::RuleSet;
use crate::rules::script::context::{EvalContext, Phase};
use crate::rules::script::failure::Failure;
use crate::rules::script::views::event::EventView;

/// A step of a call that a rule waits for.
pub(in crate::rules) struct AwaitedStep<'r> {
    /// `None` if the rule is gone or not enabled.
    rule: Option<&'r Rule>,
    name: String,
    /// `None` if the input is missing or fits no choice.
    step: Option<String>,
}

impl RuleSet {
    /// Returns the step that waits for this input; `None` if no rule waits.
    pub(in crate::rules) fn awaited_step(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> Option<AwaitedStep<'_>> {
        if event.kind != EventKind::CALL_INPUT && event.kind != EventKind::CALL_OPENED {
            return None;
        }
        let waiting = facts.call.as_ref()?.state.waiting.as_ref()?;
        // The caller has spoken with somebody, so the `otherwise` step is not needed.
        let outcome = event.data.get("outcome").and_then(Value::as_str).unwrap_or_default();
        if matches!(waiting.what, Awaited::Nobody(_)) && CallData::is_talk(outcome) {
            return None;
        }
        let name = waiting.rule.clone()?;
        let rule = self.with_handlers.get(&name).map(|number| &self.rules[*number]);
        let rule = rule.filter(|rule| rule.is_enabled_for(&facts.tenant)).filter(|rule| keep(rule));
        Some(AwaitedStep { rule, name, step: step_of(waiting, event) })
    }

    /// Runs the handler of the step. Returns whether something is said, so that no other rule is evaluated.
    pub(in crate::rules) fn take_input(
        &self,
        eval: &Arc<EvalContext>,
        awaited: AwaitedStep<'_>,
        left: Duration,
        decision: &mut Decision,
    ) -> bool {
        let AwaitedStep { rule, name, step } = awaited;
        let Some(step) = step else {
            let result = if eval.text("body").is_empty() { RuleResult::NothingHeard } else { RuleResult::FitsNoChoice };
            decision.trace.rules.push(RuleTrace::without_run(&name, result));
            return false;
        };
        let handler = rule.and_then(|rule| Some((rule, handler_of(rule, &step)?)));
        let Some((rule, handler)) = handler else {
            decision.trace.rules.push(RuleTrace::without_run(&name, RuleResult::NobodyHears { question: step }));
            return false;
        };
        let before = decision.actions.len();
        let trace = self.run(eval, rule, None, left, decision, || self.invoke_step(eval, rule, handler, &step));
        decision.trace.rules.push(trace);
        decision.actions[before..].iter().any(is_audible)
    }

    fn invoke_step(
        &self,
        eval: &Arc<EvalContext>,
        rule: &Rule,
        handler: StepHandler<'_>,
        step: &str,
    ) -> Result<RuleResult, Failure> {
        eval.frame().phase = Phase::Then;
        let event = EventView(Arc::clone(eval));
        // The value of the closure is ignored.
        let _ = match handler {
            StepHandler::Call(function) => self.invoke(eval, rule, function, (event,))?,
            StepHandler::Input(function) => {
                let input = eval.folded_body();
                self.invoke(eval, rule, function, (event, input))?
            }
        };
        Ok(RuleResult::Answered { question: step.to_owned() })
    }

    /// Repeats the prompt, or gives up, if no rule has said anything to the input.
    pub(in crate::rules) fn repeat_if_unanswered(&self, eval: &Arc<EvalContext>, decision: &mut Decision) {
        if eval.event.kind != EventKind::CALL_INPUT || decision.actions.iter().any(is_audible) {
            return;
        }
        let waiting = eval.facts.call.as_ref().and_then(|facts| facts.state.waiting.as_ref());
        let Some(PendingInput { rule: Some(rule), what: Awaited::Input(gather) }) = waiting else { return };
        let silent = eval.text("body").is_empty();
        let first = decision.actions.iter().filter(|planned| planned.rule == *rule).count();
        let steps = repeat_prompt(gather, silent, &eval.facts.tenant.language);
        let planned = |(index, step): (usize, Step)| Planned {
            rule: rule.clone(),
            index: first + index,
            action: Action::Voice(step),
            due: None,
            blocked: None,
        };
        decision.actions.extend(steps.into_iter().enumerate().map(planned));
    }
}

/// The closure for a step.
enum StepHandler<'r> {
    /// `.on_call`
    Call(&'r str),
    /// `.on_input`
    Input(&'r str),
}

fn handler_of<'r>(rule: &'r Rule, step: &str) -> Option<StepHandler<'r>> {
    let input = rule.handlers.inputs.get(step).map(|function| StepHandler::Input(function));
    input.or_else(|| rule.handlers.calls.get(step).map(|function| StepHandler::Call(function)))
}

/// Returns the step that the input leads to; `None` if it is missing or fits no choice.
fn step_of(waiting: &PendingInput, event: &Event) -> Option<String> {
    let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
    match &waiting.what {
        Awaited::Step(step) | Awaited::Nobody(step) => Some(step.clone()),
        Awaited::Input(_) if text("body").is_empty() => None,
        Awaited::Input(gather) => gather.step_of(text("digits"), &fold(text("speech"))).map(str::to_owned),
    }
}

fn is_audible(planned: &Planned) -> bool {
    matches!(&planned.action, Action::Voice(step) if step.is_audible())
}

/// Returns the steps after a missing or unfitting input: the prompt again, or `otherwise`, or a farewell.
pub fn repeat_prompt(gather: &Gather, silent: bool, language: &str) -> Vec<Step> {
    if gather.tried + 1 >= gather.tries {
        return match &gather.otherwise {
            Some(step) => vec![Step::Redirect { step: step.clone() }],
            None => {
                vec![
                    Step::say(gather.farewell(silent).unwrap_or(stock_phrase(StockPhrase::Farewell, language))),
                    Step::Hangup,
                ]
            }
        };
    }
    let before = if silent { gather.no_input.clone() } else { gather.no_match.clone() };
    let before = before.or_else(|| (!silent).then(|| stock_phrase(StockPhrase::NotUnderstood, language).to_owned()));
    let next = Gather { tried: gather.tried + 1, ..gather.clone() };
    before.map(Step::say).into_iter().chain([Step::Gather(next)]).collect()
}
