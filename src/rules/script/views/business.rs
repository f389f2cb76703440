//! `e.business`, and `e.tenant`, which is the same: the business.

use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString};

use crate::rules::script::context::{EvalContext, ScriptError};
use crate::rules::script::registry::{Field, Function, Group, Kind, Signature, View};
use crate::rules::script::views::getters::{self, Getter};
use crate::time::WeeklyHours;
use crate::time::hours::NoHours;

/// `e.business`
#[derive(Clone)]
pub(in crate::rules) struct BusinessView(pub Arc<EvalContext>);

pub(in crate::rules) const VIEW: View = View {
    paths: &["business", "tenant"],
    kind: Kind::Business,
    about: "The business that the event belongs to.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[&ENABLED],
};

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("slug", Kind::Text, "The tenant's slug.", |eval| Ok(eval.facts.tenant.slug.as_str().into())),
    field("name", Kind::Text, "The name of the business.", |eval| Ok(eval.facts.tenant.name.as_str().into())),
    field("zone", Kind::Text, "The time zone, such as `Europe/Madrid`.", |eval| {
        Ok(eval.facts.tenant.zone.as_str().into())
    }),
    field("language", Kind::Text, "The language, such as `es`.", |eval| Ok(eval.facts.tenant.language.as_str().into())),
    field("open_now", Kind::Boolean, "The business is open; always true if it has no opening hours.", |eval| {
        let wall = eval.now().local().naive_local();
        Ok(hours(eval)?.is_none_or(|hours| hours.is_open(wall)).into())
    }),
    field("next_open", Kind::Moment, "When the business opens next; `()` if it has no opening hours.", |eval| {
        let next = hours(eval)?.and_then(|hours| hours.next_open(eval.facts.as_of, eval.zone));
        Ok(next.map_or(Dynamic::UNIT, |at| Dynamic::from(eval.moment(at))))
    }),
    field("hours_today", Kind::Text, "Today's opening hours, such as `09:00-14:00`.", |eval| {
        let today = eval.now().local().date_naive();
        Ok(hours(eval)?.map_or_else(String::new, |hours| hours.text_on(today)).into())
    }),
];

const ENABLED: Function = Function {
    name: "enabled",
    receiver: Some(Kind::Business),
    group: Group::View,
    about: "Tells whether the business has enabled a blueprint.",
    signatures: &[Signature::new(&[("rule", Kind::Text)], Kind::Boolean)],
    example: r#"if !e.business.enabled("welcome") { reply("Hello") }"#,
    register: |engine, _| {
        engine.register_fn("enabled", |view: &mut BusinessView, rule: ImmutableString| {
            let enabled = view.0.facts.tenant.blueprints.contains_key(rule.as_str());
            view.0.record_read(&format!("e.business.enabled({rule:?})"), &enabled.into());
            enabled
        });
    },
};

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<BusinessView>("TenantView");
    getters::register(engine, FIELDS, "e.tenant", |view: &BusinessView| &view.0);
    engine.register_indexer_get(|_: &mut BusinessView, name: ImmutableString| -> Result<Dynamic, ScriptError> {
        Err(getters::unknown("e.tenant", &name, &VIEW.names()))
    });
}

/// The opening hours, if the business has set them.
fn hours(eval: &EvalContext) -> Result<Option<WeeklyHours>, String> {
    match eval.facts.tenant.hours.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: NoHours| error.to_string()),
    }
}
