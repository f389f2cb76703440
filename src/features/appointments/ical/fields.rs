//! Reads single properties of a calendar event: text, times, durations.

use chrono::{NaiveDate, NaiveDateTime};

use super::component::Event;
use super::lines::Property;
use super::zones::{Zone, Zones};
use crate::domain::Timestamp;
use crate::store::tables::appointments::MINUTES_MAX;
use crate::time::recurrence::Budget;

/// The longest part of a text that is read, in characters.
const TEXT_MAX_CHARS: usize = 16 << 10;

/// A date, or a local time and its zone.
#[derive(Clone, Debug)]
pub(super) enum Moment {
    Day(NaiveDate),
    At(NaiveDateTime, Zone),
}

impl Moment {
    /// The instant; the first one of a day in this zone.
    pub fn instant(&self, zone: &Zone) -> Timestamp {
        match self {
            Self::Day(day) => zone.to_instant(day.and_time(chrono::NaiveTime::MIN)),
            Self::At(wall, zone) => zone.to_instant(*wall),
        }
    }
}

/// Reads a time. `zone` is the zone of a local time that names none.
pub(super) fn moment(text: &str, zone: &Zone) -> Result<Moment, String> {
    let text = text.trim();
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        return Ok(Moment::At(local(utc)?, Zone::UTC));
    }
    if text.len() == 8 {
        let day = NaiveDate::parse_from_str(text, "%Y%m%d").map_err(|_| format!("'{}' is no date", short(text)))?;
        return Ok(Moment::Day(day));
    }
    Ok(Moment::At(local(text)?, zone.clone()))
}

/// The zone that a property names, else `other`.
pub(super) fn zone_of(
    property: &Property,
    zones: &mut Zones<'_>,
    other: &Zone,
    budget: &mut Budget,
) -> Result<Zone, String> {
    let is_utc = property.value.trim_end().ends_with(['Z', 'z']);
    match property.param("TZID").filter(|name| !is_utc && !name.is_empty()) {
        Some(name) => zones.named(name, budget),
        None => Ok(other.clone()),
    }
}

/// `20261201T100000`.
pub(super) fn local(text: &str) -> Result<NaiveDateTime, String> {
    let parsed = NaiveDateTime::parse_from_str(&text.to_ascii_uppercase(), "%Y%m%dT%H%M%S").ok();
    let known = parsed.filter(|at| (1..=9_998).contains(&chrono::Datelike::year(at)));
    known.ok_or_else(|| format!("'{}' is no time", short(text)))
}

/// The minutes of a length in seconds. A length of 0 says nothing: the service's length counts.
pub(super) fn minutes(seconds: Option<i64>) -> Result<Option<u32>, String> {
    let Some(seconds) = seconds.filter(|seconds| *seconds != 0) else { return Ok(None) };
    if seconds < 0 {
        return Err("it ends before it starts".to_owned());
    }
    let minutes = (seconds as u64).div_ceil(60);
    match u32::try_from(minutes) {
        Ok(minutes) if minutes <= MINUTES_MAX => Ok(Some(minutes)),
        _ => Err(format!("it lasts {minutes} minutes: an appointment lasts 1 to {MINUTES_MAX}")),
    }
}

/// `PT1H30M`, `P1D`, `P1W` in seconds.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let (mut total, mut number) = (0i64, String::new());
    let text = text.trim().to_ascii_uppercase();
    for c in text.strip_prefix('+').unwrap_or(&text).strip_prefix('P')?.chars() {
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
        total += number.parse::<i64>().ok()? * unit;
        number.clear();
    }
    number.is_empty().then_some(total)
}

pub(super) fn all<'e>(event: &'e Event, name: &'e str) -> impl Iterator<Item = &'e Property> {
    event.properties.iter().filter(move |property| property.name == name)
}

pub(super) fn find<'e>(event: &'e Event, name: &'e str) -> Option<&'e Property> {
    all(event, name).next()
}

/// A property's text, unescaped.
pub(super) fn value(property: &Property) -> String {
    let mut text = String::new();
    let mut chars = property.value.chars().take(TEXT_MAX_CHARS);
    while let Some(c) = chars.next() {
        match if c == '\\' { chars.next() } else { Some(c) } {
            Some('n' | 'N') if c == '\\' => text.push('\n'),
            // PostgreSQL stores no NUL.
            Some('\0') | None => {}
            Some(c) => text.push(c),
        }
    }
    text
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

pub(super) fn text_of(event: &Event, name: &str) -> String {
    find(event, name).map(value).unwrap_or_default()
}

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
