//! `note`: a remark for people.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::Effect;
use crate::rules::limits::NOTE_CHARS;
use crate::rules::script::arguments::text_within;
use crate::rules::script::functions::tag::on_customer;
use crate::rules::script::plan::plan_effect;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const NOTE: Function = Function {
    name: "note",
    receiver: None,
    group: Group::Customer,
    about: "Keeps a note for people with the customer.",
    signatures: &[Signature::new(&[("text", Kind::Text)], Kind::Nothing)],
    example: r#"note("asked for prices")"#,
    register: |engine, _| {
        engine.register_fn("note", |ctx: NativeCallContext<'_>, text: Dynamic| {
            plan_effect(&ctx, "note", |eval| {
                on_customer(eval, Effect::Note { text: text_within(&text, NOTE_CHARS, "")? })
            })
        });
    },
};
