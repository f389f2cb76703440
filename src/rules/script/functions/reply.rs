//! `reply`: an answer to the customer's message.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::{Action, Phone, Send, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{TEXT_REFERENCE, text_within};
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
    // The reply goes to the number that wrote. The customer may be known by another form of it, which may not be reachable.
    let from = eval.event.data.get("from").and_then(serde_json::Value::as_str).and_then(|from| Phone::parse(from).ok());
    let to = from.filter(|from| from.key() == contact.phone.key()).unwrap_or_else(|| contact.phone.clone());
    Ok(Send { channel, to: to.into(), reply: true, fallback: None, body })
}
