//! Conversion of values between JSON and scripts, within limits.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;
use rhai::{Array, Dynamic, Map};
use serde_json::Value;

use crate::domain::Timestamp;
use crate::rules::limits::{DATA_BYTES, DATA_DEPTH, FORMAT_BYTES, READ_CHARS};

/// Converts JSON to a script's value.
pub(in crate::rules) fn to_script(value: &Value) -> Result<Dynamic, String> {
    let mut left = DATA_BYTES * 4;
    convert(value, DATA_DEPTH, &mut left)
}

fn convert(value: &Value, depth: usize, left: &mut usize) -> Result<Dynamic, String> {
    let cost = 8 + value.as_str().map_or(0, str::len);
    *left = left.checked_sub(cost).ok_or("the data is too large to be read by a rule")?;
    let depth = depth.checked_sub(1).ok_or("the data is nested too deeply to be read by a rule")?;
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(yes) => (*yes).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            items.iter().map(|item| convert(item, depth, left)).collect::<Result<Array, _>>()?.into()
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(key, item)| Ok((key.as_str().into(), convert(item, depth, left)?)))
            .collect::<Result<Map, String>>()?
            .into(),
    })
}

/// Converts a script's value to JSON. A moment becomes RFC 3339.
pub(in crate::rules) fn to_json(value: &Dynamic) -> Result<Value, String> {
    let mut left = DATA_BYTES;
    read(value, DATA_DEPTH, &mut left)
}

fn read(value: &Dynamic, depth: usize, left: &mut usize) -> Result<Value, String> {
    let too_large = || format!("the data is larger than {DATA_BYTES} bytes");
    *left = left.checked_sub(4).ok_or_else(too_large)?;
    let depth = depth.checked_sub(1).ok_or("the data is nested too deeply")?;
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(yes) = value.as_bool() {
        return Ok(yes.into());
    }
    if let Ok(whole) = value.as_int() {
        return Ok(whole.into());
    }
    if let Ok(number) = value.as_float() {
        let number = serde_json::Number::from_f64(number).ok_or("NaN and infinity cannot be stored")?;
        return Ok(Value::Number(number));
    }
    if let Some(text) = text_of(value) {
        *left = left.checked_sub(text.len()).ok_or_else(too_large)?;
        return Ok(text.into());
    }
    if let Some(moment) = value.read_lock::<Moment>() {
        return Ok(moment.at.to_string().into());
    }
    if let Ok(items) = value.as_array_ref() {
        return Ok(Value::Array(items.iter().map(|item| read(item, depth, left)).collect::<Result<_, _>>()?));
    }
    if let Ok(entries) = value.as_map_ref() {
        let mut object = serde_json::Map::new();
        for (key, item) in entries.iter() {
            *left = left.checked_sub(key.len()).ok_or_else(too_large)?;
            object.insert(key.to_string(), read(item, depth, left)?);
        }
        return Ok(Value::Object(object));
    }
    Err(format!("a {} cannot be stored", kind_of(value)))
}

/// Shortens a value for the trace.
pub(in crate::rules) fn in_short(value: &Dynamic) -> Value {
    if let Some(text) = text_of(value) {
        return shortened(&text).into();
    }
    if let Ok(items) = value.as_array_ref() {
        return format!("[{} items]", items.len()).into();
    }
    if let Ok(entries) = value.as_map_ref() {
        return format!("#{{{} entries}}", entries.len()).into();
    }
    to_json(value).unwrap_or_else(|_| kind_of(value).into())
}

/// Cuts a text to the length that the trace keeps.
pub(in crate::rules) fn shortened(text: &str) -> String {
    match text.char_indices().nth(READ_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Returns the text of a string or character.
pub(in crate::rules) fn text_of(value: &Dynamic) -> Option<String> {
    if value.is_string() || value.is_char() { Some(value.to_string()) } else { None }
}

/// Names the type of a value in the words of a rule's author.
pub(in crate::rules) fn kind_of(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "nothing: ()",
        "bool" => "true or false",
        "i64" | "f64" => "number",
        "string" | "char" => "text",
        "array" => "array",
        "map" => "map",
        "Fn" => "function",
        name if name.ends_with("Moment") => "time",
        name if name.ends_with("ContactView") => "contact",
        name if name.ends_with("TenantView") => "business",
        name if name.ends_with("EventView") => "event",
        name if name.ends_with("PlannedAction") => "planned action",
        _ => "value of another type",
    }
}

/// An instant as scripts hold it, with the business's time zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::rules) struct Moment {
    pub at: Timestamp,
    pub zone: Tz,
}

impl Moment {
    /// The wall clock of the business.
    pub fn local(&self) -> DateTime<Tz> {
        self.at.to_utc().with_timezone(&self.zone)
    }

    /// Formats with the letters of strftime. A bad format is an error, not a panic.
    pub fn format(&self, format: &str) -> Result<String, String> {
        if format.len() > FORMAT_BYTES {
            return Err(format!("a time format may be {FORMAT_BYTES} bytes long"));
        }
        let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return Err(format!("'{format}' is no time format: use letters such as %d/%m %H:%M"));
        }
        let mut text = String::new();
        use std::fmt::Write as _;
        write!(text, "{}", self.local().format_with_items(items.into_iter()))
            .map_err(|_| format!("'{format}' cannot be used for a date with a time"))?;
        Ok(text)
    }

    /// `mon` to `sun`.
    pub fn weekday(&self) -> String {
        self.local().weekday().to_string().to_lowercase()
    }

    fn minute_of_day(&self) -> u32 {
        let local = self.local();
        local.hour() * 60 + local.minute()
    }

    /// Returns whether the local time of day lies in `[from, to)`. A range such as 22:00 to 06:00 spans midnight.
    pub fn is_between(&self, from: &str, to: &str) -> Result<bool, String> {
        let (from, to, now) = (minutes(from)?, minutes(to)?, self.minute_of_day());
        Ok(if from <= to { (from..to).contains(&now) } else { now >= from || now < to })
    }
}

fn minutes(text: &str) -> Result<u32, String> {
    let parse = || {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
        (hours <= 24 && minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
    };
    parse().ok_or_else(|| format!("'{}' is no time of day: write it as 09:30", shortened(text)))
}
