//! `hangup` and `reject`.

use rhai::{ImmutableString, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::functions::in_call::step::plan_step;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const HANGUP: Function = Function {
    name: "hangup",
    receiver: None,
    group: Group::Calls,
    about: "Ends the call.",
    signatures: &[Signature::new(&[], Kind::PlannedAction)],
    example: "hangup()",
    register: |engine, _| {
        engine.register_fn("hangup", |ctx: NativeCallContext<'_>| plan_step(&ctx, "hangup", |_| Ok(Step::Hangup)));
    },
};

/// The reasons to refuse a call.
const REASONS: &[&str] = &["busy", "rejected"];

pub(in crate::rules) const REJECT: Function = Function {
    name: "reject",
    receiver: None,
    group: Group::Calls,
    about: "Refuses the call before it is answered, as `\"busy\"` or `\"rejected\"`.",
    signatures: &[
        Signature::new(&[], Kind::PlannedAction),
        Signature::new(&[("reason", Kind::Word(REASONS))], Kind::PlannedAction),
    ],
    example: r#"reject("busy")"#,
    register: |engine, _| {
        engine.register_fn("reject", |ctx: NativeCallContext<'_>| {
            plan_step(&ctx, "reject", |_| Ok(Step::Reject { busy: false }))
        });
        engine.register_fn("reject", |ctx: NativeCallContext<'_>, why: ImmutableString| {
            plan_step(&ctx, "reject", |_| match why.as_str() {
                "busy" => Ok(Step::Reject { busy: true }),
                "rejected" => Ok(Step::Reject { busy: false }),
                other => Err(format!("'{other}' is no reason to reject a call: use \"busy\" or \"rejected\"")),
            })
        });
    },
};
