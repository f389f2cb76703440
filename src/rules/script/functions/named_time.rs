//! `named_time(text, times)`: finds which of the offered times a customer's words name, in English and Spanish.

use chrono::DateTime;
use rhai::{Array, Dynamic, NativeCallContext};

use crate::domain::named_time::find_named;
use crate::rules::script::context::{EvalContext, ScriptError, current, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

/// The most times that can be offered at once.
const OFFERED_MAX: usize = 20;

pub(in crate::rules) const NAMED_TIME: Function = Function {
    name: "named_time",
    receiver: None,
    group: Group::Time,
    about: "Finds which of the offered times a text names, in English or Spanish; `()` if it names none or several.",
    signatures: &[Signature::new(&[("text", Kind::Text), ("times", Kind::Array)], Kind::Any)],
    example: r#"if named_time("2", ["2026-12-01T10:00:00+01:00", "2026-12-02T10:00:00+01:00"]) != () { note("the second") }"#,
    register: |engine, _| {
        engine.register_fn("named_time", |ctx: NativeCallContext<'_>, text: &str, times: Array| {
            let chosen = current(&ctx).ok_or("it can be called inside .when and .then only").map_err(str::to_owned);
            let chosen = chosen.and_then(|eval| in_script(&eval, text, &times));
            chosen.map_err(|message| -> ScriptError { error(format!("named_time: {message}"), ctx.call_position()) })
        });
    },
};

fn in_script(eval: &EvalContext, text: &str, times: &Array) -> Result<Dynamic, String> {
    if times.len() > OFFERED_MAX {
        return Err(format!("at most {OFFERED_MAX} times can be told apart"));
    }
    let read = |time: &Dynamic| {
        let time = text_of(time).and_then(|time| DateTime::parse_from_rfc3339(&time).ok());
        time.ok_or_else(|| "its times are texts such as \"2026-12-01T10:00:00+01:00\", by the clock there".to_owned())
    };
    let offered = times.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(find_named(text, &offered, eval.facts.as_of).map_or(Dynamic::UNIT, |at| times[at].clone()))
}
