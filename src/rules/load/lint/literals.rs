//! Checks of arguments that are written out, and so wrong each time.

use std::collections::BTreeSet;

use rhai::{Dynamic, Expr, FnCallExpr, Ident, ImmutableString, Map};

use crate::domain::{EmailAddress, Phone};
use crate::integrations::email::template::Templates;
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::load::error::SourcePosition;
use crate::rules::script::arguments::text_within;
use crate::rules::script::functions::http_request;
use crate::rules::script::functions::in_call::enqueue::queue_name;
use crate::rules::script::functions::in_call::step::{SECONDS_MAX, within};
use crate::rules::script::functions::send_email::STAFF;
use crate::rules::script::registry::{Function, Group, Kind};
use crate::rules::script::settings::{check_one, sound};
use crate::rules::suggest::did_you_mean;
use crate::time::Span;

/// A fault's position, its text and a hint.
type Fault = (SourcePosition, String, String);

/// Returns the faults of a call's literal arguments. Methods of a rule check theirs themselves, while the file is loaded.
pub(super) fn faults(function: &Function, call: &FnCallExpr, templates: &Templates) -> Vec<Fault> {
    if function.group == Group::Rule {
        return Vec::new();
    }
    let one = |(index, argument)| literal_fault(function.name, function.kind_at(index)?, argument);
    let mut faults: Vec<Fault> = call.args.iter().enumerate().filter_map(one).collect();
    for (index, argument) in call.args.iter().enumerate() {
        faults.extend(settings_faults(function, index, call.args.len(), argument));
    }
    if function.kind_at(0) == Some(Kind::EmailRecipient) {
        faults.extend(template_fault(call, templates));
    }
    faults
}

fn literal_fault(function: &str, kind: Kind, argument: &Expr) -> Option<Fault> {
    let fault = |at: &rhai::Position, message: String, hint: &str| {
        Some(((*at).into(), format!("{function}: {message}"), hint.to_owned()))
    };
    match (kind, argument) {
        (Kind::EmailRecipient, Expr::StringConstant(address, at)) if address.as_str() != STAFF => {
            let error = EmailAddress::parse(address).err()?;
            fault(at, error.to_string(), "use e.contact, \"staff\" or an address")
        }
        (Kind::Recipient | Kind::Callee, Expr::StringConstant(number, at)) => {
            let error = Phone::parse_human(number, None).err()?;
            fault(at, error.to_string(), "use e.contact, or a whole number")
        }
        (Kind::Span, Expr::StringConstant(span, at)) => {
            let error = span.parse::<Span>().err()?;
            fault(at, error.to_string(), "write it as \"2h\" or \"1d\"")
        }
        (Kind::Request, map) => {
            let (url, at) = literal_url(map)?;
            let why = http_request::bad_url(&url)?;
            let hint = "write it out, as in https://example.com/hook".to_owned();
            Some((at, format!("{function}: {why}"), hint))
        }
        (Kind::Spoken, Expr::StringConstant(text, at)) => {
            let error = text_within(&text.clone().into(), SPOKEN_CHARS, "").err()?;
            fault(at, error, "write what the caller hears")
        }
        (Kind::Sound, Expr::StringConstant(url, at)) => {
            let error = sound(&url.clone().into()).err()?;
            fault(at, error, "write it out, as in https://example.com/welcome.mp3")
        }
        (Kind::Queue, Expr::StringConstant(name, at)) => {
            let error = queue_name(&name.clone().into()).err()?;
            fault(at, error, "write a short name such as \"front desk\"")
        }
        (Kind::Seconds, Expr::IntegerConstant(seconds, at)) => {
            let error = within("the pause", *seconds, SECONDS_MAX).err()?;
            fault(at, error, "write the seconds, such as 2")
        }
        (Kind::Word(words), Expr::StringConstant(word, at)) if !words.contains(&word.as_str()) => {
            fault(at, format!("'{word}' is not known here"), &format!("use \"{}\"", words.join("\" or \"")))
        }
        (
            Kind::Text | Kind::Spoken,
            Expr::IntegerConstant(_, at) | Expr::FloatConstant(_, at) | Expr::BoolConstant(_, at),
        ) => Some(((*at).into(), format!("{function} takes a text"), "write it in quotes: \"…\"".to_owned())),
        _ => None,
    }
}

/// The entries of a map that is written out: their names, their values as far as they are, and their positions.
pub(super) fn entries(map: &Expr) -> Option<Vec<(String, Option<Dynamic>, SourcePosition)>> {
    match map {
        Expr::Map(entries, _) => {
            let entry = |(name, value): &(Ident, Expr)| {
                (name.name.to_string(), value.get_literal_value(None), SourcePosition::from(name.pos))
            };
            Some(entries.0.iter().map(entry).collect())
        }
        Expr::DynamicConstant(value, at) => {
            let map = value.read_lock::<Map>()?;
            Some(map.iter().map(|(name, value)| (name.to_string(), Some(value.clone()), (*at).into())).collect())
        }
        _ => None,
    }
}

/// Returns the faults of a map of settings.
fn settings_faults(function: &Function, index: usize, count: usize, argument: &Expr) -> Vec<Fault> {
    let fault = |at: SourcePosition, why: String| {
        (at, format!("{}: {why}", function.name), "see 'recado reference'".to_owned())
    };
    let mut kinds = function.kinds_in_call(index, count).peekable();
    let of_settings = |kind: Kind| match kind {
        Kind::Settings(settings) => Some((settings, false)),
        Kind::Choices(settings) => Some((settings, true)),
        _ => None,
    };
    let Some(entries) = entries(argument) else {
        let constant =
            matches!(argument, Expr::StringConstant(..) | Expr::IntegerConstant(..) | Expr::BoolConstant(..));
        let only_map = kinds.peek().is_some() && kinds.all(|kind| of_settings(kind).is_some());
        let why = "it takes a map such as #{ say: \"…\" } here".to_owned();
        return if constant && only_map { vec![fault(argument.position().into(), why)] } else { Vec::new() };
    };
    let Some((settings, choices)) = kinds.find_map(of_settings) else { return Vec::new() };
    let wrong = |(name, value, at): &(String, Option<Dynamic>, SourcePosition)| {
        Some(fault(*at, check_one(name, value.as_ref(), settings, choices).err()?))
    };
    let mut faults: Vec<Fault> = entries.iter().filter_map(wrong).collect();
    if choices && entries.iter().all(|(name, ..)| settings.iter().any(|setting| setting.name == name)) {
        let why = "a menu has choices, each with the step that it leads to, such as \"1\": \"book\"".to_owned();
        faults.push(fault(argument.position().into(), why));
    }
    faults
}

/// Returns what is wrong with a template and its values if both are literal.
fn template_fault(call: &FnCallExpr, templates: &Templates) -> Option<Fault> {
    let [_, Expr::StringConstant(name, at), values] = call.args.as_slice() else { return None };
    let given: BTreeSet<String> = match values {
        Expr::Map(map, _) => map.0.iter().map(|(key, _)| key.name.to_string()).collect(),
        Expr::DynamicConstant(map, _) => map.read_lock::<Map>()?.keys().map(ToString::to_string).collect(),
        _ => return None,
    };
    let at = SourcePosition::from(*at);
    let Some(needed) = templates.values(name) else {
        let hint = did_you_mean(name, templates.names())
            .map_or_else(|| format!("write templates/{name}.txt"), |meant| format!("did you mean '{meant}'?"));
        return Some((at, format!("send_email: there is no template '{name}'"), hint));
    };
    let missing = needed.iter().find(|value| !given.contains(**value));
    let spare = given.iter().find(|value| !needed.contains(value.as_str()));
    let hint =
        |known: Vec<&str>| format!("it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") });
    match (missing, spare) {
        (Some(value), _) => Some((
            at,
            format!("send_email: the template '{name}' needs the value '{value}'"),
            format!("add {value}: … to the map"),
        )),
        (None, Some(value)) => {
            let known = needed.iter().copied().collect();
            Some((at, format!("send_email: the template '{name}' has no {{{{{value}}}}}"), hint(known)))
        }
        (None, None) => None,
    }
}

/// Returns the literal `url` of a literal map.
fn literal_url(map: &Expr) -> Option<(ImmutableString, SourcePosition)> {
    match map {
        Expr::Map(entries, _) => entries.0.iter().find_map(|(name, value)| match value {
            Expr::StringConstant(url, at) if name.as_str() == "url" => Some((url.clone(), (*at).into())),
            _ => None,
        }),
        Expr::DynamicConstant(value, at) => {
            let url = value.read_lock::<Map>()?.get("url")?.clone();
            Some((url.try_cast::<ImmutableString>()?, (*at).into()))
        }
        _ => None,
    }
}
