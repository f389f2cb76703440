//! `gather` and `menu`: keys or words from the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::call::{Gather, Input, Step};
use crate::rules::script::arguments::{name, optional};
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{METHOD, method, optional_step, plan_step, spoken, with_handler};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting, sound};

/// The settings of a gather. In a menu, any other key is a choice.
const SETTINGS: &[Setting] = &[
    Setting::new("say", Holds::Spoken),
    Setting::new("play", Holds::Sound),
    Setting::new("voice", Holds::Short),
    Setting::new("language", Holds::Short),
    Setting::new("input", Holds::Word(&["digits", "dtmf", "speech", "both"])),
    Setting::new("digits", Holds::Whole(1, 32)),
    Setting::new("finish_on_key", Holds::Short),
    Setting::new("timeout", Holds::Whole(1, 60)),
    Setting::new("speech_timeout", Holds::Whole(1, 60)),
    Setting::new("hints", Holds::Hints),
    Setting::new("tries", Holds::Whole(1, 10)),
    Setting::new("no_input", Holds::Spoken),
    Setting::new("no_match", Holds::Spoken),
    Setting::new("otherwise", Holds::Step),
    METHOD,
    Setting::new("text", Holds::Spoken),
];

pub(in crate::rules) const GATHER: Function = Function {
    name: "gather",
    receiver: None,
    group: Group::Calls,
    about: "Asks for keys or words, which the step's `.on_input` gets. Settings: `say`, `play`, `voice`, `language`, \
            `input`, `digits`, `finish_on_key`, `timeout`, `speech_timeout`, `hints`, `tries`, `no_input`, `no_match`, \
            `otherwise`, `method` (`GET` or `POST`).",
    signatures: &[
        Signature::new(&[("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
        Signature::new(&[("step", Kind::Step), ("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
    ],
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
    signatures: &[
        Signature::new(&[("how", Kind::Choices(SETTINGS))], Kind::PlannedAction),
        Signature::new(&[("name", Kind::Text), ("how", Kind::Choices(SETTINGS))], Kind::PlannedAction),
    ],
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
    settings::check(how, SETTINGS, menu)?;
    let choices = if menu { choices(eval, how)? } else { BTreeMap::new() };
    let step = if menu || step.is_empty() { step } else { with_handler(eval, step)? };
    let input = match optional(how, "input")?.as_deref() {
        Some("digits" | "dtmf") => Input::Digits,
        Some("speech") => Input::Speech,
        _ => Input::Both,
    };
    let number = |key: &str| how.get(key).and_then(|value| value.as_int().ok());
    Ok(Step::Gather(Gather {
        step,
        input,
        say: spoken(how, "say")?.or(spoken(how, "text")?).unwrap_or_default(),
        play: how.get("play").map(sound).transpose()?,
        voice: optional(how, "voice")?,
        language: optional(how, "language")?,
        digits: number("digits").map(|digits| digits as u8),
        finish_on_key: optional(how, "finish_on_key")?,
        timeout_s: number("timeout").map(|seconds| seconds as u16),
        speech_timeout_s: number("speech_timeout").map(|seconds| seconds as u16),
        hints: how.get("hints").map_or_else(|| Ok(Vec::new()), settings::hints)?,
        choices,
        tries: number("tries").map_or(Gather::TRIES, |tries| tries as u8),
        tried: 0,
        no_input: spoken(how, "no_input")?,
        no_match: spoken(how, "no_match")?,
        otherwise: optional_step(eval, how, "otherwise")?,
        method: method(how),
    }))
}

/// Returns a menu's choices, each with the step that it leads to.
fn choices(eval: &Arc<EvalContext>, how: &Map) -> Result<BTreeMap<String, String>, String> {
    let mut choices = BTreeMap::new();
    for (key, value) in how.iter().filter(|(key, _)| !SETTINGS.iter().any(|setting| setting.name == key.as_str())) {
        choices.insert(key.to_string(), with_handler(eval, name("a step", value)?)?);
    }
    if choices.is_empty() {
        return Err(
            "a menu has choices, each with the step that it leads to: menu(#{ say: \"…\", \"1\": \"book\" })".into()
        );
    }
    Ok(choices)
}
