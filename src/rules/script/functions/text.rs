//! `fold` and `contains_any`: comparing texts without regard to case, accents and signs.

use rhai::{Array, Position};

use crate::domain::fold::fold;
use crate::domain::words::{contains, words};
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, text_of};

pub(in crate::rules) const FOLD: Function = Function {
    name: "fold",
    receiver: None,
    group: Group::Text,
    about: "Folds a text: lower case, without accents, single blanks, one apostrophe for all, nothing invisible.",
    signatures: &[Signature::new(&[("text", Kind::Text)], Kind::Text)],
    example: r#"if fold(e.body) == "hola, que tal" { note("a greeting") } else { note("something else") }"#,
    register: |engine, _| {
        engine.register_fn("fold", |text: &str| fold(text));
    },
};

pub(in crate::rules) const CONTAINS_ANY: Function = Function {
    name: "contains_any",
    receiver: None,
    group: Group::Text,
    about: "Tells whether a text contains one of these words or phrases, as whole words, folded.",
    signatures: &[Signature::new(&[("text", Kind::Text), ("words", Kind::Array)], Kind::Boolean)],
    example: r#"if contains_any(e.body, ["hola", "hello"]) { tag("greeted") }"#,
    register: |engine, _| {
        engine.register_fn("contains_any", contains_any);
    },
};

fn contains_any(text: &str, wanted: Array) -> Result<bool, ScriptError> {
    let text = words(text, usize::MAX);
    for word in &wanted {
        let word = text_of(word).ok_or_else(|| {
            error(format!("contains_any: its words must be text, and one is a {}", kind_of(word)), Position::NONE)
        })?;
        if contains(&text, &words(&word, usize::MAX)) {
            return Ok(true);
        }
    }
    Ok(false)
}
