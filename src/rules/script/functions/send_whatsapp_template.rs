//! `send_whatsapp_template`: an approved template with its variables.

use std::collections::BTreeMap;

use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};

use crate::domain::action::Template;
use crate::domain::{Channel, SendBody};
use crate::rules::limits::TEXT_CHARS;
use crate::rules::script::arguments::{name, recipient, text_within};
use crate::rules::script::context::RequestedAction;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const SEND_WHATSAPP_TEMPLATE: Function = Function {
    name: "send_whatsapp_template",
    receiver: None,
    group: Group::Messages,
    about: "Sends an approved WhatsApp template, which may leave at any time. No variable may be empty; line breaks become blanks.",
    signatures: &[
        Signature::new(&[("to", Kind::Recipient), ("template", Kind::ContentTemplate)], Kind::PlannedAction),
        Signature::new(
            &[("to", Kind::Recipient), ("template", Kind::ContentTemplate), ("variables", Kind::Map)],
            Kind::PlannedAction,
        ),
    ],
    example: r#"send_whatsapp_template(e.contact, "weekly_offer", #{ "1": e.contact.first_name })"#,
    register: |engine, _| {
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
    },
};

fn template(to: &Dynamic, content: &str, variables: &Map) -> Result<RequestedAction, String> {
    let body = template_body(content, variables)?;
    Ok(recipient(Channel::WhatsApp, to)?.send(Channel::WhatsApp, body))
}

/// Makes the body of a template with its variables, which are texts or whole numbers.
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
