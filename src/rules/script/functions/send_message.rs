//! `send_sms`, `send_whatsapp` and `send_rcs`: a text to a customer or a number.

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::domain::{Channel, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{TEXT_REFERENCE, recipient, text_within};
use crate::rules::script::context::RequestedAction;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

const SIGNATURES: &[Signature] =
    &[Signature::new(&[("to", Kind::Recipient), ("text", Kind::Text)], Kind::PlannedAction)];

pub(in crate::rules) const SEND_SMS: Function = Function {
    name: "send_sms",
    receiver: None,
    group: Group::Messages,
    about: "Sends a text message.",
    signatures: SIGNATURES,
    example: r#"send_sms(e.contact, "Your order is ready.")"#,
    register: |engine, _| register(engine, Channel::Sms),
};

pub(in crate::rules) const SEND_WHATSAPP: Function = Function {
    name: "send_whatsapp",
    receiver: None,
    group: Group::Messages,
    about: "Sends a WhatsApp message. Outside the customer's window of 24 hours it is blocked: send a template then.",
    signatures: SIGNATURES,
    example: r#"send_whatsapp(e.contact, "Your order is ready.")"#,
    register: |engine, _| register(engine, Channel::WhatsApp),
};

pub(in crate::rules) const SEND_RCS: Function = Function {
    name: "send_rcs",
    receiver: None,
    group: Group::Messages,
    about: "Sends an RCS message. It does not become a text message by itself where the phone cannot receive RCS.",
    signatures: SIGNATURES,
    example: r#"send_rcs(e.contact, "Your order is ready.")"#,
    register: |engine, _| register(engine, Channel::Rcs),
};

fn register(engine: &mut Engine, channel: Channel) {
    let name = channel.spec().rule_function;
    engine.register_fn(name, move |ctx: NativeCallContext<'_>, to: Dynamic, text: Dynamic| {
        plan(&ctx, name, |_| send(channel, &to, &text))
    });
}

fn send(channel: Channel, to: &Dynamic, text: &Dynamic) -> Result<RequestedAction, String> {
    let body = SendBody::Text(text_within(text, TEXT_CHARS, TEXT_REFERENCE)?);
    Ok(recipient(channel, to)?.send(channel, body))
}
