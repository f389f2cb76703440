//! Functions that rules may call anywhere: words, numbers, times.

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext, Position};

use crate::domain::Timestamp;
use crate::domain::fold::fold;
use crate::rules::script::context;
use crate::rules::script::context::{ScriptError, error};
use crate::rules::script::values::{Moment, kind_of, shortened, text_of};

/// What the language has but rules may not use, with what to do instead. A decision must be repeatable and quick.
pub(in crate::rules) const FORBIDDEN: &[(&str, &str)] = &[
    ("sleep", "a rule decides at once and never waits"),
    ("exit", "use return"),
    ("timestamp", "use e.now"),
    ("parse_json", "the event's data is already parsed: use e.data"),
    ("blob", "use text or arrays"),
    ("to_blob", "use text or arrays"),
    ("get_fn_metadata_list", "it is of no use in a rule"),
    ("set_tag", "use tag(name) inside .then(|e| …)"),
];

pub(in crate::rules) fn register(engine: &mut Engine, string_bytes: usize) {
    register_words(engine);
    register_times(engine);
    register_replace(engine, string_bytes);
    register_fill(engine, string_bytes);
    for (name, instead) in FORBIDDEN {
        let refuse = move |ctx: NativeCallContext<'_>| -> Result<Dynamic, ScriptError> {
            Err(error(format!("{name} is not available in rules: {instead}"), ctx.call_position()))
        };
        engine.register_fn(*name, refuse);
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: Dynamic| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: i64| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: f64| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: &str| refuse(ctx));
    }
}

fn register_words(engine: &mut Engine) {
    engine.register_fn("fold", |text: &str| fold(text));
    engine.register_fn("contains_any", |text: &str, words: Array| -> Result<bool, ScriptError> {
        let text = format!(" {} ", spaced(text));
        for word in &words {
            let word = text_of(word).ok_or_else(|| {
                error(format!("contains_any: its words must be text, and one is a {}", kind_of(word)), Position::NONE)
            })?;
            let word = spaced(&word);
            if !word.is_empty() && text.contains(&format!(" {word} ")) {
                return Ok(true);
            }
        }
        Ok(false)
    });
    engine.register_fn("number", |text: &str| number(text));
    engine.register_fn("pick", |language: &str, texts: Map| -> Result<Dynamic, ScriptError> {
        let short = language.split(['-', '_']).next().unwrap_or(language).to_lowercase();
        let found = texts.get(language).or_else(|| texts.get(short.as_str()));
        found.or_else(|| texts.get("en")).or_else(|| texts.values().next()).cloned().ok_or_else(|| {
            error("pick: give at least one text, such as #{ en: \"Hello\", es: \"Hola\" }", Position::NONE)
        })
    });
}

/// Folded, with everything but letters and digits as blanks, so that whole words can be looked for.
fn spaced(text: &str) -> String {
    let bare: String = fold(text).chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    fold(&bare)
}

/// The first number in a text, whole or with a point or comma; `()` where there is none.
fn number(text: &str) -> Dynamic {
    let Some(start) = text.find(|c: char| c.is_ascii_digit()) else { return Dynamic::UNIT };
    let negative = text[..start].ends_with('-');
    let digits = &text[start..];
    let mut pointed = false;
    let mut end = 0;
    for (at, letter) in digits.char_indices() {
        let point =
            matches!(letter, '.' | ',') && !pointed && digits[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        if !letter.is_ascii_digit() && !point {
            break;
        }
        pointed |= point;
        end = at + 1;
    }
    let plain = digits[..end].replace(',', ".");
    let sign = if negative { "-" } else { "" };
    let signed = format!("{sign}{plain}");
    match signed.parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => signed.parse::<f64>().map_or(Dynamic::UNIT, Dynamic::from),
    }
}

fn register_times(engine: &mut Engine) {
    engine.register_type_with_name::<Moment>("Moment");
    engine.register_fn("local", |moment: Moment, format: &str| at_none(moment.format(format)));
    engine.register_fn("local", |ctx: NativeCallContext<'_>, text: &str, format: &str| {
        at_none(parse(&ctx, text).and_then(|moment| moment.format(format)))
    });
    engine.register_fn("time", |ctx: NativeCallContext<'_>, text: &str| at_none(parse(&ctx, text)));
    engine.register_get("hour", |moment: &mut Moment| i64::from(chrono::Timelike::hour(&moment.local())));
    engine.register_get("minute", |moment: &mut Moment| i64::from(chrono::Timelike::minute(&moment.local())));
    engine.register_get("weekday", |moment: &mut Moment| moment.weekday());
    engine.register_get("date", |moment: &mut Moment| moment.local().format("%Y-%m-%d").to_string());
    engine.register_fn("is_between", |moment: &mut Moment, from: &str, to: &str| at_none(moment.is_between(from, to)));
    engine.register_fn("to_string", |moment: &mut Moment| moment.at.to_string());
    engine.register_fn("to_debug", |moment: &mut Moment| moment.at.to_string());
    engine.register_fn("hours_since", |moment: Moment, earlier: Moment| seconds(moment, earlier) / 3_600);
    engine.register_fn("days_since", |moment: Moment, earlier: Moment| seconds(moment, earlier) / 86_400);
    engine.register_fn("-", seconds);
    engine.register_fn("<", |a: Moment, b: Moment| a.at < b.at);
    engine.register_fn("<=", |a: Moment, b: Moment| a.at <= b.at);
    engine.register_fn(">", |a: Moment, b: Moment| a.at > b.at);
    engine.register_fn(">=", |a: Moment, b: Moment| a.at >= b.at);
    engine.register_fn("==", |a: Moment, b: Moment| a.at == b.at);
    engine.register_fn("!=", |a: Moment, b: Moment| a.at != b.at);
}

const fn seconds(moment: Moment, earlier: Moment) -> i64 {
    moment.at.unix_us().saturating_sub(earlier.at.unix_us()) / 1_000_000
}

fn parse(context: &NativeCallContext<'_>, text: &str) -> Result<Moment, String> {
    let call = context::of(context).ok_or("a time can be read inside .when and .then only")?;
    Timestamp::parse(text)
        .map(|at| call.moment(at))
        .map_err(|_| format!("'{}' is no time: write it as 2026-11-21T08:00:00Z", shortened(text)))
}

fn at_none<T>(result: Result<T, String>) -> Result<T, ScriptError> {
    result.map_err(|message| error(message, Position::NONE))
}

/// `fill("See you at {time}.", #{ time: "10:00" })`: a business's own text with what is known. What a value says is not
/// read again; a name that is not given stays as it stands.
fn register_fill(engine: &mut Engine, string_bytes: usize) {
    engine.register_fn("fill", move |text: &str, values: Map| -> Result<String, ScriptError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let named = after.split_once('}').and_then(|(name, after)| Some((text_of(values.get(name)?)?, after)));
            rest = match named {
                Some((value, after)) => {
                    filled.push_str(&value);
                    after
                }
                None => {
                    filled.push('{');
                    after
                }
            };
            if filled.len() + rest.len() > string_bytes {
                return Err(
                    rhai::EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into()
                );
            }
        }
        filled.push_str(rest);
        Ok(filled)
    });
}

/// The language's own `replace` builds its result before its size is checked; these know the size first.
fn register_replace(engine: &mut Engine, string_bytes: usize) {
    let replace = move |text: &mut ImmutableString, find: &str, with: &str| -> Result<(), ScriptError> {
        if find.is_empty() {
            return Err(error("replace: there must be something to look for", Position::NONE));
        }
        let size = text.len() + text.matches(find).count() * with.len();
        if size > string_bytes {
            return Err(rhai::EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into());
        }
        *text = text.replace(find, with).into();
        Ok(())
    };
    engine.register_fn("replace", replace);
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: char| {
        replace(text, find, with.encode_utf8(&mut [0; 4]))
    });
}
