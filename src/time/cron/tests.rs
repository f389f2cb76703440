//! Tests of schedules: clock changes, days, errors.

use std::collections::BTreeSet;

use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::super::zone::at_minute;
use super::*;

/// The first times after `from`, separated by blanks.
fn check(schedule: &str, zone: Tz, from: &str, expect: &str) {
    let cron: Cron = schedule.parse().unwrap();
    let mut at = Timestamp::parse(from).unwrap();
    for expected in expect.split(' ') {
        at = cron.next_after(at, zone).unwrap();
        assert_eq!(at.to_string(), expected, "{schedule} in {zone}");
    }
}

const MADRID: Tz = Tz::Europe__Madrid;

#[test]
fn chosen_hours_fire_once_whatever_clocks_do() {
    check(
        "30 2 * * *",
        MADRID,
        "2026-03-27T12:00:00Z",
        "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z",
    );
    check("30 2 * * *", MADRID, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z");
    // The same from within the second pass.
    check("30 2 * * *", MADRID, "2026-10-25T01:15:00Z", "2026-10-26T01:30:00Z");
    check(
        "*/20 2,3 * * *",
        MADRID,
        "2026-03-29T00:00:00Z",
        "2026-03-29T01:00:00Z 2026-03-29T01:20:00Z 2026-03-29T01:40:00Z 2026-03-30T00:00:00Z",
    );
    check("0 9 * * MON-FRI", MADRID, "2026-03-27T00:00:00Z", "2026-03-27T08:00:00Z 2026-03-30T07:00:00Z");
}

#[test]
fn every_hour_goes_on_in_real_time() {
    check(
        "30 * * * *",
        MADRID,
        "2026-03-29T00:00:00Z",
        "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z 2026-03-29T02:30:00Z",
    );
    check(
        "30 * * * *",
        MADRID,
        "2026-10-24T23:45:00Z",
        "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-25T02:30:00Z",
    );
    // Half an hour: 02:00 becomes 02:30, and 02:00 comes back to 01:30.
    check("15 * * * *", Tz::Australia__Lord_Howe, "2026-10-03T15:00:00Z", "2026-10-03T16:15:00Z");
    check("45 * * * *", Tz::Australia__Lord_Howe, "2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z 2026-04-04T15:15:00Z");
    check("0 * * * *", MADRID, "2026-03-29T00:00:00.5Z", "2026-03-29T01:00:00Z");
}

#[test]
fn days_are_alternatives_where_both_are_chosen() {
    check(
        "0 0 13 * FRI",
        Tz::UTC,
        "2026-11-06T00:00:00Z",
        "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z 2026-12-04T00:00:00Z 2026-12-11T00:00:00Z 2026-12-13T00:00:00Z",
    );
    check("0 0 */31 * TUE", Tz::UTC, "2026-11-21T00:00:00Z", "2026-12-01T00:00:00Z 2027-06-01T00:00:00Z");
    check(
        "0 0 L * *",
        Tz::UTC,
        "2028-01-15T00:00:00Z",
        "2028-01-31T00:00:00Z 2028-02-29T00:00:00Z 2028-03-31T00:00:00Z",
    );
    check("0 0 15,L 2 *", Tz::UTC, "2027-02-01T00:00:00Z", "2027-02-15T00:00:00Z 2027-02-28T00:00:00Z");
    check("0 12 * * 0", Tz::UTC, "2026-11-21T00:00:00Z", "2026-11-22T12:00:00Z");
    check("0 12 * * 7", Tz::UTC, "2026-11-21T00:00:00Z", "2026-11-22T12:00:00Z");
    check(
        "0 12 * * FRI-SUN",
        Tz::UTC,
        "2026-11-21T00:00:00Z",
        "2026-11-21T12:00:00Z 2026-11-22T12:00:00Z 2026-11-27T12:00:00Z",
    );
    check("5 0 12 * * *", Tz::UTC, "2026-11-21T00:00:00Z", "2026-11-21T12:00:05Z");
}

#[test]
fn leap_days_are_found_and_days_that_never_come_are_refused() {
    check("0 0 29 2 *", Tz::UTC, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z");
    let cron: Cron = "0 0 29 2 *".parse().unwrap();
    assert_eq!(cron.next_after(Timestamp::parse("2096-03-01T00:00:00Z").unwrap(), Tz::UTC), None);
    assert_eq!("0 0 30 2 *".parse::<Cron>(), Err(NotACron::Never));
    assert_eq!("0 0 31 4,6,9,11 *".parse::<Cron>(), Err(NotACron::Never));
}

#[test]
fn errors_name_the_field_and_what_it_takes() {
    for (text, expect) in [
        ("", "this has 0"),
        ("0 9 * *", "this has 4"),
        ("0 0 9 * * * 2026", "this has 7"),
        ("60 9 * * *", "minute: '60' is not understood: write numbers from 0 to 59"),
        ("0 24 * * *", "hour: '24'"),
        ("0 9 0 * *", "day of month: '0' is not understood: write numbers from 1 to 31, or L"),
        ("0 9 * 13 *", "month: '13'"),
        ("0 9 * * LUN", "weekday: 'LUN' is not understood: write numbers from 0 to 7"),
        ("0 9 * * 8", "weekday: '8'"),
        ("0 9 * * 5-1", "weekday: '5-1'"),
        ("0 9 15W * *", "day of month: '15W'"),
        ("0 9 * * 5L", "weekday: '5L'"),
        ("0 9 * * MON#1", "weekday: 'MON#1'"),
        ("*/0 9 * * *", "minute: '*/0'"),
        ("*/60 9 * * *", "minute: '*/60'"),
        ("1,,2 9 * * *", "minute: '1,,2'"),
        ("? 9 * * *", "minute: '?'"),
        ("-1 9 * * *", "minute: '-1'"),
        ("60 * * * * *", "second: '60'"),
    ] {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(error.contains(expect), "{text}: {error}");
    }
    assert_eq!("0 ".repeat(200).parse::<Cron>(), Err(NotACron::Long));
}

proptest! {
    #[test]
    fn each_wall_time_of_chosen_hours_fires_once_and_in_order(
        minute in 0u32..60, first in 0u32..23, more in 0u32..6, zone in proptest::sample::select(&TZ_VARIANTS[..]),
        start_s in 1_767_225_600i64..1_925_000_000, near: bool,
    ) {
        let last = (first + more).min(22);
        let cron: Cron = format!("{minute} {first}-{last} * * *").parse().unwrap();
        let anywhere = Timestamp::from_unix_us(start_s * 1_000_000);
        let day = Duration::from_secs(24 * 3_600);
        let change = near.then(|| next_change(anywhere, anywhere.plus(400 * day), zone)).flatten();
        let from = change.map_or(anywhere, |change| change.minus(2 * day));
        let to = from.plus(4 * day);
        let mut fired = Vec::new();
        let mut at = from;
        while let Some(next) = cron.next_after(at, zone).filter(|next| *next <= to) {
            prop_assert!(next > at, "{next} after {at}");
            fired.push(next);
            at = next;
        }
        // Every local time of the schedule on these days, each at its one instant.
        let dates = (-1..=6).map(|ahead| to_wall(from, zone).date() + chrono::Duration::days(ahead));
        let walls = dates.flat_map(|date| (first..=last).map(move |hour| at_minute(date, (hour * 60 + minute) as u16)));
        let instants: BTreeSet<Timestamp> = walls.map(|wall| to_instant(wall, zone)).collect();
        let expected: Vec<Timestamp> = instants.into_iter().filter(|at| *at > from && *at <= to).collect();
        prop_assert_eq!(fired, expected);
    }
}
