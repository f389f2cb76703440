//! Reads single properties of a calendar event: text, times, durations.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property};

use crate::domain::Timestamp;
use crate::store::tables::appointments::MINUTES_MAX;
use crate::time::zone::to_instant;

/// The duration from DTEND or DURATION; `None` where neither is present.
pub(super) fn minutes(event: &Component<'_>, starts: Timestamp, zone: Tz) -> Result<Option<u32>, String> {
    let seconds = match (find(event, "DTEND"), find(event, "DURATION")) {
        (Some(end), _) => time_of(end, zone)?.since(starts).as_secs(),
        (None, Some(span)) => seconds(span.val.as_str()).ok_or("its DURATION cannot be read")?,
        (None, None) => return Ok(None),
    };
    let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
    if (1..=MINUTES_MAX).contains(&minutes) {
        return Ok(Some(minutes));
    }
    Err(format!("it lasts {minutes} minutes: an appointment lasts 1 to {MINUTES_MAX}"))
}

/// `PT1H30M`, `P1D`, `P1W` in seconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, String::new());
    for c in text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?.chars() {
        let unit = match c {
            '0'..='9' if number.len() < 6 => {
                number.push(c);
                continue;
            }
            'T' if number.is_empty() => continue,
            'W' => 7 * 86_400,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        total += number.parse::<u64>().ok()? * unit;
        number.clear();
    }
    number.is_empty().then_some(total)
}

pub(super) fn all<'e>(event: &'e Component<'_>, name: &'e str) -> impl Iterator<Item = &'e Property<'e>> {
    event.properties.iter().filter(move |property| property.name.as_str().eq_ignore_ascii_case(name))
}

pub(super) fn find<'e>(event: &'e Component<'_>, name: &'e str) -> Option<&'e Property<'e>> {
    all(event, name).next()
}

/// A property's text, unescaped.
pub(super) fn value(property: &Property<'_>) -> String {
    property.val.clone().unescape_text().as_str().to_owned()
}

/// The first of comma-separated texts, unescaped.
pub(super) fn first_of_list(list: &str) -> String {
    let mut first = String::new();
    let mut chars = list.chars();
    while let Some(c) = chars.next().filter(|c| *c != ',') {
        first.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    first
}

pub(super) fn text_of(event: &Component<'_>, name: &str) -> String {
    find(event, name).map(value).unwrap_or_default()
}

/// The zone that a property names, else `other`.
pub(super) fn zone_of(property: &Property<'_>, other: Tz) -> Result<Tz, String> {
    let named = property.params.iter().find(|param| param.key.as_str().eq_ignore_ascii_case("TZID"));
    match named.and_then(|param| param.val.as_ref()) {
        Some(name) => {
            let name = name.as_str().trim_matches('"');
            name.parse().map_err(|_| format!("its zone '{}' is none of IANA's, such as Europe/Madrid", short(name)))
        }
        None => Ok(other),
    }
}

pub(super) fn time_of(property: &Property<'_>, zone: Tz) -> Result<Timestamp, String> {
    instant(property.val.as_str(), zone_of(property, zone)?)
}

/// `20261201T100000` in local time, or with a `Z` in UTC.
pub(super) fn instant(text: &str, zone: Tz) -> Result<Timestamp, String> {
    let text = text.trim();
    if text.len() == 8 {
        return Err("it is about whole days: an appointment has a time".to_owned());
    }
    match text.strip_suffix(['Z', 'z']) {
        Some(utc) => Ok(DateTime::<Utc>::from_naive_utc_and_offset(local(utc)?, Utc).into()),
        None => Ok(to_instant(local(text)?, zone)),
    }
}

pub(super) fn local(text: &str) -> Result<NaiveDateTime, String> {
    let parsed = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    let known = parsed.filter(|at| (1970..=9_998).contains(&chrono::Datelike::year(at)));
    known.ok_or_else(|| format!("'{}' is no time", short(text)))
}

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
