//! `notify`: a message by the channel that the customer prefers, as far as it can leave now.
//!
//! The customer's field `prefers` is `whatsapp`, `rcs`, `email` or `sms`; without it, a text message is sent. On WhatsApp
//! the text leaves while the customer's window is open. After that the template leaves, if one is named, else a text
//! message. By RCS the text leaves if the business has an RCS sender, else a text message.
//! A message that is blocked, refused or not delivered makes an event `fallback_wanted` with the text, once. A rule of the
//! library sends it as a text message.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::contact::ContactFacts;
use crate::domain::{Action, Channel, EmailBody, Send, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{Recipient, TEXT_REFERENCE, address_on, text_within};
use crate::rules::script::context::{EvalContext, RequestedAction, ScriptError};
use crate::rules::script::functions::send_whatsapp_template::template_body;
use crate::rules::script::plan::{PlannedAction, plan};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::script::views::contact::ContactView;

/// The customer's field that names the preferred channel.
const PREFERS: &str = "prefers";
const KEYS: [&str; 3] = ["subject", "template", "variables"];

pub(in crate::rules) const NOTIFY: Function = Function {
    name: "notify",
    receiver: None,
    group: Group::Messages,
    about: "Sends a text by the channel that the customer prefers; a map may give `subject`, `template` and `variables`.",
    signatures: &[
        Signature::new(&[("to", Kind::Contact), ("text", Kind::Text)], Kind::PlannedAction),
        Signature::new(&[("to", Kind::Contact), ("text", Kind::Text), ("more", Kind::Map)], Kind::PlannedAction),
    ],
    example: r#"notify(e.contact, "See you tomorrow.", #{ subject: "Your visit" })"#,
    register: |engine, _| {
        engine.register_fn("notify", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic| {
            notify(&ctx, &to, &text, &Map::new())
        });
        engine.register_fn("notify", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic, more: Map| {
            notify(&ctx, &to, &text, &more)
        });
    },
};

fn notify(ctx: &NativeCallContext<'_>, to: &Dynamic, text: &Dynamic, more: &Map) -> Result<PlannedAction, ScriptError> {
    plan(ctx, "notify", |eval| notice(eval, to, text, more))
}

fn notice(eval: &EvalContext, to: &Dynamic, text: &Dynamic, more: &Map) -> Result<RequestedAction, String> {
    if let Some(unknown) = more.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("there is no '{unknown}': it takes {}", KEYS.join(", ")));
    }
    if !to.is::<ContactView>() && !to.is_unit() {
        return Err("it goes to e.contact, and only where the event concerns a customer".to_owned());
    }
    let text = text_within(text, TEXT_CHARS, TEXT_REFERENCE)?;
    let Some(contact) = eval.contact().filter(|_| !to.is_unit()) else {
        return Ok(Recipient::no_customer().send(Channel::Sms, SendBody::Text(text)));
    };
    notice_to(eval, contact, text, more)
}

fn notice_to(eval: &EvalContext, contact: &ContactFacts, text: String, more: &Map) -> Result<RequestedAction, String> {
    let prefers = contact.fields.get(PREFERS).and_then(serde_json::Value::as_str).unwrap_or_default();
    // A customer who hides the number can be reached on WhatsApp only.
    let wanted = if contact.phone.is_none() { Some(Channel::WhatsApp) } else { prefers.parse::<Channel>().ok() };
    let channel = wanted.filter(|channel| !contact.opted_out.contains(channel));
    let send =
        |channel, to, text, body| Action::Send(Send { channel, to, reply: false, fallback: Some(text), body }).into();
    match (channel, contact.email()) {
        (Some(Channel::Email), Some(email)) => {
            let given = more.get("subject").and_then(text_of).filter(|subject| !subject.trim().is_empty());
            let subject = given.unwrap_or_else(|| eval.facts.tenant.name.clone());
            let body = SendBody::Email(EmailBody { subject, text: text.clone(), html: None });
            Ok(send(Channel::Email, email.into(), text, body))
        }
        (Some(Channel::WhatsApp), _) if let Some(body) = on_whatsapp(eval, contact, &text, more)? => {
            Ok(send(Channel::WhatsApp, address_on(contact, Channel::WhatsApp)?, text, body))
        }
        (Some(Channel::Rcs), _) if eval.facts.tenant.senders.contains(&Channel::Rcs) => {
            let body = SendBody::Text(text.clone());
            Ok(send(Channel::Rcs, address_on(contact, Channel::Rcs)?, text, body))
        }
        _ => Ok(Recipient::of(contact, Channel::Sms).send(Channel::Sms, SendBody::Text(text))),
    }
}

/// Returns the body that can leave on WhatsApp now, if any can.
fn on_whatsapp(eval: &EvalContext, contact: &ContactFacts, text: &str, more: &Map) -> Result<Option<SendBody>, String> {
    let last = contact.last_inbound_at.get(&Channel::WhatsApp);
    let window = Channel::WhatsApp.spec().session_window;
    if last.zip(window).is_some_and(|(last, window)| eval.facts.as_of.since(*last) < window) {
        return Ok(Some(SendBody::Text(text.to_owned())));
    }
    let Some(name) = more.get("template").and_then(text_of).filter(|name| !name.is_empty()) else { return Ok(None) };
    let none = Dynamic::from(Map::new());
    let variables = more.get("variables").unwrap_or(&none);
    let variables = variables.as_map_ref().map_err(|_| {
        format!("variables must be a map such as #{{ \"1\": \"Ana\" }}, and is a {}", kind_of(variables))
    })?;
    template_body(&name, &variables).map(Some)
}
