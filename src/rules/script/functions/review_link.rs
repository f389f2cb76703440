//! `review_link`: the link at which the customer gives a score.

use rhai::NativeCallContext;

use crate::rules::script::context::{ScriptError, current, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const REVIEW_LINK: Function = Function {
    name: "review_link",
    receiver: None,
    group: Group::Messages,
    about: "Returns the link at which the customer of this event can leave a review.",
    signatures: &[Signature::new(&[], Kind::Text)],
    example: r#"send_sms(e.contact, `How was it? ${review_link()}`)"#,
    register: |engine, _| {
        engine.register_fn("review_link", |ctx: NativeCallContext<'_>| -> Result<String, ScriptError> {
            let eval = current(&ctx).ok_or_else(|| {
                error("review_link belongs to an event: call it inside .then(|e| …)", ctx.call_position())
            })?;
            Ok(eval.links.url(eval.event.id))
        });
    },
};
