//! `gather` and `menu`: keys or words from the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Array, Dynamic, Map, NativeCallContext};

use crate::domain::call::{Gather, Input, Step};
use crate::rules::script::arguments::{name, only_keys, optional};
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{optional_step, plan_step, sound, spoken, with_handler};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::kind_of;

const TRIES_MAX: i64 = 10;
const HINTS_MAX: usize = 100;

/// The settings of a gather. In a menu, any other key is a choice.
const SETTINGS: [&str; 15] = [
    "say",
    "play",
    "voice",
    "language",
    "input",
    "digits",
    "finish_on_key",
    "timeout",
    "speech_timeout",
    "hints",
    "tries",
    "no_input",
    "no_match",
    "otherwise",
    "text",
];

const SIGNATURES: &[Signature] = &[
    Signature::new(&[("how", Kind::Map)], Kind::PlannedAction),
    Signature::new(&[("step", Kind::Step), ("how", Kind::Map)], Kind::PlannedAction),
];

pub(in crate::rules) const GATHER: Function = Function {
    name: "gather",
    receiver: None,
    group: Group::Calls,
    about: "Asks for keys or words, which the step's `.on_input` gets. Settings: `say`, `play`, `voice`, `language`, \
            `input`, `digits`, `finish_on_key`, `timeout`, `speech_timeout`, `hints`, `tries`, `no_input`, `no_match`, \
            `otherwise`.",
    signatures: SIGNATURES,
    example: r#"rule("order by phone").on("call_received")
    .then(|e| gather("order", #{ say: "Please enter your order number.", input: "digits", digits: 6 }))
    .on_input("order", |e, input| { note(`order ${input}`); hangup() });"#,
    register: |engine, _| {
        engine.register_fn("gather", |ctx: NativeCallContext<'_>, step: Dynamic, how: Map| {
            plan_step(&ctx, "gather", |eval| gather(eval, name("a step", &step)?, &how, false))
        });
        engine.register_fn("gather", |ctx: NativeCallContext<'_>, how: Map| {
            plan_step(&ctx, "gather", |eval| gather(eval, String::new(), &how, false))
        });
    },
};

pub(in crate::rules) const MENU: Function = Function {
    name: "menu",
    receiver: None,
    group: Group::Calls,
    about: "Offers choices: each key or word leads to a step. Settings are those of `gather`.",
    signatures: SIGNATURES,
    example: r#"rule("front desk").on("call_received")
    .then(|e| menu("main", #{ say: "Press 1 to book, 2 for a person.", "1|book": "book", "2|person": "person" }))
    .on_input("book", |e, input| { say("We will text you a time."); hangup() })
    .on_input("person", |e, input| connect_agent());"#,
    register: |engine, _| {
        engine.register_fn("menu", |ctx: NativeCallContext<'_>, step: Dynamic, how: Map| {
            plan_step(&ctx, "menu", |eval| gather(eval, name("a step", &step)?, &how, true))
        });
        engine.register_fn("menu", |ctx: NativeCallContext<'_>, how: Map| {
            plan_step(&ctx, "menu", |eval| gather(eval, "menu".to_owned(), &how, true))
        });
    },
};

fn gather(eval: &Arc<EvalContext>, step: String, how: &Map, menu: bool) -> Result<Step, String> {
    if !menu {
        only_keys(how, &SETTINGS)?;
    }
    let choices = if menu { choices(eval, how)? } else { BTreeMap::new() };
    let step = if menu || step.is_empty() { step } else { with_handler(eval, step)? };
    let input = match optional(how, "input")?.as_deref() {
        None | Some("both") => Input::Both,
        Some("digits" | "dtmf") => Input::Digits,
        Some("speech") => Input::Speech,
        Some(other) => return Err(format!("'{other}' is no input: use \"digits\", \"speech\" or \"both\"")),
    };
    Ok(Step::Gather(Gather {
        step,
        input,
        say: spoken(how, "say")?.or(spoken(how, "text")?).unwrap_or_default(),
        play: how.get("play").map(sound).transpose()?,
        voice: optional(how, "voice")?,
        language: optional(how, "language")?,
        digits: number(how, "digits", 32)?.map(|digits| digits as u8),
        finish_on_key: optional(how, "finish_on_key")?,
        timeout_s: number(how, "timeout", 60)?.map(|seconds| seconds as u16),
        speech_timeout_s: number(how, "speech_timeout", 60)?.map(|seconds| seconds as u16),
        hints: hints(how)?,
        choices,
        tries: number(how, "tries", TRIES_MAX)?.map_or(Gather::TRIES, |tries| tries as u8),
        tried: 0,
        no_input: spoken(how, "no_input")?,
        no_match: spoken(how, "no_match")?,
        otherwise: optional_step(eval, how, "otherwise")?,
    }))
}

/// Returns a menu's choices, each with the step that it leads to.
fn choices(eval: &Arc<EvalContext>, how: &Map) -> Result<BTreeMap<String, String>, String> {
    let mut choices = BTreeMap::new();
    for (key, value) in how.iter().filter(|(key, _)| !SETTINGS.contains(&key.as_str())) {
        choices.insert(key.to_string(), with_handler(eval, name("a step", value)?)?);
    }
    if choices.is_empty() {
        return Err(
            "a menu has choices, each with the step that it leads to: menu(#{ say: \"…\", \"1\": \"book\" })".into()
        );
    }
    Ok(choices)
}

fn number(how: &Map, key: &str, most: i64) -> Result<Option<i64>, String> {
    let Some(value) = how.get(key) else { return Ok(None) };
    let number = value.as_int().map_err(|_| format!("{key} is a whole number, and this is a {}", kind_of(value)))?;
    if (1..=most).contains(&number) { Ok(Some(number)) } else { Err(format!("{key} must be 1 to {most}")) }
}

fn hints(how: &Map) -> Result<Vec<String>, String> {
    let Some(value) = how.get("hints") else { return Ok(Vec::new()) };
    let list: Array = match value.as_array_ref() {
        Ok(list) => list.clone(),
        Err(_) => vec![value.clone()],
    };
    if list.len() > HINTS_MAX {
        return Err(format!("hints are at most {HINTS_MAX}"));
    }
    list.iter().map(|hint| name("a hint", hint)).collect()
}
