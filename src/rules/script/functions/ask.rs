//! `ask`: a message that waits for an answer.
//!
//! The time runs from the moment at which the text is sent. If it is never sent, the rule's `.on_unsent` runs.
//!
//! A message on the channel of an open question goes to the rule's `.on_answer` first. If that plans no action, or gives
//! `false`, the message is no answer: the question stays open, and the other rules are asked. Otherwise the question is
//! closed, and the other rules see the message only after `pass_on()`.

use std::sync::Arc;

use rhai::{Dynamic, NativeCallContext};
use serde_json::Value;

use crate::domain::{Action, ActionId, Channel, Question, QuestionChange, Send, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{self, Recipient, TEXT_REFERENCE, after, name, text_within, within_reach};
use crate::rules::script::context::{EvalContext, RequestedAction, ScriptError};
use crate::rules::script::functions::reply::reply;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

pub(in crate::rules) const ASK: Function = Function {
    name: "ask",
    receiver: None,
    group: Group::Conversation,
    about: "Sends a question and waits for the answer for a span from then on. The rule needs an `.on_answer` of the same \
            name. One rule asks on a channel for one event: the first.",
    signatures: &[
        Signature::new(&[("name", Kind::Question), ("text", Kind::Text), ("span", Kind::Span)], Kind::Nothing),
        Signature::new(
            &[("name", Kind::Question), ("text", Kind::Text), ("span", Kind::Span), ("channel or state", Kind::Any)],
            Kind::Nothing,
        ),
        Signature::new(
            &[
                ("name", Kind::Question),
                ("text", Kind::Text),
                ("span", Kind::Span),
                ("channel", Kind::Any),
                ("state", Kind::Any),
            ],
            Kind::Nothing,
        ),
    ],
    example: r#"rule("booking").on("inbound_sms").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h", #{ tries: 1 }))
    .on_answer("day", |e, answer| reply(`See you on ${answer}.`));"#,
    register: |engine, _| {
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
            |ctx: NativeCallContext<'_>, name: Dynamic, text: Dynamic, span: Dynamic, one: Dynamic, two: Dynamic| {
                ask(&ctx, &name, &text, &span, &[one, two])
            },
        );
    },
};

fn ask(
    ctx: &NativeCallContext<'_>,
    question: &Dynamic,
    text: &Dynamic,
    span: &Dynamic,
    more: &[Dynamic],
) -> Result<(), ScriptError> {
    let mut asked = None;
    let planned = plan(ctx, "ask", |eval| {
        let (action, question) = asking(eval, question, text, span, more)?;
        asked = question;
        Ok(action)
    })?;
    if let Some(mut question) = asked {
        let mut frame = planned.eval.frame();
        let index = frame.first_index + planned.which.start;
        question.id = ActionId::of(planned.eval.event.id, &frame.rule, index);
        question.rule.clone_from(&frame.rule);
        frame.questions.push(QuestionChange::Open(question));
    }
    Ok(())
}

/// Makes the message and, if there is somebody to ask, the question. The question gets its id once the action has its index.
fn asking(
    eval: &Arc<EvalContext>,
    question: &Dynamic,
    text: &Dynamic,
    span: &Dynamic,
    more: &[Dynamic],
) -> Result<(RequestedAction, Option<Question>), String> {
    let question = name("a question", question)?;
    let has_handler = eval.frame().handlers.as_ref().is_some_and(|handlers| handlers.answers.contains_key(&question));
    if !has_handler {
        return Err(format!("nobody would hear the answer: add .on_answer(\"{question}\", |e, answer| …) to the rule"));
    }
    let (mut channel, mut state) = (None, Value::Null);
    for one in more {
        match text_of(one) {
            Some(text) => channel = Some(text.parse::<Channel>().map_err(|bad| bad.to_string())?),
            None => state = arguments::state(one)?,
        }
    }
    let expires_at = within_reach(eval.facts.as_of, after(eval, span)?)?;
    if expires_at <= eval.facts.as_of {
        return Err("the span must be longer than nothing".to_owned());
    }
    let inbound = eval.event.kind.inbound_channel();
    if eval.contact().is_none() {
        let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
        return Ok((Recipient::no_customer().send(channel.or(inbound).unwrap_or(Channel::Sms), body), None));
    }
    let send = asked_on(eval, channel, text)?;
    let asks_already =
        |change: &QuestionChange| matches!(change, QuestionChange::Open(open) if open.channel == send.channel);
    if eval.frame().questions.iter().any(asks_already) {
        return Err("a rule asks one question at a time: ask the next one in .on_answer".to_owned());
    }
    let question = Question {
        id: ActionId::new(uuid::Uuid::nil()),
        channel: send.channel,
        rule: String::new(),
        name: question,
        state,
        asked_at: eval.facts.as_of,
        expires_at,
    };
    Ok((Action::Send(send).into(), Some(question)))
}

/// Makes the message: a reply if the event is one, else a message on the named channel, on that of the silent question, or
/// on that of the customer's last message.
fn asked_on(eval: &Arc<EvalContext>, channel: Option<Channel>, text: &Dynamic) -> Result<Send, String> {
    let inbound = eval.event.kind.inbound_channel();
    if inbound.is_some() && channel.is_none_or(|channel| Some(channel) == inbound) {
        return reply(eval, text);
    }
    let Some(contact) = eval.contact() else {
        return Err(format!("there is nobody to ask: the event {} concerns no customer", eval.event.kind));
    };
    let of_silence = || eval.facts.question(&eval.event).map(|question| question.channel);
    let last = || contact.last_inbound_at.iter().max_by_key(|(_, at)| **at).map(|(channel, _)| *channel);
    let channel = channel.or_else(of_silence).or_else(last).unwrap_or(Channel::Sms);
    if !Channel::INBOUND.contains(&channel) {
        return Err(format!("no answer can come in on {channel}: ask on {}", Channel::inbound_names()));
    }
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    Ok(Send { channel, to: arguments::address_on(contact, channel)?, reply: false, fallback: None, body })
}
