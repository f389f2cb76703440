//! Time zones of phone numbers, by prefix, from Google's data.

use chrono_tz::Tz;

use crate::domain::Phone;

/// One line per prefix, without the `+`, with its zones, sorted. It is searched as text, because a map of it would cost
/// more memory than everything else in an idle process. `tests/judge/phone_zones.py` generates it.
pub const TABLE: &str = include_str!("phone_zones.txt");

/// The zones that a number may be in, by its longest known prefix; empty if none is known.
pub fn zones(phone: &Phone) -> Vec<Tz> {
    let digits = phone.as_str().trim_start_matches('+');
    let found = (1..=digits.len()).rev().find_map(|length| line_of(&digits[..length]));
    let mut zones: Vec<Tz> = found.unwrap_or_default().split(' ').filter_map(|name| name.parse().ok()).collect();
    zones.dedup();
    zones
}

/// The line of exactly this prefix.
fn line_of(prefix: &str) -> Option<&'static str> {
    let (mut from, mut to) = (0, TABLE.len());
    while from < to {
        // The line around the middle.
        let middle = from + (to - from) / 2;
        let start = TABLE[from..middle].rfind('\n').map_or(from, |at| from + at + 1);
        let end = TABLE[middle..to].find('\n').map_or(to, |at| middle + at);
        let (known, zones) = TABLE[start..end].split_once(' ')?;
        match known.cmp(prefix) {
            std::cmp::Ordering::Equal => return Some(zones),
            std::cmp::Ordering::Less => from = (end + 1).min(to),
            std::cmp::Ordering::Greater => to = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phone: &str, expect: &[Tz]) {
        assert_eq!(zones(&Phone::parse(phone).unwrap()), expect, "{phone}");
    }

    #[test]
    fn the_longest_prefix_decides() {
        check("+34600111222", &[Tz::Europe__Madrid]);
        check("+34922111222", &[Tz::Atlantic__Canary]);
        check("+34100111222", &[Tz::Atlantic__Canary, Tz::Europe__Madrid]);
        check("+12125550100", &[Tz::America__New_York]);
        check("+13105550100", &[Tz::America__Los_Angeles]);
        check("+442071234567", &[Tz::Europe__London]);
        check("+99912345678", &[]);
    }

    #[test]
    fn every_line_is_found_and_names_zones_that_exist() {
        let mut before = "";
        for line in TABLE.lines() {
            let (prefix, names) = line.split_once(' ').unwrap();
            assert!(before < prefix, "{prefix} is in its place");
            assert_eq!(line_of(prefix), Some(names), "{prefix}");
            assert!(names.split(' ').all(|name| name.parse::<Tz>().is_ok()), "{line}");
            before = prefix;
        }
        assert_eq!((line_of("0"), line_of("99999")), (None, None));
    }
}
