//! `.on_answer`, `.on_silence`, `.on_unsent`, `.on_input` and `.on_call`: closures by the name of a question or of a step of a call.

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::rules::limits::{NAME_CHARS, QUESTIONS_PER_RULE};
use crate::rules::load::builder::draft::{Closure, Draft, RuleBuilder};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

pub(in crate::rules) const ON_ANSWER: Function = Function {
    name: "on_answer",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Handles the answer to a question: `|e, answer|`, the answer folded. If it plans no action or gives `false`, the \
            question stays open.",
    signatures: &[Signature::new(&[("question", Kind::Question), ("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("book a day").on("inbound_sms").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h"))
    .on_answer("day", |e, answer| reply(`See you on ${answer}.`));"#,
    register: |engine, _| {
        Method {
            name: "on_answer",
            hint: "write .on_answer(\"slot\", |e, answer| …)",
            list: |draft| &mut draft.answers,
        }
        .register(engine);
    },
};

pub(in crate::rules) const ON_SILENCE: Function = Function {
    name: "on_silence",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs if a question gets no answer within its span, which begins when its text is sent.",
    signatures: &[Signature::new(&[("question", Kind::Question), ("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("book or remind").on("inbound_sms").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h"))
    .on_answer("day", |e, answer| reply(`See you on ${answer}.`))
    .on_silence("day", |e| send_sms(e.contact, "Write BOOK when you know the day."));"#,
    register: |engine, _| {
        Method { name: "on_silence", hint: "write .on_silence(\"slot\", |e| …)", list: |draft| &mut draft.silences }
            .register(engine);
    },
};

pub(in crate::rules) const ON_UNSENT: Function = Function {
    name: "on_unsent",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs if a question will never be sent: it is blocked, or the provider refuses it. `e.data.unsent` has the reason.",
    signatures: &[Signature::new(&[("question", Kind::Question), ("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("book or call").on("inbound_sms").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h"))
    .on_answer("day", |e, answer| reply(`See you on ${answer}.`))
    .on_unsent("day", |e| note(`not asked: ${e.data.unsent}`));"#,
    register: |engine, _| {
        Method { name: "on_unsent", hint: "write .on_unsent(\"slot\", |e| …)", list: |draft| &mut draft.unsents }
            .register(engine);
    },
};

pub(in crate::rules) const ON_INPUT: Function = Function {
    name: "on_input",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Handles what comes at a step of a call: `|e, input|`, the keys or the folded words.",
    signatures: &[Signature::new(&[("step", Kind::Step), ("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("order number").on("call_received")
    .then(|e| gather("order", #{ say: "Please enter your order number." }))
    .on_input("order", |e, input| { note(`order ${input}`); hangup() });"#,
    register: |engine, _| {
        Method { name: "on_input", hint: "write .on_input(\"main\", |e, input| …)", list: |draft| &mut draft.inputs }
            .register(engine);
    },
};

pub(in crate::rules) const ON_CALL: Function = Function {
    name: "on_call",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Begins an outbound call at a step: `call(e.contact, \"step\")`, a campaign or the API names it.",
    signatures: &[Signature::new(&[("step", Kind::Step), ("closure", Kind::Closure)], Kind::Rule)],
    example: r#"rule("greet by phone").on_call("greet", |e| say(`Hello ${e.contact.first_name}`));"#,
    register: |engine, _| {
        Method { name: "on_call", hint: "write .on_call(\"confirm\", |e| …)", list: |draft| &mut draft.calls }
            .register(engine);
    },
};

/// A method that adds a closure under a name.
#[derive(Clone, Copy)]
struct Method {
    name: &'static str,
    hint: &'static str,
    list: fn(&mut Draft) -> &mut Vec<(String, Closure)>,
}

impl Method {
    fn register(self, engine: &mut Engine) {
        engine.register_fn(
            self.name,
            move |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, closure: Dynamic| {
                self.add(&ctx, rule, &name, &closure)
            },
        );
    }

    fn add(&self, ctx: &NativeCallContext<'_>, rule: &RuleBuilder, name: &Dynamic, closure: &Dynamic) -> RuleBuilder {
        let method = self.name;
        let name = text_of(name).filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS);
        let (Some(name), Some(closure)) = (name, Closure::from_value(closure, ctx)) else {
            return rule.fault(ctx, format!("{method} takes a question's name and a closure"), self.hint);
        };
        let mut refused = None;
        let after = rule.edit(|draft| {
            let list = (self.list)(draft);
            if list.iter().any(|(known, _)| *known == name) {
                refused = Some(format!("there is an {method} for \"{name}\" already"));
            } else if list.len() >= QUESTIONS_PER_RULE {
                refused = Some(format!("a rule may ask {QUESTIONS_PER_RULE} questions"));
            } else {
                list.push((name, closure));
            }
        });
        match refused {
            Some(message) => rule.fault(ctx, message, "give each question of a rule a name of its own"),
            None => after,
        }
    }
}
