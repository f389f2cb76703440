//! The settings that a map gives to a function: which there are, and what each holds. The function checks them when it runs,
//! and the loader checks those that are written out.

use rhai::{Array, Dynamic, Map};

use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS};
use crate::rules::script::arguments::{name, state, text, text_within};
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::suggest::did_you_mean;

/// The most hints for speech recognition.
const HINTS_MAX: usize = 100;

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Setting {
    pub name: &'static str,
    pub holds: Holds,
}

impl Setting {
    pub const fn new(name: &'static str, holds: Holds) -> Self {
        Self { name, holds }
    }
}

/// The value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Holds {
    /// A text of at most [`NAME_CHARS`] characters.
    Short,
    /// What the caller hears.
    Spoken,
    /// The URL of a sound.
    Sound,
    /// A whole number within these bounds.
    Whole(i64, i64),
    Flag,
    /// A step with an `.on_input` or `.on_call`.
    Step,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Words that the caller is likely to say.
    Hints,
    /// A map that is kept with the call.
    State,
}

/// Checks all settings of a map. `free` lets other names be.
pub(in crate::rules) fn check(map: &Map, settings: &[Setting], free: bool) -> Result<(), String> {
    map.iter().try_for_each(|(key, value)| check_one(key, Some(value), settings, free))
}

/// Checks one setting; `value` is `None` where only the name is known.
pub(in crate::rules) fn check_one(
    key: &str,
    value: Option<&Dynamic>,
    settings: &[Setting],
    free: bool,
) -> Result<(), String> {
    let Some(setting) = settings.iter().find(|setting| setting.name == key) else {
        if free {
            return value.map_or(Ok(()), |value| name("a step", value).map(drop));
        }
        let names = || settings.iter().map(|setting| setting.name);
        let meant = did_you_mean(key, names()).map_or_else(String::new, |meant| format!(", did you mean '{meant}'?"));
        return Err(format!("there is no '{key}' here{meant}: use {}", names().collect::<Vec<_>>().join(", ")));
    };
    value.map_or(Ok(()), |value| setting.holds.check(key, value))
}

impl Holds {
    fn check(self, key: &str, value: &Dynamic) -> Result<(), String> {
        match self {
            Self::Short => match text_of(value).filter(|text| text.chars().count() <= NAME_CHARS) {
                Some(_) => Ok(()),
                None => Err(format!("{key} is a text of at most {NAME_CHARS} characters")),
            },
            Self::Spoken => text_within(value, SPOKEN_CHARS, "").map(drop).map_err(|why| format!("{key}: {why}")),
            Self::Sound => sound(value).map(drop),
            Self::Whole(least, most) => match value.as_int() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                Ok(_) => Err(format!("{key} must be {least} to {most}")),
                Err(_) => {
                    Err(format!("{key} is a whole number from {least} to {most}, and this is a {}", kind_of(value)))
                }
            },
            Self::Flag => match value.as_bool() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("{key} is true or false, and this is a {}", kind_of(value))),
            },
            Self::Step => name("a step", value).map(drop),
            Self::Word(words) => match text_of(value) {
                Some(word) if words.contains(&word.as_str()) => Ok(()),
                _ => Err(format!("{key} is one of \"{}\"", words.join("\", \""))),
            },
            Self::Hints => hints(value).map(drop),
            Self::State => match state(value)? {
                serde_json::Value::Object(_) => Ok(()),
                _ => Err(format!("{key} is a map such as #{{ order: 7 }}, and this is a {}", kind_of(value))),
            },
        }
    }
}

/// Returns the URL of a sound.
pub(in crate::rules) fn sound(url: &Dynamic) -> Result<String, String> {
    let url = text("the sound's URL", url)?;
    let fits = url.len() <= 2_000 && (url.starts_with("https://") || url.starts_with("http://"));
    if fits { Ok(url) } else { Err("the sound's URL begins with https:// and has at most 2000 letters".to_owned()) }
}

/// Returns hints: one text, or an array of them.
pub(in crate::rules) fn hints(value: &Dynamic) -> Result<Vec<String>, String> {
    let list: Array = match value.as_array_ref() {
        Ok(list) => list.clone(),
        Err(_) => vec![value.clone()],
    };
    if list.len() > HINTS_MAX {
        return Err(format!("hints are at most {HINTS_MAX}"));
    }
    list.iter().map(|hint| name("a hint", hint)).collect()
}
