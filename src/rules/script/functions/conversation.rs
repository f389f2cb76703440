//! Asking back: `ask(…)` in a then, `.on_answer` and `.on_silence` in the rule's chain.
//!
//! ```rhai
//! rule("booking").on("inbound_sms").keyword("BOOK")
//!     .then(|e| ask("day", "Which day?", "24h"))
//!     .on_answer("day", |e, answer| ask("hour", `At what time on ${answer}?`, "24h", #{ day: answer }))
//!     .on_answer("hour", |e, answer| reply(`See you on ${e.question.state.day} at ${answer}.`))
//!     .on_silence("day", |e| send_sms(e.contact, "Write BOOK when you know the day."));
//! ```
//! A message on the channel of an open question goes to its `on_answer` first. Where that asks for nothing, or gives
//! `false`, the message fits nothing: the question stays open, the other rules are asked. Else the question is closed,
//! and nobody else is asked, unless it calls `pass_on()`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};
use serde_json::Value;

use super::actions::{TEXT_REFERENCE, name, plan_all, reply, text_within};
use super::later::{after, within_reach};
use super::voice::Awaits;
use crate::domain::contact::is_silence;
use crate::domain::fold::fold;
use crate::domain::{Action, ActionId, Channel, Event, Facts, Question, QuestionChange, Send, SendBody, opt_out};
use crate::rules::eval::trace::{Decision, RuleResult, RuleTrace};
use crate::rules::limits::{NAME_CHARS, QUESTIONS_PER_RULE, STATE_BYTES, TEXT_CHARS};
use crate::rules::load::builder::{Closure, Draft, RuleBuilder, closure_of};
use crate::rules::script::context;
use crate::rules::script::context::{Call, Phase, ScriptError, error};
use crate::rules::script::failure::Failure;
use crate::rules::script::values::{text_of, to_json};
use crate::rules::script::views::event::EventView;
use crate::rules::{Rule, RuleSet};

/// A rule's closures by the question's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::rules) struct Talk {
    pub answers: BTreeMap<String, String>,
    pub silences: BTreeMap<String, String>,
    /// By the step's name, in a call: what hears keys and words, and what begins a call of ours.
    pub inputs: BTreeMap<String, String>,
    pub calls: BTreeMap<String, String>,
}

impl Talk {
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.silences.is_empty() && self.inputs.is_empty() && self.calls.is_empty()
    }
}

// ── while a file is loaded ───────────────────────────────────────────────────────────────────────────────────────────

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn(
        "on_answer",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, closure: Dynamic| {
            let hint = "write .on_answer(\"slot\", |e, answer| …)";
            hears(&context, rule, "on_answer", hint, &name, &closure, |draft| &mut draft.answers)
        },
    );
    engine.register_fn(
        "on_silence",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, closure: Dynamic| {
            let hint = "write .on_silence(\"slot\", |e| …)";
            hears(&context, rule, "on_silence", hint, &name, &closure, |draft| &mut draft.silences)
        },
    );
    engine.register_fn("ask", |ctx: NativeCallContext<'_>, name: Dynamic, text: Dynamic, span: Dynamic| {
        ask(&ctx, &name, &text, &span, &[])
    });
    engine.register_fn(
        "ask",
        |ctx: NativeCallContext<'_>, name: Dynamic, text: Dynamic, span: Dynamic, more: Dynamic| {
            ask(&ctx, &name, &text, &span, &[more])
        },
    );
    engine.register_fn(
        "ask",
        |ctx: NativeCallContext<'_>, name: Dynamic, text: Dynamic, span: Dynamic, channel: Dynamic, state: Dynamic| {
            ask(&ctx, &name, &text, &span, &[channel, state])
        },
    );
    engine.register_fn("pass_on", |ctx: NativeCallContext<'_>| pass_on(&ctx));
}

pub(in crate::rules) fn hears(
    context: &NativeCallContext<'_>,
    rule: &RuleBuilder,
    function: &str,
    hint: &str,
    name: &Dynamic,
    closure: &Dynamic,
    list: fn(&mut Draft) -> &mut Vec<(String, Closure)>,
) -> RuleBuilder {
    let name = text_of(name).filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS);
    let (Some(name), Some(closure)) = (name, closure_of(closure, context)) else {
        return rule.fault(context, format!("{function} takes a question's name and a closure"), hint);
    };
    let mut refused = None;
    let after = rule.edit(|draft| {
        let list = list(draft);
        if list.iter().any(|(known, _)| *known == name) {
            refused = Some(format!("there is an {function} for \"{name}\" already"));
        } else if list.len() >= QUESTIONS_PER_RULE {
            refused = Some(format!("a rule may ask {QUESTIONS_PER_RULE} questions"));
        } else {
            list.push((name, closure));
        }
    });
    match refused {
        Some(message) => rule.fault(context, message, "give each question of a rule a name of its own"),
        None => after,
    }
}

// ── in a closure ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn ask(
    context: &NativeCallContext<'_>,
    question: &Dynamic,
    text: &Dynamic,
    span: &Dynamic,
    more: &[Dynamic],
) -> Result<(), ScriptError> {
    let mut asked = None;
    let planned = plan_all(context, "ask", |call| {
        let (send, question) = asking(call, question, text, span, more)?;
        asked = Some(question);
        Ok(vec![Action::Send(send)])
    })?;
    if let Some(mut question) = asked {
        let mut frame = planned.call.frame();
        let index = frame.first_index + planned.which.start;
        question.id = ActionId::of(planned.call.event.id, &frame.rule, index);
        question.rule.clone_from(&frame.rule);
        frame.questions.push(QuestionChange::Open(question));
    }
    Ok(())
}

/// The text that leaves, and the question but for its identity.
fn asking(
    call: &Arc<Call>,
    question: &Dynamic,
    text: &Dynamic,
    span: &Dynamic,
    more: &[Dynamic],
) -> Result<(Send, Question), String> {
    let question = name("a question", question)?;
    let heard = call.frame().talk.as_ref().is_some_and(|talk| talk.answers.contains_key(&question));
    if !heard {
        return Err(format!("nobody would hear the answer: add .on_answer(\"{question}\", |e, answer| …) to the rule"));
    }
    let (mut channel, mut state) = (None, Value::Null);
    for one in more {
        match text_of(one) {
            Some(text) => channel = Some(text.parse::<Channel>().map_err(|bad| bad.to_string())?),
            None => state = remembered(one)?,
        }
    }
    let expires_at = within_reach(call.facts.as_of, after(call, span)?)?;
    if expires_at <= call.facts.as_of {
        return Err("the span must be longer than nothing".to_owned());
    }
    let send = asked_on(call, channel, text)?;
    let question = Question {
        id: ActionId::new(uuid::Uuid::nil()),
        channel: send.channel,
        rule: String::new(),
        name: question,
        state,
        asked_at: call.facts.as_of,
        expires_at,
    };
    Ok((send, question))
}

/// What a rule wants to remember.
pub(in crate::rules) fn remembered(state: &Dynamic) -> Result<Value, String> {
    let state = to_json(state)?;
    if state.to_string().len() > STATE_BYTES {
        return Err(format!("what is to be remembered is larger than {STATE_BYTES} bytes"));
    }
    Ok(state)
}

/// A reply to what came in; else on the channel that is named, that of the question whose silence this is, or the one
/// on which the customer wrote last.
fn asked_on(call: &Arc<Call>, channel: Option<Channel>, text: &Dynamic) -> Result<Send, String> {
    let inbound = call.event.kind.inbound_channel();
    if inbound.is_some() && channel.is_none_or(|channel| Some(channel) == inbound) {
        return reply(call, text);
    }
    let Some(contact) = call.contact() else {
        return Err(format!("there is nobody to ask: the event {} concerns no customer", call.event.kind));
    };
    let of_silence = || call.facts.question(&call.event).map(|question| question.channel);
    let last = || contact.last_inbound_at.iter().max_by_key(|(_, at)| **at).map(|(channel, _)| *channel);
    let channel = channel.or_else(of_silence).or_else(last).unwrap_or(Channel::Sms);
    if !Channel::INBOUND.contains(&channel) {
        return Err(format!("no answer can come in on {channel}: ask on sms or whatsapp"));
    }
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    Ok(Send { channel, to: contact.phone.clone().into(), reply: false, fallback: None, body })
}

fn pass_on(context: &NativeCallContext<'_>) -> Result<(), ScriptError> {
    let at = context.call_position();
    match context::of(context) {
        Some(call) if call.frame().phase == Phase::Answer => {
            call.frame().pass_on = true;
            Ok(())
        }
        _ => Err(error("pass_on lets the other rules see an answer too: call it inside .on_answer(…)", at)),
    }
}

/// What a rule says of the questions it asked, for the trace. `before` are the changes of this event so far.
pub(in crate::rules) fn said(call: &Call, before: &[QuestionChange], changes: &[QuestionChange]) -> Vec<String> {
    let mut open: BTreeMap<Channel, &Question> = call.facts.questions.iter().map(|(at, open)| (*at, open)).collect();
    let mut said = Vec::new();
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
                said.push(format!("asks \"{name}\" on {channel}, until {expires_at}"));
                said.extend(old.map(|old| {
                    format!("which replaces \"{}\" of {}, open on {channel} since {}", old.name, old.rule, old.asked_at)
                }));
            }
        }
    }
    said
}

// ── while an event is decided ────────────────────────────────────────────────────────────────────────────────────────

/// Whom an event concerns before all other rules.
pub(in crate::rules) enum Turn<'r> {
    /// A message that may answer the rule's question.
    Answer(&'r Rule, &'r str, Question),
    /// Nobody has answered.
    Silence(&'r Rule, Question),
    /// There is a question, but nobody who asked: the rule is gone, asleep, or has no such question any more.
    Nobody(Question),
    /// What came in a call, for the rule that waits for it.
    Call(Awaits<'r>),
    /// A silence that was broken meanwhile.
    Void { rule: String, question: String },
}

impl RuleSet {
    /// Whether this business's rules ask anything, so that open questions have to be known.
    pub fn asks(&self, facts: &crate::domain::contact::TenantFacts) -> bool {
        self.talkers.values().any(|number| {
            let Rule { info, talk, .. } = &self.rules[*number];
            !talk.answers.is_empty() && (!info.blueprint || facts.blueprints.contains_key(&info.name))
        })
    }

    /// The rule of a file that hears answers to a question of this name.
    pub(in crate::rules) fn asker_in(&self, file: &str, question: &str) -> Option<String> {
        let hears = |rule: &&Rule| rule.info.file == file && rule.talk.answers.contains_key(question);
        self.rules.iter().find(hears).map(|rule| rule.info.name.clone())
    }

    pub(in crate::rules) fn turn(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> Option<Turn<'_>> {
        let open = facts.question(event);
        let asker = |question: &Question| {
            let rule = &self.rules[*self.talkers.get(&question.rule)?];
            let awake = !rule.info.blueprint || facts.tenant.blueprints.contains_key(&rule.info.name);
            (awake && rule.talk.answers.contains_key(&question.name) && keep(rule)).then_some(rule)
        };
        if is_silence(event) {
            let told = |key: &str| event.data["question"][key].as_str().unwrap_or_default();
            let same = open.filter(|open| open.id.to_string() == told("id"));
            let Some(question) = same else {
                return Some(Turn::Void { rule: told("rule").to_owned(), question: told("name").to_owned() });
            };
            return Some(match asker(question) {
                Some(rule) => Turn::Silence(rule, question.clone()),
                None => Turn::Nobody(question.clone()),
            });
        }
        if let Some(awaits) = self.awaits(event, facts, &keep) {
            return Some(Turn::Call(awaits));
        }
        let question = open.filter(|_| !is_opt_out_word(event))?;
        Some(match asker(question) {
            Some(rule) => Turn::Answer(rule, &rule.talk.answers[&question.name], question.clone()),
            None => Turn::Nobody(question.clone()),
        })
    }

    /// Gives the event to whom it concerns first; whether that was all, and no other rule is asked.
    pub(in crate::rules) fn converse(
        &self,
        call: &Arc<Call>,
        turn: Turn<'_>,
        left: Duration,
        decision: &mut Decision,
    ) -> bool {
        let trace = match turn {
            Turn::Answer(rule, function, question) => {
                let mut pass_on = false;
                let trace = self.run(call, rule, None, left, decision, || {
                    let (result, others) = self.hear(call, rule, function, question)?;
                    pass_on = others;
                    Ok(result)
                });
                let heard = matches!(trace.result, RuleResult::Answered { .. }) && !pass_on;
                decision.trace.rules.push(trace);
                return heard;
            }
            Turn::Silence(rule, question) => {
                let close = QuestionChange::Close(question.clone());
                let trace = self.run(call, rule, None, left, decision, || self.fall_silent(call, rule, question));
                if trace.result.counts() {
                    return end(decision, trace);
                }
                // Nobody tells this silence again: the question ends, whatever became of the rule.
                decision.questions.push(close);
                trace
            }
            Turn::Nobody(question) => {
                let (rule, name) = (question.rule.clone(), question.name.clone());
                let silence = is_silence(&call.event);
                if silence {
                    decision.questions.push(QuestionChange::Close(question));
                }
                decision.trace.rules.push(RuleTrace::without_run(&rule, RuleResult::NobodyHears { question: name }));
                return silence;
            }
            Turn::Call(awaits) => return self.hear_input(call, awaits, left, decision),
            Turn::Void { rule, question } => RuleTrace::without_run(&rule, RuleResult::SilenceBroken { question }),
        };
        end(decision, trace)
    }

    /// What the rule makes of an answer, and whether the others may see it too.
    fn hear(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        function: &str,
        open: Question,
    ) -> Result<(RuleResult, bool), Failure> {
        let question = open.name.clone();
        {
            let mut frame = call.frame();
            frame.phase = Phase::Answer;
            frame.questions.push(QuestionChange::Close(open));
        }
        let answer: ImmutableString = fold(call.text("body")).into();
        let gave = self.invoke(call, rule, function, (EventView(Arc::clone(call)), answer))?;
        let frame = call.frame();
        let fits = !frame.actions.is_empty() && gave.as_bool() != Ok(false);
        let result = if fits { RuleResult::Answered { question } } else { RuleResult::FitsNothing { question } };
        Ok((result, frame.pass_on))
    }

    fn fall_silent(&self, call: &Arc<Call>, rule: &Rule, open: Question) -> Result<RuleResult, Failure> {
        let question = open.name.clone();
        {
            let mut frame = call.frame();
            frame.phase = Phase::Then;
            frame.questions.push(QuestionChange::Close(open));
        }
        if let Some(function) = rule.talk.silences.get(&question) {
            // What it gives back means nothing.
            let _ = self.invoke(call, rule, function, (EventView(Arc::clone(call)),))?;
        }
        Ok(RuleResult::Silent { question })
    }
}

fn end(decision: &mut Decision, trace: RuleTrace) -> bool {
    decision.trace.rules.push(trace);
    true
}

/// STOP, START and HELP are for the intake, which has heeded them. YES is a START only for who has opted out, and
/// those are asked nothing.
fn is_opt_out_word(event: &Event) -> bool {
    let body = event.data.get("body").and_then(Value::as_str).unwrap_or_default();
    let named = event.data.get("opt_out_type").is_some_and(|word| !word.is_null());
    named || opt_out::recognise(body).is_some_and(|found| !found.only_if_opted_out)
}
