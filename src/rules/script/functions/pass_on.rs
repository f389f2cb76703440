//! `pass_on`: other rules see an answer, too.

use rhai::NativeCallContext;

use crate::rules::script::context::{Phase, ScriptError, current, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const PASS_ON: Function = Function {
    name: "pass_on",
    receiver: None,
    group: Group::Conversation,
    about: "Lets the other rules see an answer, too. It belongs into `.on_answer`.",
    signatures: &[Signature::new(&[], Kind::Nothing)],
    example: r#"rule("score").on("appointment_completed")
    .then(|e| ask("score", "How was it, 1 to 5?", "24h"))
    .on_answer("score", |e, answer| { note(answer); pass_on() });"#,
    register: |engine, _| {
        engine.register_fn("pass_on", |ctx: NativeCallContext<'_>| -> Result<(), ScriptError> {
            match current(&ctx) {
                Some(eval) if eval.frame().phase == Phase::Answer => {
                    eval.frame().pass_on = true;
                    Ok(())
                }
                _ => Err(error(
                    "pass_on lets the other rules see an answer too: call it inside .on_answer(…)",
                    ctx.call_position(),
                )),
            }
        });
    },
};
