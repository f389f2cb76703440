//! Lengths of time: `90s`, `15m` and `4h` are elapsed time; `1d` and `2w` are calendar days.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::Duration as Days;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::zone::{to_instant, to_wall};
use crate::domain::Timestamp;

/// The longest span, five years, in days.
pub const SPAN_DAYS_MAX: u32 = 5 * 365;

/// A length of time, as rules write it: `"90s"`, `"15m"`, `"4h"`, `"1d"`, `"2w"`. In JSON it is that text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    count: u32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
}

/// The text is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no span of time: write a whole number and s, m, h (which elapse), d or w (days and weeks on the wall \
     clock), such as 90s, 15m, 4h, 1d or 2w; at most five years"
)]
pub struct NotASpan(String);

impl Unit {
    const ALL: [(char, Self); 5] =
        [('s', Self::Seconds), ('m', Self::Minutes), ('h', Self::Hours), ('d', Self::Days), ('w', Self::Weeks)];

    const fn seconds(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 24 * 3_600,
            Self::Weeks => 7 * 24 * 3_600,
        }
    }

    const fn of_wall_clock(self) -> bool {
        matches!(self, Self::Days | Self::Weeks)
    }
}

impl Span {
    /// The instant this long after `at`. Days keep the local time in `zone` across clock changes.
    pub fn after(self, at: Timestamp, zone: Tz) -> Timestamp {
        if self.unit.of_wall_clock() {
            to_instant(to_wall(at, zone) + self.days(), zone)
        } else {
            at.plus(self.nominal())
        }
    }

    /// A span of so many hours.
    pub const fn hours(count: u32) -> Self {
        Self { count, unit: Unit::Hours }
    }

    /// The instant this long before `at`; see [`Span::after`].
    pub fn before(self, at: Timestamp, zone: Tz) -> Timestamp {
        if self.unit.of_wall_clock() {
            to_instant(to_wall(at, zone) - self.days(), zone)
        } else {
            at.minus(self.nominal())
        }
    }

    /// The length if a day has 24 hours.
    pub const fn nominal(self) -> Duration {
        Duration::from_secs(self.count as u64 * self.unit.seconds())
    }

    fn days(self) -> Days {
        Days::seconds(self.nominal().as_secs() as i64)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = Unit::ALL.into_iter().find(|(_, unit)| *unit == self.unit).map_or('s', |(letter, _)| letter);
        write!(f, "{}{letter}", self.count)
    }
}

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let parse = || {
            let last = text.chars().next_back()?;
            let (_, unit) = Unit::ALL.into_iter().find(|(letter, _)| *letter == last)?;
            let digits = &text[..text.len() - 1];
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let span = Self { count: digits.parse().ok().filter(|_| plain)?, unit };
            let longest = u64::from(SPAN_DAYS_MAX) * Unit::Days.seconds();
            (u64::from(span.count) * unit.seconds() <= longest).then_some(span)
        };
        parse().ok_or_else(|| NotASpan(text.chars().take(40).collect()))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(span: &str, at: &str) -> String {
        span.parse::<Span>().unwrap().after(Timestamp::parse(at).unwrap(), Tz::Europe__Madrid).to_string()
    }

    #[test]
    fn hours_elapse_and_days_keep_the_time_of_day() {
        // The night from 28 to 29 March 2026 has 23 hours in Madrid.
        assert_eq!(after("24h", "2026-03-28T09:00:00Z"), "2026-03-29T09:00:00Z");
        assert_eq!(after("1d", "2026-03-28T09:00:00Z"), "2026-03-29T08:00:00Z");
        assert_eq!(after("2w", "2026-10-20T08:00:00Z"), "2026-11-03T09:00:00Z");
        assert_eq!(after("90s", "2026-10-20T08:00:00Z"), "2026-10-20T08:01:30Z");
        assert_eq!(after("15m", "2026-10-20T08:00:00Z"), "2026-10-20T08:15:00Z");
        let day: Span = "1d".parse().unwrap();
        let before = day.before(Timestamp::parse("2026-03-29T08:00:00Z").unwrap(), Tz::Europe__Madrid);
        assert_eq!(before.to_string(), "2026-03-28T09:00:00Z");
    }

    #[test]
    fn spans_read_back_and_other_texts_are_refused() {
        for good in ["0s", "90s", "15m", "4h", "1d", "2w", "1825d", "260w"] {
            assert_eq!(good.parse::<Span>().unwrap().to_string(), good);
        }
        for bad in
            ["", "s", "4", "4 h", "+4h", "-1d", "1.5h", "4H", "1826d", "99999999999h", "4294967295w", "4ñ", "1d2h"]
        {
            let error = bad.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("such as 90s, 15m, 4h, 1d or 2w"), "{bad}: {error}");
        }
    }
}
