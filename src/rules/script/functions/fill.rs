//! `fill`: `{name}` in a text becomes a value.

use rhai::{EvalAltResult, Map, Position};

use crate::rules::script::context::ScriptError;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

pub(in crate::rules) const FILL: Function = Function {
    name: "fill",
    receiver: None,
    group: Group::Text,
    about: "Puts values into a text: `{time}` becomes the value `time`. Unknown names stay as they are.",
    signatures: &[Signature::new(&[("text", Kind::Text), ("values", Kind::Map)], Kind::Text)],
    example: r#"reply(fill("See you at {time}.", #{ time: "10:00" }))"#,
    register: |engine, limits| {
        let most = limits.string_bytes;
        engine.register_fn("fill", move |text: &str, values: Map| fill(text, &values, most));
    },
};

/// Fills a text. The values themselves are not filled again.
fn fill(text: &str, values: &Map, most_bytes: usize) -> Result<String, ScriptError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let named = after.split_once('}').and_then(|(name, after)| Some((text_of(values.get(name)?)?, after)));
        rest = match named {
            Some((value, after)) => {
                filled.push_str(&value);
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
        if filled.len() + rest.len() > most_bytes {
            return Err(EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into());
        }
    }
    filled.push_str(rest);
    Ok(filled)
}
