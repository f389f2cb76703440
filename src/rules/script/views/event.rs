//! `e`: the event.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString};
use serde_json::Value;

use crate::domain::opt_out;
use crate::domain::words::fold_words;
use crate::rules::script::context::{EvalContext, ScriptError};
use crate::rules::script::registry::{Field, Kind, View};
use crate::rules::script::values::to_script;
use crate::rules::script::views::business::BusinessView;
use crate::rules::script::views::contact::ContactView;
use crate::rules::script::views::getters::{self, Getter};
use crate::rules::script::views::params::ParamsView;
use crate::rules::script::views::{appointment, call, question};

/// `e`
#[derive(Clone)]
pub(in crate::rules) struct EventView(pub Arc<EvalContext>);

pub(in crate::rules) const VIEW: View = View {
    paths: &[""],
    kind: Kind::Event,
    about: "The event. If it has no such thing, a text is empty and anything else is `()`.",
    fields: || FIELDS.iter().chain(VIEWS).map(Field::info).collect(),
    methods: &[],
};

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("kind", Kind::Text, "The kind of the event.", |eval| Ok(eval.event.kind.as_str().into())),
    field("channel", Kind::Channel, "The channel that the event came in on: `sms`, `whatsapp`, `voice`.", |eval| {
        Ok(eval.event.channel.map_or(Dynamic::UNIT, |channel| channel.as_str().into()))
    }),
    field("body", Kind::Text, "The customer's text as written; in a call, the keys or words.", |eval| {
        Ok(eval.text("body").into())
    }),
    field("text", Kind::Text, "The text folded: lower case, without accents.", |eval| Ok(eval.folded_body().into())),
    field("words", Kind::Array, "The words of the text, folded, without the signs between them.", |eval| {
        let folded = fold_words(eval.text("body"));
        Ok(folded
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| word.to_owned().into())
            .collect::<Array>()
            .into())
    }),
    field("from", Kind::Text, "The sender's number.", |eval| Ok(eval.text("from").into())),
    field("to", Kind::Text, "Our number that was written to or called.", |eval| Ok(eval.text("to").into())),
    field("media", Kind::Array, "The attachments, each with `url` and `content_type`.", |eval| {
        eval.event.data.get("media").map_or_else(|| Ok(Array::new().into()), to_script)
    }),
    field("button", Kind::Map, "The WhatsApp button that was pressed: `text` and `payload`.", |eval| {
        optional(eval, "button")
    }),
    field("location", Kind::Map, "A shared location: `latitude`, `longitude`, `address`, `label`.", |eval| {
        optional(eval, "location")
    }),
    field("profile_name", Kind::Text, "The name that the customer gave themselves on WhatsApp.", |eval| {
        Ok(eval.text("profile_name").into())
    }),
    field("replied_to", Kind::Text, "The provider's id of the message that this one answers.", |eval| {
        optional(eval, "replied_to")
    }),
    field("opt_out_type", Kind::Text, "`STOP`, `START` or `HELP`, if the provider recognised the word.", |eval| {
        optional(eval, "opt_out_type")
    }),
    field(
        "opt_out_word",
        Kind::Text,
        "The word or phrase by which the customer opted out or in or asked for help, folded, whoever recognised it; else `()`.",
        |eval| Ok(opt_out::phrase_in(&eval.event).map_or(Dynamic::UNIT, Dynamic::from)),
    ),
    field("late", Kind::Boolean, "The catch-up found the message; no webhook brought it.", |eval| {
        Ok(eval.event.data.get("late").and_then(Value::as_bool).unwrap_or(false).into())
    }),
    field("digits", Kind::Text, "The keys that were pressed in a call.", |eval| Ok(eval.text("digits").into())),
    field("speech", Kind::Text, "The words that were spoken in a call.", |eval| Ok(eval.text("speech").into())),
    field("call", Kind::Call, "The call that the event belongs to.", call::read),
    field("data", Kind::Map, "All data of the event; see the event kinds.", |eval| to_script(&eval.event.data)),
    field("question", Kind::OpenQuestion, "The open question that the event may answer.", question::read),
    field("now", Kind::Moment, "The time of the decision.", |eval| Ok(Dynamic::from(eval.now()))),
    field("keyword", Kind::Text, "The keyword that matched, folded.", |eval| {
        Ok(eval.frame().keyword.as_ref().map_or_else(String::new, |found| found.word.clone()).into())
    }),
    field("rest", Kind::Text, "The text after the keyword.", |eval| {
        Ok(eval.frame().keyword.as_ref().map_or_else(String::new, |found| found.rest.clone()).into())
    }),
];

/// Fields that lead to further views. Reading them leaves no mark; reading on from them does.
const VIEWS: &[Field<Getter>] = &[
    field("contact", Kind::Contact, "The customer; `()` if the event concerns none.", |eval| {
        Ok(eval.contact().map_or(Dynamic::UNIT, |_| Dynamic::from(ContactView(Arc::clone(eval)))))
    }),
    field("tenant", Kind::Business, "The business.", |eval| Ok(Dynamic::from(BusinessView(Arc::clone(eval))))),
    field("business", Kind::Business, "The same as `e.tenant`.", |eval| {
        Ok(Dynamic::from(BusinessView(Arc::clone(eval))))
    }),
    field("params", Kind::Params, "The blueprint's parameters, such as `e.params.text`.", |eval| {
        Ok(Dynamic::from(ParamsView(Arc::clone(eval))))
    }),
    field("appointment", Kind::Appointment, "The appointment that the event is about.", |eval| {
        Ok(appointment::own(eval))
    }),
    field("next_appointment", Kind::Appointment, "The customer's next appointment.", |eval| {
        Ok(appointment::next(eval))
    }),
    field("free_slots", Kind::Array, "The times to which the next appointment could be moved.", |eval| {
        Ok(appointment::free_slots(eval))
    }),
];

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<EventView>("EventView");
    getters::register(engine, FIELDS, "e", |view: &EventView| &view.0);
    for field in VIEWS {
        engine.register_get(field.name, |view: &mut EventView| -> Result<Dynamic, ScriptError> {
            (field.get)(&view.0).map_err(|message| crate::rules::script::context::error(message, rhai::Position::NONE))
        });
    }
    engine.register_indexer_get(|_: &mut EventView, name: ImmutableString| -> Result<Dynamic, ScriptError> {
        Err(getters::unknown("e", &name, &VIEW.names()))
    });
}

fn optional(eval: &Arc<EvalContext>, key: &str) -> Result<Dynamic, String> {
    eval.event.data.get(key).map_or(Ok(Dynamic::UNIT), to_script)
}
