//! `emit`: an event of the rules' own, which other rules listen to.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::{Action, Effect, Event, EventKind};
use crate::rules::limits::DATA_BYTES;
use crate::rules::script::arguments::text;
use crate::rules::script::context::EvalContext;
use crate::rules::script::plan::plan_effect;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, to_json};

pub(in crate::rules) const EMIT: Function = Function {
    name: "emit",
    receiver: None,
    group: Group::Customer,
    about: "Makes an event of a kind of your own, for the same customer.",
    signatures: &[
        Signature::new(&[("kind", Kind::EventName)], Kind::Nothing),
        Signature::new(&[("kind", Kind::EventName), ("data", Kind::Map)], Kind::Nothing),
    ],
    example: r#"emit("order_placed", #{ items: 3 })"#,
    register: |engine, _| {
        engine.register_fn("emit", |ctx: NativeCallContext<'_>, kind: Dynamic| {
            plan_effect(&ctx, "emit", |eval| emit(eval, &kind, &Dynamic::from(Map::new())))
        });
        engine.register_fn("emit", |ctx: NativeCallContext<'_>, kind: Dynamic, data: Dynamic| {
            plan_effect(&ctx, "emit", |eval| emit(eval, &kind, &data))
        });
    },
};

fn emit(eval: &EvalContext, kind: &Dynamic, data: &Dynamic) -> Result<Action, String> {
    let kind = EventKind::parse(&text("the kind", kind)?).map_err(|bad| bad.to_string())?;
    if kind.is_built_in() {
        return Err(format!("{kind} is an event that only the engine makes: choose a name of your own"));
    }
    if eval.event.depth >= Event::MAX_DEPTH {
        return Err(format!(
            "rules have emitted events {} times in a row: they probably emit each other in a circle",
            Event::MAX_DEPTH
        ));
    }
    if !data.is_map() {
        return Err(format!("the data must be a map such as #{{ stars: 5 }}, and this is a {}", kind_of(data)));
    }
    let data = to_json(data)?;
    if data.to_string().len() > DATA_BYTES {
        return Err(format!("the data is larger than {DATA_BYTES} bytes"));
    }
    Ok(Action::Effect(Effect::Emit { kind, data }))
}
