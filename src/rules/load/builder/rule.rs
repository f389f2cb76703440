//! `rule("name")`

use std::sync::Arc;

use rhai::{Dynamic, NativeCallContext};

use crate::rules::limits::NAME_CHARS;
use crate::rules::load::builder::draft::{Draft, Drafts, RuleBuilder};
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

pub(in crate::rules) const RULE: Function = Function {
    name: "rule",
    receiver: None,
    group: Group::Rule,
    about: "Begins a rule. Its name is unique in the folder and part of the identity of its actions.",
    signatures: &[Signature::new(&[("name", Kind::Text)], Kind::Rule)],
    example: r#"rule("hello").on("inbound_sms").then(|e| reply("Hello"));"#,
    register: |engine, _| {
        engine.register_fn("rule", rule);
    },
};

fn rule(ctx: NativeCallContext<'_>, name: Dynamic) -> Result<RuleBuilder, ScriptError> {
    let at = ctx.call_position();
    let drafts = ctx.tag().and_then(|tag| tag.read_lock::<Drafts>().map(|drafts| Arc::clone(&drafts)));
    let Some(drafts) = drafts else {
        return Err(error("rule(…) belongs at the top of a file, not inside a closure", at));
    };
    let name = text_of(&name).ok_or_else(|| error("rule: its name must be text", at))?;
    if name.trim() != name || name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control)
    {
        return Err(error(
            format!("rule: its name must have 1 to {NAME_CHARS} characters, no line breaks and no blanks around it"),
            at,
        ));
    }
    Ok(RuleBuilder::new(drafts, Draft { name, at: at.into(), ..Draft::default() }))
}
