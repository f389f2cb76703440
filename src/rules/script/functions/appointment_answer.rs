//! `appointment_answer(text, start)`: what a customer's text says to a reminder.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::appointment_answer::read;
use crate::rules::script::context::{ScriptError, current, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::Moment;

pub(in crate::rules) const APPOINTMENT_ANSWER: Function = Function {
    name: "appointment_answer",
    receiver: None,
    group: Group::Text,
    about: "Reads an answer to a reminder, in English or Spanish: `\"confirm\"`, `\"yes\"`, `\"cancel\"`, `\"move\"`, `\"no\"`; \
            `()` for anything else. A text that names the time `start` may agree; any other time is a \"no\".",
    signatures: &[
        Signature::new(&[("text", Kind::Text)], Kind::Any),
        Signature::new(&[("text", Kind::Text), ("start", Kind::Moment)], Kind::Any),
    ],
    example: r#"if appointment_answer("ok, see you then") == "yes" { note("comes") } else { note("says something else") }"#,
    register: |engine, _| {
        engine.register_fn("appointment_answer", |ctx: NativeCallContext<'_>, text: &str| in_script(&ctx, text, None));
        engine.register_fn("appointment_answer", |ctx: NativeCallContext<'_>, text: &str, start: Moment| {
            in_script(&ctx, text, Some(start))
        });
    },
};

fn in_script(ctx: &NativeCallContext<'_>, text: &str, start: Option<Moment>) -> Result<Dynamic, ScriptError> {
    let Some(eval) = current(ctx) else {
        let message = "appointment_answer can be called inside .when and .then only";
        return Err(error(message, ctx.call_position()));
    };
    let start = start.map(|start| start.local().fixed_offset());
    Ok(read(text, start.as_ref(), eval.facts.as_of).map_or(Dynamic::UNIT, |answer| <&str>::from(answer).into()))
}
