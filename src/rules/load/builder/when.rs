//! `.when("text", |e| …)` and `.then(|e| …)`

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::rules::limits::Limits;
use crate::rules::load::builder::draft::{Closure, RuleBuilder};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

const HINT: &str = "write .when(\"is new\", |e| e.contact.is_new): the text is what the trace says when it is not so";

pub(in crate::rules) const WHEN: Function = Function {
    name: "when",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Adds a condition. Its text is what the trace says if the condition is false.",
    signatures: &[Signature::new(&[("text", Kind::Text), ("condition", Kind::Closure)], Kind::Rule)],
    example: r#"rule("hello again").on("inbound_sms")
    .when("is known", |e| !e.contact.is_new)
    .then(|e| reply("Hello again"));"#,
    register: register_when,
};

pub(in crate::rules) const THEN: Function = Function {
    name: "then",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Adds what the rule does. Its actions count only if the whole rule succeeds.",
    signatures: &[Signature::new(&[("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("greet and tag").on("inbound_sms").then(|e| { tag("greeted"); reply("Hello") });"#,
    register: |engine, _| {
        engine.register_fn("then", |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, closure: Dynamic| {
            match Closure::from_value(&closure, &ctx) {
                Some(closure) => rule.edit(|draft| draft.thens.push(closure)),
                None => rule.fault(&ctx, "then takes a closure", "write .then(|e| reply(\"…\"))"),
            }
        });
    },
};

fn register_when(engine: &mut Engine, _: &Limits) {
    engine.register_fn(
        "when",
        |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, text: Dynamic, closure: Dynamic| {
            let Some(text) = text_of(&text).filter(|_| closure.is_fnptr()) else {
                return rule.fault(&ctx, "when takes a text and a closure", HINT);
            };
            let closure = Closure::from_value(&closure, &ctx);
            rule.edit(|draft| draft.whens.extend(closure.map(|closure| (text, closure))))
        },
    );
    engine.register_fn("when", |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, _: Dynamic| {
        rule.fault(&ctx, "when takes a text and a closure", HINT)
    });
}
