//! `pick`: a text by language.

use rhai::{Dynamic, Map, Position};

use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const PICK: Function = Function {
    name: "pick",
    receiver: None,
    group: Group::Text,
    about: "Picks the text in a language: exact, else without its region, else `en`, else any.",
    signatures: &[Signature::new(&[("language", Kind::Text), ("texts", Kind::Map)], Kind::Any)],
    example: r#"reply(pick(e.contact.language, #{ en: "Hello", es: "Hola" }))"#,
    register: |engine, _| {
        engine.register_fn("pick", pick);
    },
};

fn pick(language: &str, texts: Map) -> Result<Dynamic, ScriptError> {
    let short = language.split(['-', '_']).next().unwrap_or(language).to_lowercase();
    let found = texts.get(language).or_else(|| texts.get(short.as_str()));
    found
        .or_else(|| texts.get("en"))
        .or_else(|| texts.values().next())
        .cloned()
        .ok_or_else(|| error("pick: give at least one text, such as #{ en: \"Hello\", es: \"Hola\" }", Position::NONE))
}
