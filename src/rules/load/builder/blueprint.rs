//! `.blueprint()` and `.param("name", default)`

use rhai::{Dynamic, NativeCallContext};

use crate::rules::limits::NAME_CHARS;
use crate::rules::load::builder::draft::RuleBuilder;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{text_of, to_json};

pub(in crate::rules) const BLUEPRINT: Function = Function {
    name: "blueprint",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Makes the rule run only for tenants that enable it.",
    signatures: &[Signature::new(&[], Kind::Rule)],
    example: r#"rule("welcome").on("inbound_sms").blueprint().then(|e| reply("Welcome"));"#,
    register: |engine, _| {
        engine.register_fn("blueprint", |rule: &mut RuleBuilder| rule.edit(|draft| draft.blueprint = true));
    },
};

pub(in crate::rules) const PARAM: Function = Function {
    name: "param",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Declares a blueprint's parameter, read as `e.params.name`. A tenant can set another value.",
    signatures: &[Signature::new(&[("name", Kind::Text), ("default", Kind::Any)], Kind::Rule)],
    example: r#"rule("our hours").on("inbound_sms").keyword("HOURS")
    .blueprint().param("text", "Open from 9 to 18 h.")
    .then(|e| reply(e.params.text));"#,
    register: |engine, _| {
        engine.register_fn("param", param);
    },
};

fn param(ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, default: Dynamic) -> RuleBuilder {
    let Some(name) = text_of(&name).filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS) else {
        return rule.fault(&ctx, "param takes a name and a default", "write .param(\"hours\", \"9 to 18\")");
    };
    match to_json(&default) {
        Ok(default) => rule.edit(|draft| {
            draft.params.insert(name, default);
        }),
        Err(message) => rule.fault(&ctx, format!("param '{name}': {message}"), ""),
    }
}
