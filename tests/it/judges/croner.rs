//! Schedules against `croner`: every IANA zone, all clock changes from 2026 to 2030.
//!
//! The two differ only in the choices of `time::cron`:
//!
//! - *over midnight*: clocks go forward over midnight and skip a time of a weekly or monthly schedule. Ours fires at
//!   the first instant after the gap, on the next day; croner skips it.
//! - *comes twice*: a schedule with several times in given hours (`*/30 1-3 * * *`), and clocks go back. Ours fires
//!   each wall time once, croner each time it comes.
//! - *in a gap*: the same schedule, and clocks go forward. Ours fires once, at the first instant after the gap; croner
//!   skips the times in the gap.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use recado::domain::Timestamp;
use recado::time::Cron;
use recado::time::zone::{next_change, offset_at, to_instant, to_wall};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The clock of a zone from 2026 to 2030: its first offset, and its changes with their new offsets.
type Clocks = (i64, Vec<(Timestamp, i64)>);

fn clocks(zone: Tz) -> Clocks {
    let from = at("2025-12-31T00:00:00Z");
    let (mut changes, mut last) = (Vec::new(), from);
    while let Some(change) = next_change(last, at("2031-01-02T00:00:00Z"), zone) {
        changes.push((change, offset_at(change, zone)));
        last = change;
    }
    (offset_at(from, zone), changes)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a constant")
}

#[derive(Default)]
struct Tally {
    compared: usize,
    by_kind: BTreeMap<&'static str, usize>,
    unexpected: Vec<String>,
}

impl Tally {
    /// Compares one schedule from `from` to `to`.
    fn compare(&mut self, schedule: &str, zone: Tz, from: Timestamp, to: Timestamp) {
        let ours = ours(schedule, zone, from, to);
        let theirs = theirs(schedule, zone, from, to);
        self.compared += ours.len();
        let several = schedule.contains('/');
        for instant in ours.symmetric_difference(&theirs) {
            let wall = to_wall(*instant, zone);
            let second_pass = to_instant(wall, zone) < *instant;
            let before = instant.minus(Duration::from_secs(1));
            let after_gap = offset_at(*instant, zone) > offset_at(before, zone);
            let over_midnight = to_wall(before, zone).date() != wall.date();
            let kind = match (ours.contains(instant), several) {
                (true, true) if after_gap => "in a gap",
                (false, true) if second_pass => "comes twice",
                (true, false) if after_gap && over_midnight => "over midnight",
                (mine, _) => {
                    let whose = if mine { "ours" } else { "croner's" };
                    self.unexpected.push(format!("{schedule} in {zone}: {instant} is {whose} only"));
                    continue;
                }
            };
            *self.by_kind.entry(kind).or_default() += 1;
        }
    }
}

fn ours(schedule: &str, zone: Tz, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let cron: Cron = schedule.parse().expect("a schedule");
    let mut last = from;
    let next = || {
        let next = cron.next_after(last, zone).filter(|next| *next <= to)?;
        assert!(next > last, "{schedule} in {zone}: in order");
        last = next;
        Some(next)
    };
    std::iter::from_fn(next).collect()
}

fn theirs(schedule: &str, zone: Tz, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let cron = croner::Cron::from_str(schedule).expect("a schedule");
    let after = cron.iter_after(from.to_utc().with_timezone(&zone));
    let times = after.map(|at: DateTime<Tz>| Timestamp::from(at.with_timezone(&Utc)));
    times.take_while(|at| *at <= to).collect()
}

#[test]
fn schedules_fire_as_croners_do_but_for_what_is_chosen() {
    let mut known: BTreeSet<Clocks> = BTreeSet::new();
    let mut tally = Tally::default();
    let mut changes_seen = 0;
    for zone in TZ_VARIANTS {
        let clocks = clocks(zone);
        if !known.insert(clocks.clone()) {
            continue;
        }
        let mut before = clocks.0;
        for (change, after) in &clocks.1 {
            changes_seen += 1;
            // A wall time that the change skips or repeats.
            let middle = change.unix_us() / 1_000_000 + before.midpoint(*after);
            around(&mut tally, zone, *change, Some(wall(middle)));
            before = *after;
        }
        if clocks.1.is_empty() {
            around(&mut tally, zone, at("2028-02-29T12:00:00Z"), None);
        }
    }
    println!(
        "{} zones, {} kinds of clocks, {changes_seen} changes, {} times compared; they differ: {:?}",
        TZ_VARIANTS.len(),
        known.len(),
        tally.compared,
        tally.by_kind
    );
    assert!(known.len() > 60 && changes_seen > 300 && tally.compared > 25_000, "all changes are looked at");
    let few: Vec<&String> = tally.unexpected.iter().take(10).collect();
    assert!(few.is_empty(), "{} differences that nobody chose, such as {few:#?}", tally.unexpected.len());
    let kinds: Vec<&str> = tally.by_kind.keys().copied().collect();
    assert_eq!(kinds, ["comes twice", "in a gap", "over midnight"]);
}

/// Compares the schedules around a change, each from before to after it.
fn around(tally: &mut Tally, zone: Tz, change: Timestamp, middle: Option<NaiveDateTime>) {
    let mut compare = |schedule: &str, reach: Duration| {
        tally.compare(schedule, zone, change.minus(reach), change.plus(reach));
    };
    for hourly in ["0 * * * *", "15 * * * *", "45 * * * *"] {
        compare(hourly, 6 * HOUR);
    }
    compare("30 2 * * *", 3 * DAY);
    compare("30 2 * * SUN", 9 * DAY);
    compare("0 9 * * MON", 9 * DAY);
    compare("30 2 31 * *", 40 * DAY);
    compare("30 2 L * *", 40 * DAY);
    compare("*/30 1-3 * * *", 2 * DAY);
    if let Some(wall) = middle {
        let (minute, hour, day) = (wall.minute(), wall.hour(), wall.day());
        compare(&format!("{minute} {hour} * * *"), 2 * DAY);
        compare(&format!("{minute} {hour} * * {}", wall.weekday()), 8 * DAY);
        compare(&format!("{minute} {hour} {day} * *"), 2 * DAY);
    }
}

fn wall(unix_s: i64) -> NaiveDateTime {
    Timestamp::from_unix_us(unix_s * 1_000_000).to_utc().naive_utc()
}
