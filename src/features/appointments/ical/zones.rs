//! The time zones of a calendar file: IANA's names, the file's own descriptions (VTIMEZONE), the names of Windows and of
//! vendors, and offsets from UTC.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::fields::{local, short};
use super::lines::Property;
use super::windows::iana_of_windows;
use crate::domain::Timestamp;
use crate::time::recurrence::{Budget, Rule, Until};
use crate::time::zone::offset_at;

/// The earliest clock change that is computed. Programs let their zones begin in 1601.
const FIRST_YEAR: i32 = 1900;
/// The most clock changes of one part of a description.
const CHANGES_MAX: usize = 2_000;
const NAME_MAX_BYTES: usize = 200;

/// A time zone.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Iana(Tz),
    /// An offset from UTC, in seconds.
    Fixed(i64),
    Own(Arc<Clock>),
}

/// The clock of a zone that the file describes.
#[derive(Debug)]
pub(super) struct Clock {
    /// The offset before the first change, in seconds.
    first_s: i64,
    /// Changes, oldest first: seconds since 1970 and the offset from then on.
    changes: Vec<(i64, i64)>,
}

impl Zone {
    pub const UTC: Self = Self::Iana(Tz::UTC);

    fn offset_s(&self, unix_s: i64) -> i64 {
        match self {
            Self::Iana(zone) => offset_at(instant(unix_s), *zone),
            Self::Fixed(offset_s) => *offset_s,
            Self::Own(clock) => {
                let after = clock.changes.partition_point(|(at, _)| *at <= unix_s);
                after.checked_sub(1).map_or(clock.first_s, |last| clock.changes[last].1)
            }
        }
    }

    /// The instant of a local time (RFC 5545, 3.3.5): the first of two, and in a gap the time by the offset before it.
    pub fn to_instant(&self, wall: NaiveDateTime) -> Timestamp {
        const DAY_S: i64 = 86_400;
        let as_if_utc = wall.and_utc().timestamp();
        let before = self.offset_s(as_if_utc - DAY_S);
        let after = self.offset_s(as_if_utc + DAY_S);
        let is_valid = |offset: &i64| self.offset_s(as_if_utc - offset) == *offset;
        let offset = [before, after].into_iter().filter(is_valid).max().unwrap_or(before);
        instant(as_if_utc - offset)
    }

    pub fn to_wall(&self, at: Timestamp) -> NaiveDateTime {
        let unix_s = at.unix_us().div_euclid(1_000_000);
        DateTime::from_timestamp(unix_s + self.offset_s(unix_s), 0).unwrap_or_default().naive_utc()
    }
}

const fn instant(unix_s: i64) -> Timestamp {
    Timestamp::from_unix_us(unix_s.saturating_mul(1_000_000))
}

/// A VTIMEZONE.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub id: String,
    pub observances: Vec<Observance>,
}

/// Standard or daylight time: when it begins, and the offsets before and after.
#[derive(Debug)]
pub(super) struct Observance {
    line: usize,
    pub properties: Vec<Property>,
}

impl Observance {
    pub const fn new(line: usize) -> Self {
        Self { line, properties: Vec::new() }
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|property| property.name == name).map(|property| property.value.trim())
    }

    /// Adds its clock changes until `to`. Gives its offset before the first of them.
    fn changes(&self, to: NaiveDateTime, budget: &mut Budget, changes: &mut Vec<(i64, i64)>) -> Option<(i64, i64)> {
        let start = local(self.find("DTSTART")?).ok()?;
        let (from_s, to_s) = (offset_s(self.find("TZOFFSETFROM")?)?, offset_s(self.find("TZOFFSETTO")?)?);
        let mut begins = vec![start];
        let first = NaiveDate::from_ymd_opt(FIRST_YEAR, 1, 1)?.and_hms_opt(0, 0, 0)?;
        for property in &self.properties {
            match property.name.as_str() {
                "RDATE" => begins.extend(property.value.split(',').filter_map(|text| local(text.trim()).ok())),
                "RRULE" => {
                    let rule = Rule::parse(&property.value).ok()?;
                    let found = rule.between(start, (first, to), CHANGES_MAX, budget).ok()?;
                    let ended = |at: &NaiveDateTime| match rule.until {
                        None => false,
                        Some(Until::Utc(until)) => *at - TimeDelta::seconds(from_s) > until,
                        Some(Until::Local(until)) => *at > until,
                        Some(Until::Day(until)) => at.date() > until,
                    };
                    begins.extend(found.into_iter().filter(|at| !ended(at)));
                }
                _ => {}
            }
        }
        changes.extend(begins.into_iter().take(CHANGES_MAX).map(|wall| (wall.and_utc().timestamp() - from_s, to_s)));
        Some((start.and_utc().timestamp() - from_s, from_s))
    }
}

impl Definition {
    /// The clock until `to`; an error names the part that cannot be read.
    fn clock(&self, to: NaiveDateTime, budget: &mut Budget) -> Result<Clock, String> {
        let (mut changes, mut first) = (Vec::new(), None::<(i64, i64)>);
        for observance in &self.observances {
            let begin = observance.changes(to, budget, &mut changes).ok_or_else(|| {
                format!(
                    "the description of its zone '{}' cannot be read, see line {}",
                    short(&self.id),
                    observance.line
                )
            })?;
            first = Some(first.map_or(begin, |first| first.min(begin)));
        }
        let (_, first_s) =
            first.ok_or_else(|| format!("the description of its zone '{}' is empty", short(&self.id)))?;
        changes.sort_unstable();
        changes.dedup_by_key(|(at, _)| *at);
        Ok(Clock { first_s, changes })
    }
}

/// The zones that the events of a calendar name.
pub(super) struct Zones<'f> {
    definitions: HashMap<&'f str, &'f Definition>,
    resolved: HashMap<String, Result<Zone, String>>,
    /// The zone of times that name none.
    pub default: Zone,
    to: NaiveDateTime,
}

impl<'f> Zones<'f> {
    /// `to` is the last time that is asked for.
    pub fn new(definitions: &'f [Definition], default: Zone, to: Timestamp) -> Self {
        // Of two with the same name the first counts.
        let definitions = definitions.iter().rev().map(|one| (clean(&one.id), one)).collect();
        let to = (to.to_utc() + TimeDelta::days(400)).naive_utc();
        Self { definitions, resolved: HashMap::new(), default, to }
    }

    pub fn named(&mut self, name: &str, budget: &mut Budget) -> Result<Zone, String> {
        if let Some(known) = self.resolved.get(name) {
            return known.clone();
        }
        let zone = self.resolve(name, budget);
        self.resolved.insert(name.to_owned(), zone.clone());
        zone
    }

    /// IANA's zones come before the file's own descriptions, which often hold only the rules of one year.
    fn resolve(&self, name: &str, budget: &mut Budget) -> Result<Zone, String> {
        let name = clean(name);
        if name.len() > NAME_MAX_BYTES {
            return Err(format!("the name of its zone is longer than {NAME_MAX_BYTES} bytes"));
        }
        if let Some(zone) = iana(name) {
            return Ok(Zone::Iana(zone));
        }
        if let Some(definition) = self.definitions.get(name) {
            return Ok(Zone::Own(Arc::new(definition.clock(self.to, budget)?)));
        }
        known(name).ok_or_else(|| {
            format!("its zone '{}' is not known: no description in the file, no name of IANA or Windows", short(name))
        })
    }
}

/// A zone by the name that a program gives it, without a description.
pub(super) fn known(name: &str) -> Option<Zone> {
    let name = clean(name);
    let by_vendor = || {
        // "/freeassociation.sourceforge.net/Europe/Madrid": the longest end that is a zone.
        let ends = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
        ends.into_iter().find_map(|end| iana(end).or_else(|| windows(end)))
    };
    let zone = iana(name).or_else(|| windows(name)).or_else(by_vendor).map(Zone::Iana);
    zone.or_else(|| by_offset(name))
}

fn clean(name: &str) -> &str {
    name.trim().trim_matches(['"', '/'])
}

fn iana(name: &str) -> Option<Tz> {
    let found = name.parse().ok();
    found.or_else(|| TZ_VARIANTS.into_iter().find(|zone| same(zone.name(), name)))
}

/// Compares names; `_` and a space are the same.
fn same(zone: &str, name: &str) -> bool {
    let letter = |byte: u8| if byte == b'_' { b' ' } else { byte.to_ascii_lowercase() };
    zone.len() == name.len() && zone.bytes().zip(name.bytes()).all(|(a, b)| letter(a) == letter(b))
}

fn windows(name: &str) -> Option<Tz> {
    let standard = name.to_ascii_lowercase().replace("daylight time", "standard time");
    iana_of_windows(&standard)?.parse().ok()
}

/// `GMT+0200`, `UTC-3`, `+01:00`, or the way Windows shows a zone: `(UTC+01:00) Brussels, Copenhagen, Madrid, Paris`.
fn by_offset(name: &str) -> Option<Zone> {
    let Some((offset, places)) = name.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
        return offset_name(name).map(Zone::Fixed);
    };
    let offset_s = offset_name(offset)?;
    let place = |place: &str| TZ_VARIANTS.into_iter().find(|zone| is_in(*zone, place, offset_s));
    let american = iana_of_windows(&places.trim().replace(" Time (US & Canada)", " Standard Time"));
    let zone = american.and_then(|name| name.parse().ok()).or_else(|| windows(places.trim()));
    let zone = zone.or_else(|| places.split([',', ':']).map(str::trim).find_map(place));
    Some(zone.map_or(Zone::Fixed(offset_s), Zone::Iana))
}

/// Whether a zone has the name of this place, and this offset in winter or summer.
fn is_in(zone: Tz, place: &str, offset: i64) -> bool {
    // The first of January and of July 2026.
    const HALVES_S: [i64; 2] = [1_767_225_600, 1_782_864_000];
    let city = zone.name().rsplit_once('/').map(|(_, city)| city);
    city.is_some_and(|city| same(city, place)) && HALVES_S.iter().any(|at| offset_at(instant(*at), zone) == offset)
}

/// `GMT+0200`, `UTC-3`, `+01:00`, `UTC`.
fn offset_name(name: &str) -> Option<i64> {
    let upper = name.trim().to_ascii_uppercase();
    let offset = ["GMT", "UTC"].iter().find_map(|prefix| upper.strip_prefix(prefix)).unwrap_or(&upper);
    if offset.is_empty() && !upper.is_empty() { Some(0) } else { offset_s(offset.trim()) }
}

/// An offset such as `+0100`, `-03:30`, `+2` or `+011530`, in seconds; less than a day.
fn offset_s(text: &str) -> Option<i64> {
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix(['-', '\u{2212}'])) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |text| text.parse::<i64>().ok());
    let (hours, minutes, seconds) = match digits.len() {
        1 | 2 => (digits.parse().ok()?, 0, 0),
        4 => (number(0..2)?, number(2..4)?, 0),
        6 => (number(0..2)?, number(2..4)?, number(4..6)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3_600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_the_names_that_programs_give_them() {
        let check = |name: &str, expected: &str| {
            let shown = match known(name) {
                Some(Zone::Iana(zone)) => zone.name().to_owned(),
                Some(Zone::Fixed(offset_s)) => offset_s.to_string(),
                other => format!("{other:?}"),
            };
            assert_eq!(shown, expected, "{name}");
        };
        check("europe/madrid", "Europe/Madrid");
        check("\"America/New York\"", "America/New_York");
        check("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires");
        check("tzone://Microsoft/Utc", "UTC");
        check("Romance Standard Time", "Europe/Paris");
        check("pacific daylight time", "America/Los_Angeles");
        check("(UTC+01:00) Brussels, Copenhagen, Madrid, Paris", "Europe/Brussels");
        check("(GMT-05:00) Eastern Time (US & Canada)", "America/New_York");
        check("(GMT) Greenwich Mean Time : Dublin, Lisbon", "Europe/Dublin");
        check("(UTC+05:30) Nowhere", "19800");
        check("GMT+0200", "7200");
        check("UTC-3", "-10800");
        check("+01:00", "3600");
        check("GMT\u{2212}03:30", "-12600");
        for unknown in ["Mars/Olympus", "Customized Time Zone", "", "GMT+25", "(x) y", "+1234567"] {
            assert!(known(unknown).is_none(), "{unknown}: {:?}", known(unknown));
        }
    }

    #[test]
    fn a_time_in_a_gap_goes_by_the_offset_before_it() {
        let check = |wall: &str, expected: &str| {
            assert_eq!(
                Zone::Iana(Tz::Europe__Madrid).to_instant(wall.parse().unwrap()).to_string(),
                expected,
                "{wall}"
            );
        };
        check("2027-03-28T01:59:59", "2027-03-28T00:59:59Z");
        check("2027-03-28T02:30:00", "2027-03-28T01:30:00Z");
        check("2027-03-28T03:00:00", "2027-03-28T01:00:00Z");
        check("2027-10-31T02:30:00", "2027-10-31T00:30:00Z");
        check("2027-10-31T03:00:00", "2027-10-31T02:00:00Z");
    }
}
