//! Cron schedules in the local time of a zone.
//!
//! The crate `cron` walks the fields in local time as if it were UTC. This module maps local times to instants:
//!
//! - **Chosen hours** (`0 9 * * *`, `*/10 8-20 * * *`): each local time fires once. A time in a gap (clocks set forward) fires at the first instant after the gap; a time that occurs twice fires at the first. Several times in one gap fire once.
//! - **Every hour** (`30 * * * *`): real time counts. In an hour that occurs twice both fire, and a gap adds nothing.
//!
//! If both day of month and weekday are chosen (neither begins with `*`), either is enough, as in crontab(5); else both
//! must match.
//!
//! `tests/it/judges/croner.rs` compares this with `croner` 4 over every zone and clock change of 2026 to 2030, and
//! lists the differences.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveTime, Timelike, Utc};
use chrono_tz::Tz;
use cron::Schedule;

use super::zone::{next_change, offset_at, to_instant, to_wall};
use crate::domain::Timestamp;

/// How far ahead the next time is searched: 29 February occurs at least once within it, except around 2100.
pub const LOOK_AHEAD_DAYS: u64 = 8 * 366;
/// The longest expression.
pub const EXPRESSION_MAX_BYTES: usize = 200;

/// A schedule of five fields: minute, hour, day of month, month, weekday; or of six, with seconds first.
#[derive(Clone)]
pub struct Cron {
    text: String,
    pub(super) fields: Fields,
    /// The schedule's next time is the first of theirs.
    walks: Vec<Walk>,
}

/// The values that each field allows, one bit per value.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub seconds: u64,
    pub minutes: u64,
    pub hours: u64,
    pub days: u64,
    /// `L`: the last day of the month.
    pub last_day: bool,
    pub months: u64,
    /// Sunday is 0.
    pub weekdays: u64,
    /// Day of month or weekday is enough.
    pub either: bool,
}

#[derive(Clone)]
struct Walk {
    schedule: Schedule,
    /// Only the last day of a month counts.
    last_day: bool,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACron {
    #[error(
        "a schedule has five fields, minute, hour, day of month, month, weekday, such as '0 9 * * MON-FRI', or six with \
         seconds first; this has {0}"
    )]
    Count(usize),
    #[error("a schedule has at most {EXPRESSION_MAX_BYTES} characters")]
    Long,
    #[error("{field}: '{text}' is not understood: write {expected}, lists (1,2), ranges (1-5), steps (*/2) or *")]
    Field { field: &'static str, text: String, expected: &'static str },
    #[error("no year has such a day: the schedule would never fire")]
    Never,
}

/// A field: its name, its values, and what it accepts.
struct Kind {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
    expected: &'static str,
}

const SECOND: Kind = Kind { name: "second", min: 0, max: 59, names: &[], expected: "numbers from 0 to 59" };
const MINUTE: Kind = Kind { name: "minute", ..SECOND };
const HOUR: Kind = Kind { name: "hour", min: 0, max: 23, names: &[], expected: "numbers from 0 to 23" };
const DAY: Kind =
    Kind { name: "day of month", min: 1, max: 31, names: &[], expected: "numbers from 1 to 31, or L for the last day" };
const MONTH: Kind = Kind {
    name: "month",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    expected: "numbers from 1 to 12, or JAN to DEC",
};
const WEEKDAY: Kind = Kind {
    name: "weekday",
    min: 0,
    max: 7,
    names: WEEKDAYS,
    expected: "numbers from 0 to 7 (0 and 7 are Sunday), or SUN to SAT",
};
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The names that crontab defines.
const NAMED: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const ALL_HOURS: u64 = (1 << 24) - 1;

impl Cron {
    /// The first instant after `at` at which the schedule fires; `None` if there is none within eight years, or from
    /// 2100 on.
    pub fn next_after(&self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        if self.fields.hours == ALL_HOURS { self.next_elapsed(at, zone) } else { self.next_on_wall(at, zone) }
    }

    /// Each local time once.
    fn next_on_wall(&self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let mut wall = to_wall(at, zone).and_utc();
        let until = wall.checked_add_days(Days::new(LOOK_AHEAD_DAYS))?;
        loop {
            // After clocks were set back, local times of the first pass do not fire again.
            wall = self.next_wall(wall).filter(|wall| *wall <= until)?;
            let instant = to_instant(wall.naive_utc(), zone);
            if instant > at {
                return Some(instant);
            }
        }
    }

    /// Each instant whose local time matches.
    fn next_elapsed(&self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        const SECOND: Duration = Duration::from_secs(1);
        let until = at.plus(Duration::from_secs(LOOK_AHEAD_DAYS * 24 * 3_600));
        // The first whole second after `at`.
        let mut from = Timestamp::from_unix_us(at.unix_us().div_euclid(1_000_000) * 1_000_000).plus(SECOND);
        loop {
            // Until the next clock change, local time runs like UTC.
            let ahead_us = offset_at(from, zone) * 1_000_000;
            let wall = Timestamp::from_unix_us(from.unix_us() + ahead_us).minus(SECOND).to_utc();
            let instant = Timestamp::from_unix_us(Timestamp::from(self.next_wall(wall)?).unix_us() - ahead_us);
            let instant = Some(instant).filter(|instant| *instant <= until)?;
            match next_change(from, instant, zone) {
                None => return Some(instant),
                Some(change) => from = change,
            }
        }
    }

    /// The first local time after this one, computed as if it were UTC.
    fn next_wall(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = after.with_nanosecond(0).unwrap_or(after);
        self.walks.iter().filter_map(|walk| walk.next(after)).min()
    }
}

impl Walk {
    fn next(&self, mut after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            let wall = self.schedule.after(&after).next()?;
            let tomorrow = wall.date_naive().succ_opt()?;
            if !self.last_day || tomorrow.day() == 1 {
                return Some(wall);
            }
            after = tomorrow.and_time(NaiveTime::MIN).and_utc() - chrono::Duration::seconds(1);
        }
    }
}

impl FromStr for Cron {
    type Err = NotACron;

    fn from_str(text: &str) -> Result<Self, NotACron> {
        if text.len() > EXPRESSION_MAX_BYTES {
            return Err(NotACron::Long);
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let written =
            NAMED.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map_or(text.as_str(), |(_, it)| it);
        let parts: Vec<&str> = written.split(' ').filter(|part| !part.is_empty()).collect();
        let (second, rest) = match parts.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (*second, rest),
            rest if rest.len() == 5 => ("0", rest),
            other => return Err(NotACron::Count(other.len())),
        };
        let (day, weekday) = (rest[2].to_uppercase(), rest[4]);
        let day_parts: Vec<&str> = day.split(',').filter(|part| *part != "L").collect();
        let last_day = day_parts.len() < day.split(',').count();
        let days = if day_parts.is_empty() { 0 } else { values(&DAY, &day_parts.join(","))? };
        let any = |field: &str| field.starts_with(['*', '?']);
        let weekdays = values(&WEEKDAY, weekday)?;
        let fields = Fields {
            seconds: values(&SECOND, second)?,
            minutes: values(&MINUTE, rest[0])?,
            hours: values(&HOUR, rest[1])?,
            days,
            last_day,
            months: values(&MONTH, rest[3])?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either: !any(&day) && !any(weekday),
        };
        let walks = fields.walks()?;
        Ok(Self { text, fields, walks })
    }
}

impl Fields {
    const ALL_DAYS: u64 = 0xffff_fffe;
    const ALL_WEEKDAYS: u64 = 0x7f;
    /// The days that can be the last of a month.
    const LAST_DAYS: u64 = 0b1111 << 28;

    fn walks(self) -> Result<Vec<Walk>, NotACron> {
        let weekdays = if self.either { Self::ALL_WEEKDAYS } else { self.weekdays };
        let mut walks = Vec::new();
        if self.days > 0 && self.exists() {
            walks.push(self.walk(self.days, weekdays, false)?);
        }
        if self.last_day {
            walks.push(self.walk(Self::LAST_DAYS, weekdays, true)?);
        }
        if self.either {
            walks.push(self.walk(Self::ALL_DAYS, self.weekdays, false)?);
        }
        if walks.is_empty() { Err(NotACron::Never) } else { Ok(walks) }
    }

    /// True if some month has one of the days.
    fn exists(self) -> bool {
        const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1u32..)
            .zip(LENGTHS)
            .any(|(month, length)| self.months & (1 << month) > 0 && self.days.trailing_zeros() <= length)
    }

    /// Writes the schedule for the crate, which counts weekdays from 1. Names are unambiguous, so weekdays are written
    /// by name.
    fn walk(self, days: u64, weekdays: u64, last_day: bool) -> Result<Walk, NotACron> {
        let list = |bits: u64| ones(bits).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        let named: Vec<&str> = ones(weekdays).map(|day| WEEKDAYS[day as usize]).collect();
        let (seconds, minutes, hours) = (list(self.seconds), list(self.minutes), list(self.hours));
        let (days, months) = (list(days), list(self.months));
        let weekdays = if weekdays == Self::ALL_WEEKDAYS { "*".to_owned() } else { named.join(",") };
        let text = format!("{seconds} {minutes} {hours} {days} {months} {weekdays}");
        let schedule = text.parse().map_err(|_| NotACron::Never)?;
        Ok(Walk { schedule, last_day })
    }
}

/// The values that a field allows, as bits.
fn values(kind: &Kind, field: &str) -> Result<u64, NotACron> {
    let wrong =
        || NotACron::Field { field: kind.name, text: field.chars().take(40).collect(), expected: kind.expected };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, number(step).filter(|step| (1..=kind.max).contains(step)).ok_or_else(wrong)?)
            }
            None => (part, 1),
        };
        let (first, last) = match range {
            "*" => (kind.min, kind.last()),
            "?" if kind.name == DAY.name || kind.name == WEEKDAY.name => (kind.min, kind.last()),
            _ => match range.split_once('-') {
                Some((first, last)) => {
                    let first = kind.value(first).ok_or_else(wrong)?;
                    let last = kind.value(last).ok_or_else(wrong)?;
                    // A range may end with Sunday.
                    (first, if last == 0 && first > 0 && kind.max == 7 { 7 } else { last })
                }
                None => {
                    let first = kind.value(range).ok_or_else(wrong)?;
                    (first, if part.contains('/') { kind.last() } else { first })
                }
            },
        };
        if first > last {
            return Err(wrong());
        }
        (first..=last).step_by(step as usize).for_each(|value| bits |= 1u64 << value);
    }
    Ok(bits)
}

impl Kind {
    /// The last value of `*`. A week has seven days, although Sunday has two numbers.
    const fn last(&self) -> u32 {
        if self.max == 7 { 6 } else { self.max }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        match named {
            Some(place) => Some(place as u32 + self.min),
            None => number(text).filter(|value| (self.min..=self.max).contains(value)),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// The positions of the bits that are set.
pub(super) fn ones(bits: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |place| bits & (1 << place) > 0)
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

#[cfg(test)]
mod tests;
