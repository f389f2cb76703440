//! `record`: records the caller.

use std::sync::Arc;

use rhai::{Map, NativeCallContext};

use crate::domain::call::{Record, Step};
use crate::rules::script::arguments::{only_keys, optional};
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{SECONDS_MAX, optional_step, plan_step, spoken, within};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const RECORD: Function = Function {
    name: "record",
    receiver: None,
    group: Group::Calls,
    about: "Records the caller. A map may give `say`, `max` (seconds), `beep`, `finish_on_key` and `then` (a step).",
    signatures: &[Signature::new(&[], Kind::PlannedAction), Signature::new(&[("how", Kind::Map)], Kind::PlannedAction)],
    example: r#"record(#{ say: "Please leave a message after the tone.", max: 60 })"#,
    register: |engine, _| {
        engine.register_fn("record", |ctx: NativeCallContext<'_>, how: Map| {
            plan_step(&ctx, "record", |eval| record(eval, &how))
        });
        engine.register_fn("record", |ctx: NativeCallContext<'_>| {
            plan_step(&ctx, "record", |eval| record(eval, &Map::new()))
        });
    },
};

fn record(eval: &Arc<EvalContext>, how: &Map) -> Result<Step, String> {
    only_keys(how, &["say", "max", "beep", "finish_on_key", "then"])?;
    let most =
        how.get("max").map(|max| max.as_int().map_err(|_| "max is a number of seconds".to_owned())).transpose()?;
    let default = Record::default();
    Ok(Step::Record(Record {
        say: spoken(how, "say")?.unwrap_or_default(),
        max_s: most.map_or(Ok(default.max_s), |most| within("max", most, SECONDS_MAX))?,
        beep: how.get("beep").is_none_or(|beep| beep.as_bool().unwrap_or(true)),
        finish_on_key: optional(how, "finish_on_key")?,
        then: optional_step(eval, how, "then")?,
    }))
}
