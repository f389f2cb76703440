//! Converts instants to local times and back.

use chrono::{Duration, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::domain::Timestamp;

/// More than the largest offset from UTC of any zone (Manila, 15 h 56 min until 1844), in seconds.
const OFFSET_MAX_S: i64 = 16 * 3_600;

/// The local time at this instant.
pub fn to_wall(at: Timestamp, zone: Tz) -> NaiveDateTime {
    at.to_utc().with_timezone(&zone).naive_local()
}

/// The instant of a local time. Of two (clocks were set back) it is the first; if there is none (clocks were set
/// forward), the first instant after the gap. A later local time is never an earlier instant.
pub fn to_instant(wall: NaiveDateTime, zone: Tz) -> Timestamp {
    if let Some(at) = zone.from_local_datetime(&wall).earliest() {
        return at.with_timezone(&Utc).into();
    }
    // In a gap, the candidates before it show an earlier time and those after it a later one.
    let as_if_utc = wall.and_utc().timestamp();
    let (mut before, mut after) = (as_if_utc - OFFSET_MAX_S, as_if_utc + OFFSET_MAX_S);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if to_wall(second(middle), zone) < wall { before = middle } else { after = middle }
    }
    second(after)
}

/// The first clock change after `from` and not after `to`, if there is one.
///
/// It misses two changes within a day that cancel each other; none has ever occurred.
pub fn next_change(from: Timestamp, to: Timestamp, zone: Tz) -> Option<Timestamp> {
    const STEP_S: i64 = 24 * 3_600;
    let (mut before, end) = (from.unix_us().div_euclid(1_000_000), to.unix_us().div_euclid(1_000_000));
    let offset = offset_s(before, zone);
    while before < end {
        let mut after = (before + STEP_S).min(end);
        if offset_s(after, zone) != offset {
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if offset_s(middle, zone) == offset { before = middle } else { after = middle }
            }
            return Some(second(after));
        }
        before = after;
    }
    None
}

/// The offset from UTC at this instant, in seconds.
pub fn offset_at(at: Timestamp, zone: Tz) -> i64 {
    offset_s(at.unix_us().div_euclid(1_000_000), zone)
}

fn offset_s(unix_s: i64, zone: Tz) -> i64 {
    let utc = second(unix_s).to_utc().naive_utc();
    (zone.from_utc_datetime(&utc).naive_local() - utc).num_seconds()
}

const fn second(unix_s: i64) -> Timestamp {
    Timestamp::from_unix_us(unix_s.saturating_mul(1_000_000))
}

/// The local time at a minute of the day; from 24:00 on it is on the next day.
pub(super) fn at_minute(date: chrono::NaiveDate, minute: u16) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN) + Duration::minutes(i64::from(minute))
}

/// `09:30` as minutes since midnight, at most `24:00`.
pub(super) fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() <= 2 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || minutes.len() != 2 || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 24 * 60).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn check(text: &str, zone: Tz, expect: &str) {
        assert_eq!(to_instant(wall(text), zone).to_string(), expect, "{text} in {zone}");
    }

    #[test]
    fn a_gap_ends_at_its_first_instant_and_of_an_overlap_the_first_counts() {
        check("2026-03-29T01:59:59", Tz::Europe__Madrid, "2026-03-29T00:59:59Z");
        for gap in ["2026-03-29T02:00:00", "2026-03-29T02:30:00", "2026-03-29T02:59:59", "2026-03-29T03:00:00"] {
            check(gap, Tz::Europe__Madrid, "2026-03-29T01:00:00Z");
        }
        check("2026-10-25T02:30:00", Tz::Europe__Madrid, "2026-10-25T00:30:00Z");
        check("2026-10-25T03:00:00", Tz::Europe__Madrid, "2026-10-25T02:00:00Z");
        check("2026-10-04T02:15:00", Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z");
        // Samoa skipped a whole day.
        check("2011-12-30T12:00:00", Tz::Pacific__Apia, "2011-12-30T10:00:00Z");
    }

    #[test]
    fn changes_are_found_to_the_second() {
        let at = |text| Timestamp::parse(text).unwrap();
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z"));
        let first = next_change(from, to, Tz::Europe__Madrid);
        assert_eq!(first, Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(next_change(at("2026-03-29T01:00:00Z"), to, Tz::Europe__Madrid), Some(at("2026-10-25T01:00:00Z")));
        assert_eq!(next_change(from, at("2026-03-29T00:59:59Z"), Tz::Europe__Madrid), None);
        assert_eq!(next_change(from, to, Tz::UTC), None);
    }

    #[test]
    fn times_of_day_are_read_strictly() {
        assert_eq!(minute_of_day("09:30"), Some(570));
        assert_eq!(minute_of_day("9:30"), Some(570));
        assert_eq!(minute_of_day("24:00"), Some(1_440));
        for bad in ["24:01", "9", "09:60", "09:3", "+9:30", "", ":", "-1:00", "09:30:00"] {
            assert_eq!(minute_of_day(bad), None, "{bad}");
        }
    }
}
