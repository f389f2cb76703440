//! `e.question`: the open question that an event may answer, or whose silence it is. A map: scripts hold a copy.

use std::sync::Arc;

use rhai::{Dynamic, Map};

use crate::domain::Question;
use crate::rules::script::context::EvalContext;
use crate::rules::script::registry::{Field, Kind, View};
use crate::rules::script::values::to_script;

pub(in crate::rules) const VIEW: View = View {
    paths: &[],
    kind: Kind::OpenQuestion,
    about: "`e.question`: the open question that the event may answer, or whose silence it is; `()` if there is none.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[],
};

type Getter = fn(&EvalContext, &Question) -> Result<Dynamic, String>;

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("name", Kind::Text, "The question's name.", |_, open| Ok(open.name.as_str().into())),
    field("rule", Kind::Text, "The rule that asked.", |_, open| Ok(open.rule.as_str().into())),
    field("channel", Kind::Channel, "The channel on which it was asked.", |_, open| Ok(open.channel.as_str().into())),
    field("state", Kind::Any, "What the rule gave to `ask(…)` as the state.", |_, open| to_script(&open.state)),
    field("asked_at", Kind::Moment, "When it was asked.", |eval, open| Ok(Dynamic::from(eval.moment(open.asked_at)))),
];

/// `e.question`
pub(in crate::rules) fn read(eval: &Arc<EvalContext>) -> Result<Dynamic, String> {
    let Some(open) = eval.facts.question(&eval.event) else { return Ok(Dynamic::UNIT) };
    let entry = |field: &Field<Getter>| Ok((field.name.into(), (field.get)(eval, open)?));
    Ok(FIELDS.iter().map(entry).collect::<Result<Map, String>>()?.into())
}
