//! `connect_agent`: an agent speaks with the caller.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::arguments::name;
use crate::rules::script::functions::in_call::step::plan_step;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const CONNECT_AGENT: Function = Function {
    name: "connect_agent",
    receiver: None,
    group: Group::Calls,
    about: "Connects the caller with the tenant's agent, or the one that is named.",
    signatures: &[
        Signature::new(&[], Kind::PlannedAction),
        Signature::new(&[("agent", Kind::Text)], Kind::PlannedAction),
    ],
    example: r#"connect_agent("reception")"#,
    register: |engine, _| {
        engine.register_fn("connect_agent", |ctx: NativeCallContext<'_>| {
            plan_step(&ctx, "connect_agent", |_| Ok(Step::ConnectAgent { agent: None }))
        });
        engine.register_fn("connect_agent", |ctx: NativeCallContext<'_>, agent: Dynamic| {
            plan_step(&ctx, "connect_agent", |_| Ok(Step::ConnectAgent { agent: Some(name("an agent", &agent)?) }))
        });
    },
};
