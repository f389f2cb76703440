//! `play` and `pause`.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::call::Step;
use crate::rules::script::functions::in_call::step::{SECONDS_MAX, plan_step, within};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::sound;

pub(in crate::rules) const PLAY: Function = Function {
    name: "play",
    receiver: None,
    group: Group::Calls,
    about: "Plays a sound from a URL.",
    signatures: &[Signature::new(&[("url", Kind::Sound)], Kind::PlannedAction)],
    example: r#"play("https://example.com/welcome.mp3")"#,
    register: |engine, _| {
        engine.register_fn("play", |ctx: NativeCallContext<'_>, url: Dynamic| {
            plan_step(&ctx, "play", |_| Ok(Step::Play { url: sound(&url)? }))
        });
    },
};

pub(in crate::rules) const PAUSE: Function = Function {
    name: "pause",
    receiver: None,
    group: Group::Calls,
    about: "Says nothing for some seconds.",
    signatures: &[Signature::new(&[("seconds", Kind::Seconds)], Kind::PlannedAction)],
    example: "pause(2)",
    register: |engine, _| {
        engine.register_fn("pause", |ctx: NativeCallContext<'_>, seconds: i64| {
            plan_step(&ctx, "pause", |_| Ok(Step::Pause { seconds: within("the pause", seconds, SECONDS_MAX)? }))
        });
    },
};
