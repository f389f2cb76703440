//! `.on(kind, …)` and `.keyword(word, …)`

use std::any::TypeId;

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::domain::EventKind;
use crate::domain::words::fold_words;
use crate::rules::limits::{NAME_CHARS, WORDS_PER_RULE};
use crate::rules::load::builder::draft::{Draft, RuleBuilder};
use crate::rules::load::error::SourcePosition;
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, text_of};

/// The most arguments that `.on` and `.keyword` take one by one; an array takes more.
const ARGUMENTS: usize = 12;

pub(in crate::rules) const ON: Function = Function {
    name: "on",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Names the event kinds that the rule listens to, one by one or in an array.",
    signatures: &[Signature::repeated(&[("kind", Kind::EventName)], Kind::Rule, ARGUMENTS)],
    example: r#"rule("hello on both").on("inbound_sms", "inbound_whatsapp").then(|e| reply("Hello"));"#,
    register: |engine, _| register(engine, "on", add_kind),
};

pub(in crate::rules) const KEYWORD: Function = Function {
    name: "keyword",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs the rule only if the text is one of these words or begins with one. Case and accents do not matter.",
    signatures: &[Signature::repeated(&[("word", Kind::Text)], Kind::Rule, ARGUMENTS)],
    example: r#"rule("hours").on("inbound_sms").keyword("HOURS", "HORARIO").then(|e| reply("From 9 to 18 h."));"#,
    register: |engine, _| register(engine, "keyword", add_keyword),
};

/// Adds a word to the draft, or refuses it.
type Add = fn(&mut Draft, &str, SourcePosition) -> Result<(), String>;

fn register(engine: &mut Engine, method: &'static str, add: Add) {
    for count in 1..=ARGUMENTS {
        let mut types = vec![TypeId::of::<Dynamic>(); count + 1];
        types[0] = TypeId::of::<RuleBuilder>();
        engine.register_raw_fn(method, &types, move |ctx, args| words(&ctx, args, method, add));
    }
}

/// Takes texts, one by one or in arrays.
fn words(
    ctx: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
    method: &str,
    add: Add,
) -> Result<RuleBuilder, ScriptError> {
    let at: SourcePosition = ctx.call_position().into();
    let (rule, words) = args.split_first_mut().ok_or_else(|| error("there is no rule", ctx.call_position()))?;
    let rule = rule.read_lock::<RuleBuilder>().map(|rule| rule.clone());
    let rule = rule.ok_or_else(|| error(format!("{method} belongs to a rule"), ctx.call_position()))?;
    let mut flat = Vec::new();
    for word in words {
        match word.as_array_ref() {
            Ok(many) => flat.extend(many.iter().cloned()),
            Err(_) => flat.push((**word).clone()),
        }
    }
    if flat.len() > WORDS_PER_RULE {
        return Ok(rule.fault(ctx, format!("{method} takes at most {WORDS_PER_RULE} words"), "make two rules of it"));
    }
    for word in flat {
        let refused = match text_of(&word) {
            Some(word) => {
                let mut refused = Ok(());
                rule.edit(|draft| refused = add(draft, &word, at));
                refused
            }
            None => Err(format!("{method} takes texts, and this is a {}", kind_of(&word))),
        };
        if let Err(message) = refused {
            rule.fault(ctx, message, "");
        }
    }
    Ok(rule)
}

fn add_kind(draft: &mut Draft, kind: &str, at: SourcePosition) -> Result<(), String> {
    let kind = EventKind::parse(kind).map_err(|bad| bad.to_string())?;
    if !draft.kinds.iter().any(|(known, _)| *known == kind) {
        draft.kinds.push((kind, at));
    }
    Ok(())
}

fn add_keyword(draft: &mut Draft, word: &str, _: SourcePosition) -> Result<(), String> {
    if fold_words(word).is_empty() || word.chars().count() > NAME_CHARS {
        return Err(format!("a keyword must have 1 to {NAME_CHARS} characters"));
    }
    draft.keywords.push(word.trim().to_owned());
    Ok(())
}
