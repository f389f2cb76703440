//! The event, the customer and the business as scripts see them. Getters are lazy and leave their mark in the trace.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, Position};
use serde_json::Value;

use crate::domain::Question;
use crate::domain::fold::fold;
use crate::rules::load::error::did_you_mean;
use crate::rules::script::context::{Call, ScriptError, error};
use crate::rules::script::functions::voice;
use crate::rules::script::values::{kind_of, text_of, to_script};
use crate::rules::script::views::appointment;
use crate::time::WeeklyHours;
use crate::time::hours::NoHours;

/// `e`
#[derive(Clone)]
pub(in crate::rules) struct EventView(pub Arc<Call>);
/// `e.contact`
#[derive(Clone)]
pub(in crate::rules) struct ContactView(pub Arc<Call>);
/// `e.tenant`, and `e.business`, which is the same
#[derive(Clone)]
pub(in crate::rules) struct TenantView(pub Arc<Call>);
/// `e.params`
#[derive(Clone)]
pub(in crate::rules) struct ParamsView(pub Arc<Call>);

type Getter = fn(&Arc<Call>) -> Result<Dynamic, String>;

/// What `e` has. Texts are empty, and all else is `()`, where the event has no such thing.
pub(in crate::rules) const EVENT: &[(&str, Getter)] = &[
    ("kind", |call| Ok(call.event.kind.as_str().into())),
    ("channel", |call| Ok(call.event.channel.map_or(Dynamic::UNIT, |channel| channel.as_str().into()))),
    ("body", |call| Ok(call.text("body").into())),
    ("text", |call| Ok(fold(call.text("body")).into())),
    ("words", |call| {
        Ok(fold(call.text("body"))
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| word.to_owned().into())
            .collect::<Array>()
            .into())
    }),
    ("from", |call| Ok(call.text("from").into())),
    ("to", |call| Ok(call.text("to").into())),
    ("media", |call| call.event.data.get("media").map_or_else(|| Ok(Array::new().into()), to_script)),
    ("button", |call| optional(call, "button")),
    ("location", |call| optional(call, "location")),
    ("profile_name", |call| Ok(call.text("profile_name").into())),
    ("replied_to", |call| optional(call, "replied_to")),
    ("opt_out_type", |call| optional(call, "opt_out_type")),
    ("late", |call| Ok(call.event.data.get("late").and_then(Value::as_bool).unwrap_or(false).into())),
    ("digits", |call| Ok(call.text("digits").into())),
    ("speech", |call| Ok(call.text("speech").into())),
    ("call", voice::view),
    ("data", |call| to_script(&call.event.data)),
    ("question", |call| call.facts.question(&call.event).map_or(Ok(Dynamic::UNIT), |open| question(call, open))),
    ("now", |call| Ok(Dynamic::from(call.now()))),
    ("keyword", |call| Ok(call.frame().keyword.as_ref().map_or_else(String::new, |found| found.word.clone()).into())),
    ("rest", |call| Ok(call.frame().keyword.as_ref().map_or_else(String::new, |found| found.rest.clone()).into())),
];

/// What `e.contact` has.
pub(in crate::rules) const CONTACT: &[(&str, Getter)] = &[
    ("phone", |call| of_contact(call, |contact| contact.phone.as_str().into())),
    ("name", |call| of_contact(call, |contact| contact.name.as_str().into())),
    ("first_name", |call| of_contact(call, |contact| contact.first_name().into())),
    ("email", |call| {
        of_contact(call, |contact| contact.email().map_or_else(String::new, |email| email.to_string()).into())
    }),
    ("tags", |call| {
        of_contact(call, |contact| contact.tags.iter().map(|tag| tag.as_str().into()).collect::<Array>().into())
    }),
    ("fields", |call| {
        let fields = call.contact().map(|contact| contact.fields.clone()).unwrap_or_default();
        to_script(&Value::Object(fields.into_iter().collect()))
    }),
    ("language", |call| Ok(language(call).into())),
    ("created_at", |call| of_contact(call, |contact| Dynamic::from(call.moment(contact.created_at)))),
    ("last_inbound_at", |call| {
        of_contact(call, |contact| match contact.last_inbound_at.values().max() {
            Some(at) => Dynamic::from(call.moment(*at)),
            None => Dynamic::UNIT,
        })
    }),
    ("inbound_count", |call| of_contact(call, |contact| inbound_count(call, contact).into())),
    ("is_new", |call| of_contact(call, |contact| (inbound_count(call, contact) <= 1).into())),
];

/// What `e.tenant` and `e.business` have.
pub(in crate::rules) const TENANT: &[(&str, Getter)] = &[
    ("slug", |call| Ok(call.facts.tenant.slug.as_str().into())),
    ("name", |call| Ok(call.facts.tenant.name.as_str().into())),
    ("zone", |call| Ok(call.facts.tenant.zone.as_str().into())),
    ("language", |call| Ok(call.facts.tenant.language.as_str().into())),
    // Where nobody has said when it is open, it is never closed.
    ("open_now", |call| {
        let wall = call.now().local().naive_local();
        Ok(hours(call)?.is_none_or(|hours| hours.is_open(wall)).into())
    }),
    ("next_open", |call| {
        let next = hours(call)?.and_then(|hours| hours.next_open(call.facts.as_of, call.zone));
        Ok(next.map_or(Dynamic::UNIT, |at| Dynamic::from(call.moment(at))))
    }),
    ("hours_today", |call| {
        let today = call.now().local().date_naive();
        Ok(hours(call)?.map_or_else(String::new, |hours| hours.text_on(today)).into())
    }),
];

/// What `e` has besides [`EVENT`]: views of their own.
pub(in crate::rules) const EVENT_VIEWS: &[&str] =
    &["contact", "tenant", "business", "params", "appointment", "next_appointment", "free_slots"];
/// What `e.contact` can be asked.
pub(in crate::rules) const CONTACT_METHODS: &[&str] = &["tag", "field", "opted_out"];
/// What `e.business` can be asked.
pub(in crate::rules) const TENANT_METHODS: &[&str] = &["enabled"];

/// The open question that the event may answer, or whose silence it is.
fn question(call: &Arc<Call>, open: &Question) -> Result<Dynamic, String> {
    let mut map = Map::new();
    map.insert("name".into(), open.name.as_str().into());
    map.insert("rule".into(), open.rule.as_str().into());
    map.insert("channel".into(), open.channel.as_str().into());
    map.insert("state".into(), to_script(&open.state)?);
    map.insert("asked_at".into(), Dynamic::from(call.moment(open.asked_at)));
    Ok(map.into())
}

fn optional(call: &Arc<Call>, key: &str) -> Result<Dynamic, String> {
    call.event.data.get(key).map_or(Ok(Dynamic::UNIT), to_script)
}

fn of_contact(
    call: &Arc<Call>,
    read: impl FnOnce(&crate::domain::contact::ContactFacts) -> Dynamic,
) -> Result<Dynamic, String> {
    Ok(call.contact().map_or(Dynamic::UNIT, read))
}

/// When the business is open, if anybody has said so.
fn hours(call: &Call) -> Result<Option<WeeklyHours>, String> {
    match call.facts.tenant.hours.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: NoHours| error.to_string()),
    }
}

/// Messages from the customer up to this event. An inbound event knows which one it is: the customer may have written
/// again before it is decided.
fn inbound_count(call: &Call, contact: &crate::domain::contact::ContactFacts) -> i64 {
    call.event.data.get("nth").and_then(Value::as_i64).unwrap_or(contact.inbound_count)
}

/// The customer's language as they chose it (`set_field("language", "es")`), else the business's.
fn language(call: &Call) -> String {
    let chosen = call.contact().and_then(|contact| contact.fields.get("language")).and_then(Value::as_str);
    chosen.unwrap_or(&call.facts.tenant.language).to_owned()
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<EventView>("EventView");
    engine.register_type_with_name::<ContactView>("ContactView");
    engine.register_type_with_name::<TenantView>("TenantView");
    engine.register_type_with_name::<ParamsView>("ParamsView");
    register_getters(engine, EVENT, "e", |view: &EventView| &view.0);
    register_getters(engine, CONTACT, "e.contact", |view: &ContactView| &view.0);
    register_getters(engine, TENANT, "e.tenant", |view: &TenantView| &view.0);

    engine.register_get("contact", |view: &mut EventView| match view.0.contact() {
        Some(_) => Dynamic::from(ContactView(Arc::clone(&view.0))),
        None => Dynamic::UNIT,
    });
    engine.register_get("tenant", |view: &mut EventView| TenantView(Arc::clone(&view.0)));
    engine.register_get("business", |view: &mut EventView| TenantView(Arc::clone(&view.0)));
    engine.register_get("params", |view: &mut EventView| ParamsView(Arc::clone(&view.0)));
    register_contact_methods(engine);
    // Whether the business has enabled a blueprint.
    engine.register_fn("enabled", |view: &mut TenantView, rule: ImmutableString| {
        let enabled = view.0.facts.tenant.blueprints.contains_key(rule.as_str());
        view.0.saw(&format!("e.business.enabled({rule:?})"), &enabled.into());
        enabled
    });
    appointment::register(engine);

    engine.register_indexer_get(|_: &mut EventView, name: ImmutableString| unknown("e", &name, EVENT, EVENT_VIEWS));
    engine.register_indexer_get(|_: &mut ContactView, name: ImmutableString| {
        unknown("e.contact", &name, CONTACT, CONTACT_METHODS)
    });
    engine.register_indexer_get(|_: &mut TenantView, name: ImmutableString| {
        unknown("e.tenant", &name, TENANT, TENANT_METHODS)
    });
    engine.register_indexer_get(|view: &mut ParamsView, name: ImmutableString| param(&view.0, &name));
}

fn register_getters<View: Clone + Send + Sync + 'static>(
    engine: &mut Engine,
    getters: &'static [(&'static str, Getter)],
    prefix: &str,
    call_of: fn(&View) -> &Arc<Call>,
) {
    for (name, getter) in getters {
        let path = format!("{prefix}.{name}");
        engine.register_get(*name, move |view: &mut View| -> Result<Dynamic, ScriptError> {
            let call = call_of(view);
            let value = getter(call).map_err(|message| error(format!("{path}: {message}"), Position::NONE))?;
            call.saw(&path, &value);
            Ok(value)
        });
    }
}

fn register_contact_methods(engine: &mut Engine) {
    engine.register_fn("tag", |view: &mut ContactView, tag: ImmutableString| {
        let has = view.0.contact().is_some_and(|contact| contact.tags.contains(tag.as_str()));
        view.0.saw(&format!("e.contact.tag({tag:?})"), &has.into());
        has
    });
    engine.register_fn("field", |view: &mut ContactView, field: ImmutableString| -> Result<Dynamic, ScriptError> {
        let value = view.0.contact().and_then(|contact| contact.fields.get(field.as_str()));
        let value = value
            .map_or(Ok(Dynamic::UNIT), to_script)
            .map_err(|message| error(format!("field {field:?}: {message}"), Position::NONE))?;
        view.0.saw(&format!("e.contact.field({field:?})"), &value);
        Ok(value)
    });
    engine.register_fn("opted_out", |view: &mut ContactView, channel: ImmutableString| -> Result<bool, ScriptError> {
        let parsed: crate::domain::Channel = channel
            .parse()
            .map_err(|bad: crate::domain::channel::UnknownChannel| error(bad.to_string(), Position::NONE))?;
        let out = view.0.contact().is_some_and(|contact| contact.opted_out.contains(&parsed));
        view.0.saw(&format!("e.contact.opted_out({channel:?})"), &out.into());
        Ok(out)
    });
}

fn unknown(
    prefix: &str,
    name: &str,
    getters: &'static [(&'static str, Getter)],
    more: &'static [&'static str],
) -> Result<Dynamic, ScriptError> {
    let known = getters.iter().map(|(name, _)| *name).chain(more.iter().copied());
    let hint = did_you_mean(name, known).map_or_else(String::new, |meant| format!(": did you mean {prefix}.{meant}?"));
    Err(error(format!("{prefix} has no '{name}'{hint}"), Position::NONE))
}

fn param(call: &Arc<Call>, name: &str) -> Result<Dynamic, ScriptError> {
    let found = call.frame().params.get(name).cloned();
    let Some(found) = found else {
        return Err(error(
            format!("the rule has no parameter '{name}': declare it with .param(\"{name}\", default)"),
            Position::NONE,
        ));
    };
    let value = to_script(&found).map_err(|message| error(message, Position::NONE))?;
    call.saw(&format!("e.params.{name}"), &value);
    Ok(value)
}

/// The names that may follow `e.` or `e.contact.` and so on; `None` where anything may.
pub(in crate::rules) fn names_after(path: &[&str]) -> Option<Vec<&'static str>> {
    let of = |getters: &'static [(&'static str, Getter)], more: &'static [&'static str]| {
        Some(getters.iter().map(|(name, _)| *name).chain(more.iter().copied()).collect())
    };
    match path {
        [] => of(EVENT, EVENT_VIEWS),
        ["contact"] => of(CONTACT, CONTACT_METHODS),
        ["tenant" | "business"] => of(TENANT, TENANT_METHODS),
        ["call"] => Some(voice::CALL.to_vec()),
        ["appointment" | "next_appointment"] => Some(appointment::names().collect()),
        _ => None,
    }
}

/// A text argument, or what is wrong with it.
pub(in crate::rules) fn text_argument(name: &str, value: &Dynamic) -> Result<String, String> {
    text_of(value).ok_or_else(|| format!("{name} must be text, and this is a {}", kind_of(value)))
}
