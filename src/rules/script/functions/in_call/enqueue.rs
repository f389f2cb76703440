//! `enqueue` and `dial_queue`: callers wait in a queue, and are taken out of it.

use std::sync::Arc;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::arguments::name;
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{optional_step, plan_step};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting};

/// The longest name of a queue, in characters (<https://www.twilio.com/docs/voice/api/queue-resource>).
const QUEUE_CHARS: usize = 64;

pub(in crate::rules) const ENQUEUE: Function = Function {
    name: "enqueue",
    receiver: None,
    group: Group::Calls,
    about: "Lets the caller wait in a queue. A map may give `then`: the step that follows the waiting.",
    signatures: &[
        Signature::new(&[("queue", Kind::Queue)], Kind::PlannedAction),
        Signature::new(&[("queue", Kind::Queue), ("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
    ],
    example: r#"enqueue("front desk")"#,
    register: |engine, _| {
        engine.register_fn("enqueue", |ctx: NativeCallContext<'_>, queue: Dynamic| {
            plan_step(&ctx, "enqueue", |eval| enqueue(eval, &queue, &Map::new()))
        });
        engine.register_fn("enqueue", |ctx: NativeCallContext<'_>, queue: Dynamic, how: Map| {
            plan_step(&ctx, "enqueue", |eval| enqueue(eval, &queue, &how))
        });
    },
};

pub(in crate::rules) const DIAL_QUEUE: Function = Function {
    name: "dial_queue",
    receiver: None,
    group: Group::Calls,
    about: "Connects this call with the caller who has waited longest in a queue.",
    signatures: &[Signature::new(&[("queue", Kind::Queue)], Kind::PlannedAction)],
    example: r#"dial_queue("front desk")"#,
    register: |engine, _| {
        engine.register_fn("dial_queue", |ctx: NativeCallContext<'_>, queue: Dynamic| {
            plan_step(&ctx, "dial_queue", |_| Ok(Step::DialQueue { queue: queue_name(&queue)? }))
        });
    },
};

const SETTINGS: &[Setting] = &[Setting::new("then", Holds::Step)];

fn enqueue(eval: &Arc<EvalContext>, queue: &Dynamic, how: &Map) -> Result<Step, String> {
    settings::check(how, SETTINGS, false)?;
    let then = optional_step(eval, how, "then")?;
    Ok(Step::Enqueue { queue: queue_name(queue)?, then })
}

/// Returns the name of a queue.
pub(in crate::rules) fn queue_name(queue: &Dynamic) -> Result<String, String> {
    let name = name("a queue", queue)?;
    if name.chars().count() <= QUEUE_CHARS {
        Ok(name)
    } else {
        Err(format!("the name of a queue has at most {QUEUE_CHARS} characters"))
    }
}
