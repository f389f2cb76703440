//! `time` and `local`: a time from a text, and a text from a time.

use rhai::{NativeCallContext, Position};

use crate::domain::Timestamp;
use crate::rules::script::context::{ScriptError, current, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{Moment, shortened};

pub(in crate::rules) const TIME: Function = Function {
    name: "time",
    receiver: None,
    group: Group::Time,
    about: "Reads a time in RFC 3339, such as `2026-11-21T08:00:00Z`.",
    signatures: &[Signature::new(&[("text", Kind::Text)], Kind::Moment)],
    example: r#"if e.now > time("2026-01-01T00:00:00Z") { note("this year") }"#,
    register: |engine, _| {
        engine.register_fn("time", |ctx: NativeCallContext<'_>, text: &str| raised(parse(&ctx, text)));
    },
};

pub(in crate::rules) const LOCAL: Function = Function {
    name: "local",
    receiver: None,
    group: Group::Time,
    about: "Formats a time, or a text in RFC 3339, by the business's clock, with the letters of strftime.",
    signatures: &[Signature::new(&[("time", Kind::Moment), ("format", Kind::Text)], Kind::Text)],
    example: r#"reply(`It is ${local(e.now, "%H:%M")}.`)"#,
    register: |engine, _| {
        engine.register_fn("local", |moment: Moment, format: &str| raised(moment.format(format)));
        engine.register_fn("local", |ctx: NativeCallContext<'_>, text: &str, format: &str| {
            raised(parse(&ctx, text).and_then(|moment| moment.format(format)))
        });
    },
};

fn parse(ctx: &NativeCallContext<'_>, text: &str) -> Result<Moment, String> {
    let eval = current(ctx).ok_or("a time can be read inside .when and .then only")?;
    Timestamp::parse(text)
        .map(|at| eval.moment(at))
        .map_err(|_| format!("'{}' is no time: write it as 2026-11-21T08:00:00Z", shortened(text)))
}

fn raised<T>(result: Result<T, String>) -> Result<T, ScriptError> {
    result.map_err(|message| error(message, Position::NONE))
}
