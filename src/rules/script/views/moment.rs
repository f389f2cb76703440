//! A time, such as `e.now`: its parts by the business's clock, comparisons and differences.

use chrono::Timelike;
use rhai::{Dynamic, Engine};

use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Field, Function, Group, Kind, Signature, View};
use crate::rules::script::values::Moment;

pub(in crate::rules) const VIEW: View = View {
    paths: &["now"],
    kind: Kind::Moment,
    about: "A time, such as `e.now`. Its parts are by the business's clock. Times can be compared with `<`, `<=`, `>`, \
            `>=`, `==` and `!=`; a difference `a - b` is in seconds.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[&IS_BETWEEN, &HOURS_SINCE, &DAYS_SINCE, &TO_STRING],
};

type Getter = fn(&Moment) -> Dynamic;

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("hour", Kind::Whole, "0 to 23.", |moment| i64::from(moment.local().hour()).into()),
    field("minute", Kind::Whole, "0 to 59.", |moment| i64::from(moment.local().minute()).into()),
    field("weekday", Kind::Text, "`mon` to `sun`.", |moment| moment.weekday().into()),
    field("date", Kind::Text, "The date as `2026-11-21`.", |moment| {
        moment.local().format("%Y-%m-%d").to_string().into()
    }),
];

const IS_BETWEEN: Function = Function {
    name: "is_between",
    receiver: Some(Kind::Moment),
    group: Group::View,
    about: "Tells whether the time of day lies in a range, its end left out. A range may span midnight.",
    signatures: &[Signature::new(&[("from", Kind::Text), ("to", Kind::Text)], Kind::Boolean)],
    example: r#"if e.now.is_between("22:00", "06:00") { note("at night") } else { note("by day") }"#,
    register: |engine, _| {
        engine.register_fn("is_between", |moment: &mut Moment, from: &str, to: &str| -> Result<bool, ScriptError> {
            moment.is_between(from, to).map_err(|message| error(message, rhai::Position::NONE))
        });
    },
};

const HOURS_SINCE: Function = Function {
    name: "hours_since",
    receiver: Some(Kind::Moment),
    group: Group::View,
    about: "Counts the whole hours since an earlier time.",
    signatures: &[Signature::new(&[("earlier", Kind::Moment)], Kind::Whole)],
    example: r#"note(`${e.now.hours_since(e.contact.created_at)} hours`)"#,
    register: |engine, _| {
        engine.register_fn("hours_since", |moment: Moment, earlier: Moment| seconds(moment, earlier) / 3_600);
    },
};

const DAYS_SINCE: Function = Function {
    name: "days_since",
    receiver: Some(Kind::Moment),
    group: Group::View,
    about: "Counts the whole days since an earlier time.",
    signatures: &[Signature::new(&[("earlier", Kind::Moment)], Kind::Whole)],
    example: r#"note(`${e.now.days_since(e.contact.created_at)} days`)"#,
    register: |engine, _| {
        engine.register_fn("days_since", |moment: Moment, earlier: Moment| seconds(moment, earlier) / 86_400);
    },
};

const TO_STRING: Function = Function {
    name: "to_string",
    receiver: Some(Kind::Moment),
    group: Group::View,
    about: "Writes the time in RFC 3339, in UTC.",
    signatures: &[Signature::new(&[], Kind::Text)],
    example: "note(e.now.to_string())",
    register: |engine, _| {
        engine.register_fn("to_string", |moment: &mut Moment| moment.at.to_string());
        engine.register_fn("to_debug", |moment: &mut Moment| moment.at.to_string());
    },
};

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Moment>("Moment");
    for field in FIELDS {
        engine.register_get(field.name, |moment: &mut Moment| (field.get)(moment));
    }
    engine.register_fn("-", seconds);
    engine.register_fn("<", |a: Moment, b: Moment| a.at < b.at);
    engine.register_fn("<=", |a: Moment, b: Moment| a.at <= b.at);
    engine.register_fn(">", |a: Moment, b: Moment| a.at > b.at);
    engine.register_fn(">=", |a: Moment, b: Moment| a.at >= b.at);
    engine.register_fn("==", |a: Moment, b: Moment| a.at == b.at);
    engine.register_fn("!=", |a: Moment, b: Moment| a.at != b.at);
}

const fn seconds(moment: Moment, earlier: Moment) -> i64 {
    moment.at.unix_us().saturating_sub(earlier.at.unix_us()) / 1_000_000
}
