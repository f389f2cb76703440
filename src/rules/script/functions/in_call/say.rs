//! `say`: speaks a text.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::call::{Say, Step};
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::script::arguments::{optional, text_within};
use crate::rules::script::functions::in_call::step::plan_step;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting};

pub(in crate::rules) const SAY: Function = Function {
    name: "say",
    receiver: None,
    group: Group::Calls,
    about: "Speaks a text; a map may give `voice` and `language`.",
    signatures: &[
        Signature::new(&[("text", Kind::Spoken)], Kind::PlannedAction),
        Signature::new(&[("text", Kind::Spoken), ("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
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

const SETTINGS: &[Setting] = &[Setting::new("voice", Holds::Short), Setting::new("language", Holds::Short)];

fn say(text: &Dynamic, how: &Map) -> Result<Step, String> {
    settings::check(how, SETTINGS, false)?;
    let text = text_within(text, SPOKEN_CHARS, "")?;
    Ok(Step::Say(Say { text, voice: optional(how, "voice")?, language: optional(how, "language")? }))
}
