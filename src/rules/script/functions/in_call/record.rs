//! `record`: records the caller.

use std::sync::Arc;

use rhai::{Map, NativeCallContext};

use crate::domain::call::{Record, Step};
use crate::rules::script::arguments::optional;
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{
    METHOD, SECONDS_MAX, method, optional_step, plan_step, spoken, within,
};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting};

pub(in crate::rules) const RECORD: Function = Function {
    name: "record",
    receiver: None,
    group: Group::Calls,
    about: "Records the caller. A map may give `say`, `max` (seconds), `beep`, `finish_on_key`, `then` (a step) and `method`.",
    signatures: &[
        Signature::new(&[], Kind::PlannedAction),
        Signature::new(&[("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
    ],
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

const SETTINGS: &[Setting] = &[
    Setting::new("say", Holds::Spoken),
    Setting::new("max", Holds::Whole(1, SECONDS_MAX)),
    Setting::new("beep", Holds::Flag),
    Setting::new("finish_on_key", Holds::Short),
    Setting::new("then", Holds::Step),
    METHOD,
];

fn record(eval: &Arc<EvalContext>, how: &Map) -> Result<Step, String> {
    settings::check(how, SETTINGS, false)?;
    let most = how.get("max").and_then(|max| max.as_int().ok());
    let default = Record::default();
    Ok(Step::Record(Record {
        say: spoken(how, "say")?.unwrap_or_default(),
        max_s: most.map_or(Ok(default.max_s), |most| within("max", most, SECONDS_MAX))?,
        beep: how.get("beep").is_none_or(|beep| beep.as_bool().unwrap_or(true)),
        finish_on_key: optional(how, "finish_on_key")?,
        then: optional_step(eval, how, "then")?,
        method: method(how),
    }))
}
