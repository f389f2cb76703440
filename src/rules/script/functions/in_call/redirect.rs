//! `redirect`: goes on at another step of the rule.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::arguments::name;
use crate::rules::script::functions::in_call::step::{plan_step, with_handler};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const REDIRECT: Function = Function {
    name: "redirect",
    receiver: None,
    group: Group::Calls,
    about: "Goes on at a step of the rule.",
    signatures: &[Signature::new(&[("step", Kind::Step)], Kind::PlannedAction)],
    example: r#"rule("welcome call").on("call_received")
    .then(|e| { say("Hello"); redirect("bye") })
    .on_input("bye", |e, input| { say("Goodbye"); hangup() });"#,
    register: |engine, _| {
        engine.register_fn("redirect", |ctx: NativeCallContext<'_>, to: Dynamic| {
            plan_step(&ctx, "redirect", |eval| Ok(Step::Redirect { step: with_handler(eval, name("a step", &to)?)? }))
        });
    },
};
