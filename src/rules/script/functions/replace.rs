//! `replace`: the language's own, but with a bound on the result's size that is checked before the work.

use rhai::{Engine, EvalAltResult, ImmutableString, Position};

use crate::rules::limits::Limits;
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const REPLACE: Function = Function {
    name: "replace",
    receiver: Some(Kind::Text),
    group: Group::Text,
    about: "Replaces every occurrence of a text in a variable by another.",
    signatures: &[Signature::new(&[("find", Kind::Text), ("with", Kind::Text)], Kind::Nothing)],
    example: r#"let text = e.body; text.replace("qué", "que"); note(text)"#,
    register,
};

fn register(engine: &mut Engine, limits: &Limits) {
    let most_bytes = limits.string_bytes;
    let replace = move |text: &mut ImmutableString, find: &str, with: &str| -> Result<(), ScriptError> {
        if find.is_empty() {
            return Err(error("replace: there must be something to look for", Position::NONE));
        }
        let size = text.len() + text.matches(find).count() * with.len();
        if size > most_bytes {
            return Err(EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into());
        }
        *text = text.replace(find, with).into();
        Ok(())
    };
    engine.register_fn("replace", replace);
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: char| {
        replace(text, find, with.encode_utf8(&mut [0; 4]))
    });
}
