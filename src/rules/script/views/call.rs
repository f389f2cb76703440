//! `e.call`: the call that an event belongs to. A map: scripts hold a copy.

use std::sync::Arc;

use rhai::{Dynamic, Map};
use serde_json::Value;

use crate::domain::CallFacts;
use crate::rules::script::context::EvalContext;
use crate::rules::script::registry::{Field, Kind, View};
use crate::rules::script::values::to_script;

pub(in crate::rules) const VIEW: View = View {
    paths: &["call"],
    kind: Kind::Call,
    about: "The call that the event belongs to; `e.call` is `()` for any other event.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[],
};

type Getter = fn(&CallFacts) -> Result<Dynamic, String>;

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("id", Kind::Text, "Our id of the call.", |call| Ok(call.id.to_string().into())),
    field("sid", Kind::Text, "The provider's id (`CA…`).", |call| Ok(call.sid.as_str().into())),
    field("direction", Kind::Text, "`in`: the customer called; `out`: we called.", |call| {
        Ok(call.direction.as_str().into())
    }),
    field("customer", Kind::Text, "The customer's number.", |call| Ok(call.peer.as_str().into())),
    field("number", Kind::Text, "Our number.", |call| Ok(call.number.as_str().into())),
    field("status", Kind::Text, "The status, such as `in-progress`.", |call| Ok(call.status.as_str().into())),
    field("answered_by", Kind::Text, "`human`, `machine_start` and the like.", |call| Ok(text(&call.answered_by))),
    field("duration", Kind::Whole, "The duration in seconds, once the call has ended.", |call| {
        Ok(call.duration_s.map_or(Dynamic::UNIT, |seconds| i64::from(seconds).into()))
    }),
    field("agent", Kind::Text, "The agent that speaks with the customer.", |call| Ok(text(&call.state.agent))),
    field("state", Kind::Map, "What `remember(…)` has kept.", |call| {
        let state = call.state.vars.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        to_script(&Value::Object(state))
    }),
];

/// `e.call`
pub(in crate::rules) fn read(eval: &Arc<EvalContext>) -> Result<Dynamic, String> {
    let Some(facts) = &eval.facts.call else { return Ok(Dynamic::UNIT) };
    let entry = |field: &Field<Getter>| Ok((field.name.into(), (field.get)(facts)?));
    Ok(FIELDS.iter().map(entry).collect::<Result<Map, String>>()?.into())
}

fn text(text: &Option<String>) -> Dynamic {
    text.as_deref().map_or(Dynamic::UNIT, Into::into)
}
