//! `say`: speaks a text.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::call::{Say, Step};
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::script::arguments::{only_keys, optional, text_within};
use crate::rules::script::functions::in_call::step::plan_step;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const SAY: Function = Function {
    name: "say",
    receiver: None,
    group: Group::Calls,
    about: "Speaks a text; a map may give `voice` and `language`.",
    signatures: &[
        Signature::new(&[("text", Kind::Text)], Kind::PlannedAction),
        Signature::new(&[("text", Kind::Text), ("how", Kind::Map)], Kind::PlannedAction),
    ],
    example: r#"say("Hola", #{ language: "es-ES" })"#,
    register: |engine, _| {
        engine.register_fn("say", |ctx: NativeCallContext<'_>, text: Dynamic| {
            plan_step(&ctx, "say", |_| say(&text, &Map::new()))
        });
        engine.register_fn("say", |ctx: NativeCallContext<'_>, text: Dynamic, how: Map| {
            plan_step(&ctx, "say", |_| say(&text, &how))
        });
    },
};

fn say(text: &Dynamic, how: &Map) -> Result<Step, String> {
    only_keys(how, &["voice", "language"])?;
    let text = text_within(text, SPOKEN_CHARS, "")?;
    Ok(Step::Say(Say { text, voice: optional(how, "voice")?, language: optional(how, "language")? }))
}
