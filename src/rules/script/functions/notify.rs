//! `notify`: the way that the customer prefers, as far as it can be gone now; and `review_link`.
//!
//! ```rhai
//! set_field("prefers", "whatsapp");                                  // or "email", "sms"; without it by text message
//! notify(e.contact, "See you tomorrow.");
//! notify(e.contact, text, #{ subject: "Your visit", template: "visit", variables: #{ "1": e.contact.first_name } });
//! ```
//! On WhatsApp the text goes out while the customer's window is open, after that the template, if one is named, else it is
//! a text message. What is blocked, refused or not delivered all the same makes an event `fallback_wanted` with the text,
//! once, which a rule of the library sends as a text message.

use rhai::{Dynamic, Engine, Map, NativeCallContext};

use super::actions::{TEXT_REFERENCE, plan_all, template_body, text_within};
use super::later::PlannedAction;
use crate::domain::channel::WHATSAPP_WINDOW;
use crate::domain::contact::ContactFacts;
use crate::domain::{Action, Channel, EmailBody, Send, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::context;
use crate::rules::script::context::{Call, ScriptError, error};
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::script::views::event::ContactView;

/// The customer's field that names the channel they prefer.
const PREFERS: &str = "prefers";
const KEYS: [&str; 3] = ["subject", "template", "variables"];

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn("notify", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic| {
        notify(&ctx, &to, &text, &Map::new())
    });
    engine.register_fn("notify", |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic, more: Map| {
        notify(&ctx, &to, &text, &more)
    });
    engine.register_fn("review_link", |ctx: NativeCallContext<'_>| -> Result<String, ScriptError> {
        let call = context::of(&ctx).ok_or_else(|| {
            error("review_link belongs to an event: call it inside .then(|e| …)", ctx.call_position())
        })?;
        Ok(call.links.url(call.event.id))
    });
}

fn notify(
    context: &NativeCallContext<'_>,
    to: &Dynamic,
    text: &Dynamic,
    more: &Map,
) -> Result<PlannedAction, ScriptError> {
    plan_all(context, "notify", |call| Ok(vec![Action::Send(notice(call, to, text, more)?)]))
}

fn notice(call: &Call, to: &Dynamic, text: &Dynamic, more: &Map) -> Result<Send, String> {
    if let Some(unknown) = more.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("there is no '{unknown}': it takes {}", KEYS.join(", ")));
    }
    let contact = to.is::<ContactView>().then(|| call.contact()).flatten();
    let contact = contact.ok_or("it goes to e.contact, and only where the event concerns a customer")?;
    let text = text_within(text, TEXT_CHARS, TEXT_REFERENCE)?;
    let prefers = contact.fields.get(PREFERS).and_then(serde_json::Value::as_str).unwrap_or_default();
    let channel = prefers.parse::<Channel>().ok().filter(|channel| !contact.opted_out.contains(channel));
    let to = contact.phone.clone().into();
    match (channel, contact.email()) {
        (Some(Channel::Email), Some(email)) => {
            let given = more.get("subject").and_then(text_of).filter(|subject| !subject.trim().is_empty());
            let subject = given.unwrap_or_else(|| call.facts.tenant.name.clone());
            let body = SendBody::Email(EmailBody { subject, text: text.clone(), html: None });
            Ok(Send { channel: Channel::Email, to: email.into(), reply: false, fallback: Some(text), body })
        }
        (Some(Channel::WhatsApp), _) if let Some(body) = on_whatsapp(call, contact, &text, more)? => {
            Ok(Send { channel: Channel::WhatsApp, to, reply: false, fallback: Some(text), body })
        }
        _ => Ok(Send { channel: Channel::Sms, to, reply: false, fallback: None, body: SendBody::Text(text) }),
    }
}

/// What can go out on WhatsApp now, if anything can.
fn on_whatsapp(call: &Call, contact: &ContactFacts, text: &str, more: &Map) -> Result<Option<SendBody>, String> {
    let last = contact.last_inbound_at.get(&Channel::WhatsApp);
    if last.is_some_and(|last| call.facts.as_of.since(*last) < WHATSAPP_WINDOW) {
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
