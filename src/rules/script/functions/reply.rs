//! `reply`: an answer to the customer's message.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::{Action, Address, Send, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{TEXT_REFERENCE, address_on, text_within};
use crate::rules::script::context::EvalContext;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const REPLY: Function = Function {
    name: "reply",
    receiver: None,
    group: Group::Messages,
    about: "Answers the customer's message on its channel.",
    signatures: &[Signature::new(&[("text", Kind::Text)], Kind::PlannedAction)],
    example: r#"reply(`Hello ${e.contact.first_name}`)"#,
    register: |engine, _| {
        engine.register_fn("reply", |ctx: NativeCallContext<'_>, text: Dynamic| {
            plan(&ctx, "reply", |eval| reply(eval, &text).map(Action::Send))
        });
    },
};

/// Makes the send that answers the event's message.
pub(in crate::rules) fn reply(eval: &EvalContext, text: &Dynamic) -> Result<Send, String> {
    let kind = &eval.event.kind;
    let (Some(channel), Some(contact)) = (kind.inbound_channel(), eval.contact()) else {
        return Err(format!(
            "only a customer's message can be replied to, and this event is {kind}: use send_sms or send_whatsapp"
        ));
    };
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    // The reply goes to the address that wrote. The customer may be known by another form of it, which may not be reachable.
    let from = eval.event.data.get("from").and_then(serde_json::Value::as_str);
    let from = from.and_then(|from| Address::parse(from).ok());
    let own = contact.address_keys();
    let to = match from.filter(|from| own.contains(&from.key())) {
        Some(from) => from,
        None => address_on(contact, channel)?,
    };
    Ok(Send { channel, to, reply: true, fallback: None, body })
}
