//! `remember`: a value that lasts as long as the call.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::arguments::{name, state};
use crate::rules::script::functions::in_call::step::plan_step;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const REMEMBER: Function = Function {
    name: "remember",
    receiver: None,
    group: Group::Calls,
    about: "Keeps a value for the rest of the call; later steps read it in `e.call.state`.",
    signatures: &[Signature::new(&[("key", Kind::Text), ("value", Kind::Any)], Kind::PlannedAction)],
    example: r#"remember("order", 7)"#,
    register: |engine, _| {
        engine.register_fn("remember", |ctx: NativeCallContext<'_>, key: Dynamic, value: Dynamic| {
            plan_step(&ctx, "remember", |_| {
                Ok(Step::Remember { key: name("what is remembered", &key)?, value: state(&value)? })
            })
        });
    },
};
