//! `e.contact`: the customer.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Position};
use serde_json::Value;

use crate::domain::channel::UnknownChannel;
use crate::domain::contact::ContactFacts;
use crate::domain::{Channel, Phone, WhatsAppId};
use crate::rules::script::context::{EvalContext, ScriptError, error};
use crate::rules::script::registry::{Field, Function, Group, Kind, Signature, View};
use crate::rules::script::values::to_script;
use crate::rules::script::views::getters::{self, Getter};

/// `e.contact`
#[derive(Clone)]
pub(in crate::rules) struct ContactView(pub Arc<EvalContext>);

pub(in crate::rules) const VIEW: View = View {
    paths: &["contact"],
    kind: Kind::Contact,
    about: "The customer. `e.contact` is `()` if the event concerns none.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[&TAG, &FIELD, &OPTED_OUT],
};

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("phone", Kind::Text, "The number, E.164; empty if the customer hides it on WhatsApp.", |eval| {
        of(eval, |contact| contact.phone.as_ref().map_or("", Phone::as_str).into())
    }),
    field("whatsapp_id", Kind::Text, "WhatsApp's id of the customer; empty while it is not known.", |eval| {
        of(eval, |contact| contact.whatsapp_id.as_ref().map_or("", WhatsAppId::as_str).into())
    }),
    field("name", Kind::Text, "The whole name; may be empty.", |eval| of(eval, |contact| contact.name.as_str().into())),
    field("first_name", Kind::Text, "The first word of the name.", |eval| {
        of(eval, |contact| contact.first_name().into())
    }),
    field("email", Kind::Text, "The e-mail address, from the field `email`; may be empty.", |eval| {
        of(eval, |contact| contact.email().map_or_else(String::new, |email| email.to_string()).into())
    }),
    field("tags", Kind::Array, "All tags.", |eval| {
        of(eval, |contact| contact.tags.iter().map(|tag| tag.as_str().into()).collect::<Array>().into())
    }),
    field("fields", Kind::Map, "All fields.", |eval| {
        let fields = eval.contact().map(|contact| contact.fields.clone()).unwrap_or_default();
        to_script(&Value::Object(fields.into_iter().collect()))
    }),
    field("language", Kind::Text, "The field `language`, or else the business's language.", |eval| {
        Ok(language(eval).into())
    }),
    field("created_at", Kind::Moment, "When the customer was first seen.", |eval| {
        of(eval, |contact| Dynamic::from(eval.moment(contact.created_at)))
    }),
    field("last_inbound_at", Kind::Moment, "When the customer last wrote before this event.", |eval| {
        of(eval, |contact| match contact.last_inbound_at.values().max() {
            Some(at) => Dynamic::from(eval.moment(*at)),
            None => Dynamic::UNIT,
        })
    }),
    field("inbound_count", Kind::Whole, "How many messages the customer has written, this one included.", |eval| {
        of(eval, |contact| inbound_count(eval, contact).into())
    }),
    field("is_new", Kind::Boolean, "This is the customer's first message.", |eval| {
        of(eval, |contact| (inbound_count(eval, contact) <= 1).into())
    }),
];

const TAG: Function = Function {
    name: "tag",
    receiver: Some(Kind::Contact),
    group: Group::View,
    about: "Tells whether the customer has a tag.",
    signatures: &[Signature::new(&[("tag", Kind::Text)], Kind::Boolean)],
    example: r#"note(`a member: ${e.contact.tag("member")}`)"#,
    register: |engine, _| {
        engine.register_fn("tag", |view: &mut ContactView, tag: ImmutableString| {
            let has = view.0.contact().is_some_and(|contact| contact.tags.contains(tag.as_str()));
            view.0.record_read(&format!("e.contact.tag({tag:?})"), &has.into());
            has
        });
    },
};

const FIELD: Function = Function {
    name: "field",
    receiver: Some(Kind::Contact),
    group: Group::View,
    about: "Returns a field of the customer; `()` if it is not set.",
    signatures: &[Signature::new(&[("name", Kind::Text)], Kind::Any)],
    example: r#"note(`shoe size: ${e.contact.field("shoe_size")}`)"#,
    register: |engine, _| {
        engine.register_fn("field", |view: &mut ContactView, field: ImmutableString| -> Result<Dynamic, ScriptError> {
            let value = view.0.contact().and_then(|contact| contact.fields.get(field.as_str()));
            let value = value
                .map_or(Ok(Dynamic::UNIT), to_script)
                .map_err(|message| error(format!("field {field:?}: {message}"), Position::NONE))?;
            view.0.record_read(&format!("e.contact.field({field:?})"), &value);
            Ok(value)
        });
    },
};

const OPTED_OUT: Function = Function {
    name: "opted_out",
    receiver: Some(Kind::Contact),
    group: Group::View,
    about: "Tells whether the customer has opted out of a channel.",
    signatures: &[Signature::new(&[("channel", Kind::Channel)], Kind::Boolean)],
    example: r#"if !e.contact.opted_out("whatsapp") { send_whatsapp(e.contact, "Hello") }"#,
    register: |engine, _| {
        engine.register_fn(
            "opted_out",
            |view: &mut ContactView, channel: ImmutableString| -> Result<bool, ScriptError> {
                let parsed: Channel =
                    channel.parse().map_err(|bad: UnknownChannel| error(bad.to_string(), Position::NONE))?;
                let out = view.0.contact().is_some_and(|contact| contact.opted_out.contains(&parsed));
                view.0.record_read(&format!("e.contact.opted_out({channel:?})"), &out.into());
                Ok(out)
            },
        );
    },
};

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<ContactView>("ContactView");
    getters::register(engine, FIELDS, "e.contact", |view: &ContactView| &view.0);
    engine.register_indexer_get(|_: &mut ContactView, name: ImmutableString| -> Result<Dynamic, ScriptError> {
        Err(getters::unknown("e.contact", &name, &VIEW.names()))
    });
}

fn of(eval: &Arc<EvalContext>, read: impl FnOnce(&ContactFacts) -> Dynamic) -> Result<Dynamic, String> {
    Ok(eval.contact().map_or(Dynamic::UNIT, read))
}

/// Counts the customer's messages up to this event. An inbound event holds its own number, because the customer may have
/// written again before the event is decided.
fn inbound_count(eval: &EvalContext, contact: &ContactFacts) -> i64 {
    eval.event.data.get("nth").and_then(Value::as_i64).unwrap_or(contact.inbound_count)
}

fn language(eval: &EvalContext) -> String {
    let chosen = eval.contact().and_then(|contact| contact.fields.get("language")).and_then(Value::as_str);
    chosen.unwrap_or(&eval.facts.tenant.language).to_owned()
}
