//! Conversations: an answer to an open question, and the silence after one, come before all other rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::contact::{TenantFacts, is_silence, was_unsent};
use crate::domain::{Channel, Event, Facts, Question, QuestionChange, opt_out};
use crate::rules::eval::call_steps::AwaitedStep;
use crate::rules::eval::trace::{Decision, RuleResult, RuleTrace};
use crate::rules::model::Rule;
use crate::rules::ruleset::RuleSet;
use crate::rules::script::context::{EvalContext, Phase};
use crate::rules::script::failure::Failure;
use crate::rules::script::views::event::EventView;

/// The conversation that an event belongs to.
pub(in crate::rules) enum Turn<'r> {
    /// A message that may answer the rule's question.
    Answer(&'r Rule, &'r str, Question),
    /// The question of this rule got no answer in time, or was never sent.
    Silence(&'r Rule, Question),
    /// The rule that asked is gone, is not enabled, or no longer has the question.
    NoHandler(Question),
    /// Input in a call, for the rule that waits for it.
    Call(AwaitedStep<'r>),
    /// The silent question was answered or replaced meanwhile.
    Void { rule: String, question: String },
}

impl RuleSet {
    /// Returns whether this tenant's rules ask anything, so that open questions must be known.
    pub fn has_questions(&self, tenant: &TenantFacts) -> bool {
        self.with_handlers.values().any(|number| {
            let rule = &self.rules[*number];
            !rule.handlers.answers.is_empty() && rule.is_enabled_for(tenant)
        })
    }

    /// Returns the rule of a file that handles answers to a question of this name.
    pub(in crate::rules) fn rule_with_question(&self, file: &str, question: &str) -> Option<String> {
        let handles = |rule: &&Rule| rule.info.file == file && rule.handlers.answers.contains_key(question);
        self.rules.iter().find(handles).map(|rule| rule.info.name.clone())
    }

    /// Returns the conversation that an event belongs to, if it belongs to one.
    pub(in crate::rules) fn turn(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> Option<Turn<'_>> {
        let open = facts.question(event);
        let asker = |question: &Question| {
            let rule = &self.rules[*self.with_handlers.get(&question.rule)?];
            let enabled = rule.is_enabled_for(&facts.tenant);
            (enabled && rule.handlers.answers.contains_key(&question.name) && keep(rule)).then_some(rule)
        };
        if is_silence(event) {
            let text = |key: &str| event.data["question"][key].as_str().unwrap_or_default();
            let same = open.filter(|open| open.id.to_string() == text("id"));
            let Some(question) = same else {
                return Some(Turn::Void { rule: text("rule").to_owned(), question: text("name").to_owned() });
            };
            return Some(match asker(question) {
                Some(rule) => Turn::Silence(rule, question.clone()),
                None => Turn::NoHandler(question.clone()),
            });
        }
        if let Some(step) = self.awaited_step(event, facts, &keep) {
            return Some(Turn::Call(step));
        }
        // The intake has handled STOP, START and HELP.
        let question = open.filter(|_| opt_out::phrase_in(event).is_none())?;
        Some(match asker(question) {
            Some(rule) => Turn::Answer(rule, &rule.handlers.answers[&question.name], question.clone()),
            None => Turn::NoHandler(question.clone()),
        })
    }

    /// Runs the conversation. Returns whether no other rule is evaluated.
    pub(in crate::rules) fn run_conversation(
        &self,
        eval: &Arc<EvalContext>,
        turn: Turn<'_>,
        left: Duration,
        decision: &mut Decision,
    ) -> bool {
        let trace = match turn {
            Turn::Answer(rule, function, question) => {
                let mut pass_on = false;
                let trace = self.run(eval, rule, None, left, decision, || {
                    let (result, others) = self.take_answer(eval, rule, function, question)?;
                    pass_on = others;
                    Ok(result)
                });
                let taken = matches!(trace.result, RuleResult::Answered { .. }) && !pass_on;
                decision.trace.rules.push(trace);
                return taken;
            }
            Turn::Silence(rule, question) => {
                let close = QuestionChange::Close(question.clone());
                let trace = self.run(eval, rule, None, left, decision, || self.handle_silence(eval, rule, question));
                if trace.result.counts() {
                    return end(decision, trace);
                }
                // The timer is used up, so the question closes even if the rule failed.
                decision.questions.push(close);
                trace
            }
            Turn::NoHandler(question) => {
                let (rule, name) = (question.rule.clone(), question.name.clone());
                let silence = is_silence(&eval.event);
                if silence {
                    decision.questions.push(QuestionChange::Close(question));
                }
                decision.trace.rules.push(RuleTrace::without_run(&rule, RuleResult::NobodyHears { question: name }));
                return silence;
            }
            Turn::Call(step) => return self.take_input(eval, step, left, decision),
            Turn::Void { rule, question } => RuleTrace::without_run(&rule, RuleResult::SilenceBroken { question }),
        };
        end(decision, trace)
    }

    /// Runs the handler of an answer. Returns the result, and whether the other rules see the message, too.
    fn take_answer(
        &self,
        eval: &Arc<EvalContext>,
        rule: &Rule,
        function: &str,
        open: Question,
    ) -> Result<(RuleResult, bool), Failure> {
        let question = open.name.clone();
        {
            let mut frame = eval.frame();
            frame.phase = Phase::Answer;
            frame.questions.push(QuestionChange::Close(open));
        }
        let answer = eval.folded_body();
        let value = self.invoke(eval, rule, function, (EventView(Arc::clone(eval)), answer))?;
        let frame = eval.frame();
        let fits = !frame.actions.is_empty() && value.as_bool() != Ok(false);
        let result = if fits { RuleResult::Answered { question } } else { RuleResult::FitsNothing { question } };
        Ok((result, frame.pass_on))
    }

    /// Runs the handler of a silence, or of a question that was never sent, if there is one.
    fn handle_silence(&self, eval: &Arc<EvalContext>, rule: &Rule, open: Question) -> Result<RuleResult, Failure> {
        let question = open.name.clone();
        {
            let mut frame = eval.frame();
            frame.phase = Phase::Then;
            frame.questions.push(QuestionChange::Close(open));
        }
        let unsent = was_unsent(&eval.event);
        let handlers = if unsent { &rule.handlers.unsents } else { &rule.handlers.silences };
        if let Some(function) = handlers.get(&question) {
            // The value of the closure is ignored.
            let _ = self.invoke(eval, rule, function, (EventView(Arc::clone(eval)),))?;
        }
        Ok(if unsent { RuleResult::Unsent { question } } else { RuleResult::Silent { question } })
    }
}

/// Adds the trace; no other rule is evaluated.
fn end(decision: &mut Decision, trace: RuleTrace) -> bool {
    decision.trace.rules.push(trace);
    true
}

/// Words the questions that a rule asks, for the trace. `before` are the earlier changes of this event.
pub(in crate::rules) fn describe_questions(
    eval: &EvalContext,
    before: &[QuestionChange],
    changes: &[QuestionChange],
) -> Vec<String> {
    let mut open: BTreeMap<Channel, &Question> = eval.facts.questions.iter().map(|(at, open)| (*at, open)).collect();
    let mut texts = Vec::new();
    for (change, new) in before.iter().map(|change| (change, false)).chain(changes.iter().map(|change| (change, true)))
    {
        match change {
            QuestionChange::Close(question) => drop(open.remove(&question.channel)),
            QuestionChange::Open(question) => {
                let old = open.insert(question.channel, question);
                if !new {
                    continue;
                }
                let Question { name, channel, expires_at, .. } = question;
                texts.push(format!("asks \"{name}\" on {channel}, until {expires_at} if it leaves at once"));
                texts.extend(old.map(|old| {
                    format!("which replaces \"{}\" of {}, open on {channel} since {}", old.name, old.rule, old.asked_at)
                }));
            }
        }
    }
    texts
}
