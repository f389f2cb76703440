//! What a `then` can ask for. Nothing is done here: an action is only written down.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::later::PlannedAction;
use crate::domain::action::Template;
use crate::domain::{Action, Change, Channel, Effect, Event, EventKind, Phone, Send, SendBody};
use crate::rules::limits::{ACTIONS_PER_EVENT, DATA_BYTES, NAME_CHARS, NOTE_CHARS, TEXT_CHARS};
use crate::rules::script::context;
use crate::rules::script::context::{Call, Phase, ScriptError, Wanted, error};
use crate::rules::script::functions::http_request::http_request;
use crate::rules::script::functions::send_email;
use crate::rules::script::values::{kind_of, to_json};
use crate::rules::script::views::appointment;
use crate::rules::script::views::event::{ContactView, text_argument};

/// The actions by name, for checks and completion.
pub const ACTIONS: &[&str] = &[
    "reply",
    "send_sms",
    "send_whatsapp",
    "send_whatsapp_template",
    "send_email",
    "notify",
    "http_request",
    "tag",
    "untag",
    "set_field",
    "note",
    "emit",
    "confirm_appointment",
    "cancel_appointment",
    "move_appointment",
    "ask",
    "call",
    "say",
    "play",
    "pause",
    "gather",
    "menu",
    "record",
    "dial",
    "enqueue",
    "dial_queue",
    "redirect",
    "hangup",
    "reject",
    "connect_agent",
    "remember",
];

pub(in crate::rules) const TEXT_REFERENCE: &str = " (error 21617)";

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn("reply", |ctx: NativeCallContext<'_>, text: Dynamic| {
        plan(&ctx, "reply", |call| reply(call, &text).map(Action::Send))
    });
    engine.register_fn("send_sms", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic| {
        plan(&ctx, "send_sms", |_| send(Channel::Sms, &to, &text))
    });
    engine.register_fn("send_whatsapp", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic| {
        plan(&ctx, "send_whatsapp", |_| send(Channel::WhatsApp, &to, &text))
    });
    engine.register_fn(
        "send_whatsapp_template",
        |ctx: NativeCallContext<'_>, to: Dynamic, content: ImmutableString| {
            plan(&ctx, "send_whatsapp_template", |_| template(&to, &content, &Map::new()))
        },
    );
    engine.register_fn(
        "send_whatsapp_template",
        |ctx: NativeCallContext<'_>, to: Dynamic, content: ImmutableString, variables: Map| {
            plan(&ctx, "send_whatsapp_template", |_| template(&to, &content, &variables))
        },
    );
    engine.register_fn(
        "send_email",
        |ctx: NativeCallContext<'_>, to: Dynamic, subject_or_template: Dynamic, text_or_values: Dynamic| {
            plan_all(&ctx, "send_email", |call| send_email::sends(call, &to, &subject_or_template, &text_or_values))
        },
    );
    engine.register_fn("http_request", |ctx: NativeCallContext<'_>, asked: Dynamic| {
        plan(&ctx, "http_request", |_| http_request(&asked))
    });
    engine.register_fn("tag", |ctx: NativeCallContext<'_>, tag: Dynamic| {
        change(&ctx, "tag", |call| effect(call, Effect::Tag { tag: name("a tag", &tag)? }))
    });
    engine.register_fn("untag", |ctx: NativeCallContext<'_>, tag: Dynamic| {
        change(&ctx, "untag", |call| effect(call, Effect::Untag { tag: name("a tag", &tag)? }))
    });
    engine.register_fn("set_field", |ctx: NativeCallContext<'_>, field: Dynamic, value: Dynamic| {
        change(&ctx, "set_field", |call| {
            effect(call, Effect::SetField { field: name("a field", &field)?, value: to_json(&value)? })
        })
    });
    engine.register_fn("note", |ctx: NativeCallContext<'_>, text: Dynamic| {
        change(&ctx, "note", |call| effect(call, Effect::Note { text: text_within(&text, NOTE_CHARS, "")? }))
    });
    engine.register_fn("emit", |ctx: NativeCallContext<'_>, kind: Dynamic| {
        change(&ctx, "emit", |call| emit(call, &kind, &Dynamic::from(Map::new())))
    });
    engine.register_fn("emit", |ctx: NativeCallContext<'_>, kind: Dynamic, data: Dynamic| {
        change(&ctx, "emit", |call| emit(call, &kind, &data))
    });
    for (function, change) in [("confirm_appointment", Change::Confirm), ("cancel_appointment", Change::Cancel)] {
        engine.register_fn(function, move |ctx: NativeCallContext<'_>| {
            plan(&ctx, function, |call| appointment::change(call, None, change))
        });
        engine.register_fn(function, move |ctx: NativeCallContext<'_>, which: Dynamic| {
            plan(&ctx, function, |call| appointment::change(call, Some(&which), change))
        });
    }
    engine.register_fn("move_appointment", |ctx: NativeCallContext<'_>, start: Dynamic| {
        plan(&ctx, "move_appointment", |call| appointment::move_to(call, &start, &Dynamic::UNIT))
    });
    engine.register_fn("move_appointment", |ctx: NativeCallContext<'_>, start: Dynamic, state: Dynamic| {
        plan(&ctx, "move_appointment", |call| appointment::move_to(call, &start, &state))
    });
}

/// Writes an action down, or says at which line and why not.
fn plan(
    context: &NativeCallContext<'_>,
    function: &str,
    action: impl FnOnce(&Arc<Call>) -> Result<Action, String>,
) -> Result<PlannedAction, ScriptError> {
    plan_all(context, function, |call| Ok(vec![action(call)?]))
}

/// The same of an effect, which happens at once or not at all.
fn change(
    context: &NativeCallContext<'_>,
    function: &str,
    action: impl FnOnce(&Arc<Call>) -> Result<Action, String>,
) -> Result<(), ScriptError> {
    plan(context, function, action).map(drop)
}

pub(in crate::rules) fn plan_all(
    context: &NativeCallContext<'_>,
    function: &str,
    actions: impl FnOnce(&Arc<Call>) -> Result<Vec<Action>, String>,
) -> Result<PlannedAction, ScriptError> {
    let at = context.call_position();
    let Some(call) = context::of(context) else {
        return Err(error(format!("{function} acts on an event: call it inside .then(|e| …)"), at));
    };
    if call.frame().phase == Phase::When {
        return Err(error(format!("{function} changes something: a when only asks, so move it into .then(|e| …)"), at));
    }
    let actions = actions(&call).map_err(|message| error(format!("{function}: {message}"), at))?;
    let mut frame = call.frame();
    if frame.planned + frame.actions.len() + actions.len() > ACTIONS_PER_EVENT {
        return Err(error(format!("one event may lead to at most {ACTIONS_PER_EVENT} actions"), at));
    }
    let first = frame.actions.len();
    frame.actions.extend(actions.into_iter().map(|action| Wanted { action, due: None }));
    let which = first..frame.actions.len();
    drop(frame);
    Ok(PlannedAction { call, which })
}

pub(in crate::rules) fn reply(call: &Call, text: &Dynamic) -> Result<Send, String> {
    let kind = &call.event.kind;
    let (Some(channel), Some(contact)) = (kind.inbound_channel(), call.contact()) else {
        return Err(format!(
            "only a customer's message can be replied to, and this event is {kind}: use send_sms or send_whatsapp"
        ));
    };
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    // To the number that wrote: another form of it, by which the customer is known, may not be reachable.
    let from = call.event.data.get("from").and_then(serde_json::Value::as_str).and_then(|from| Phone::parse(from).ok());
    let to = from.filter(|from| from.key() == contact.phone.key()).unwrap_or_else(|| contact.phone.clone());
    Ok(Send { channel, to: to.into(), reply: true, fallback: None, body })
}

fn send(channel: Channel, to: &Dynamic, text: &Dynamic) -> Result<Action, String> {
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    Ok(Action::Send(Send { channel, to: recipient(to)?.into(), reply: false, fallback: None, body }))
}

fn template(to: &Dynamic, content: &str, variables: &Map) -> Result<Action, String> {
    let body = template_body(content, variables)?;
    let to = recipient(to)?.into();
    Ok(Action::Send(Send { channel: Channel::WhatsApp, to, reply: false, fallback: None, body }))
}

pub(in crate::rules) fn template_body(content: &str, variables: &Map) -> Result<SendBody, String> {
    let content = name("a template", &content.into())?;
    let mut texts = BTreeMap::new();
    for (key, value) in variables {
        let text = match value.as_int() {
            Ok(number) => number.to_string(),
            Err(_) => text_within(value, TEXT_CHARS, "")?,
        };
        texts.insert(key.to_string(), text);
    }
    Ok(SendBody::Template(Template { content, variables: texts }))
}

pub(in crate::rules) fn recipient(to: &Dynamic) -> Result<Phone, String> {
    if let Some(view) = to.read_lock::<ContactView>() {
        return view
            .0
            .contact()
            .map(|contact| contact.phone.clone())
            .ok_or_else(|| "the event has no contact".to_owned());
    }
    if to.is_unit() {
        return Err("there is nobody to send to: this event concerns no customer, so e.contact is ()".to_owned());
    }
    let text = text_argument("the recipient", to).map_err(|message| format!("{message}; use e.contact or a number"))?;
    Phone::parse(&text).map_err(|bad| bad.to_string())
}

/// An effect on the customer, for which there must be one.
fn effect(call: &Call, effect: Effect) -> Result<Action, String> {
    if call.contact().is_none() {
        return Err(format!("the event {} concerns no customer", call.event.kind));
    }
    Ok(Action::Effect(effect))
}

fn emit(call: &Call, kind: &Dynamic, data: &Dynamic) -> Result<Action, String> {
    let kind = EventKind::parse(&text_argument("the kind", kind)?).map_err(|bad| bad.to_string())?;
    if EventKind::BUILT_IN.contains(&kind) {
        return Err(format!("{kind} is an event that only the engine makes: choose a name of your own"));
    }
    if call.event.depth >= Event::MAX_DEPTH {
        return Err(format!(
            "rules have emitted events {} times in a row: they probably emit each other in a circle",
            Event::MAX_DEPTH
        ));
    }
    if !data.is_map() {
        return Err(format!("the data must be a map such as #{{ stars: 5 }}, and this is a {}", kind_of(data)));
    }
    let data = to_json(data)?;
    if data.to_string().len() > DATA_BYTES {
        return Err(format!("the data is larger than {DATA_BYTES} bytes"));
    }
    Ok(Action::Effect(Effect::Emit { kind, data }))
}

pub(in crate::rules) fn text_within(value: &Dynamic, chars: usize, reference: &str) -> Result<String, String> {
    let text = text_argument("the text", value)?;
    let count = text.chars().count();
    if count > chars {
        return Err(format!("the text has {count} characters, and {chars} is the most{reference}"));
    }
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text)
}

pub(in crate::rules) fn name(what: &str, value: &Dynamic) -> Result<String, String> {
    let text = text_argument(&format!("the name of {what}"), value)?;
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().count() > NAME_CHARS || trimmed.chars().any(char::is_control) {
        return Err(format!("the name of {what} must have 1 to {NAME_CHARS} characters and no line breaks"));
    }
    Ok(trimmed.to_owned())
}
