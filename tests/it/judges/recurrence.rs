//! Recurrence rules against the crate `rrule`: thousands of rules with every part that both read alike.
//!
//! Not compared is what `rrule` refuses or computes otherwise than RFC 5545: BYSETPOS in the week of the start, of which it
//! sees only the rest; BYWEEKNO without BYDAY, for which it takes the whole week; ordinal and plain days together; and
//! what rules by the hour or finer leave out, behind which it loses occurrences.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use recado::domain::clock::Random;
use recado::time::recurrence::{Budget, Rule};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

const COMPARED: usize = 60;

struct Generator(Random);

impl Generator {
    fn below(&self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn often(&self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<'t>(&self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }

    /// One to three numbers from 1 to `max`, some of them from the end.
    fn numbers(&self, max: u64, signed: bool) -> String {
        let number = || {
            let sign = if signed && self.often(3) { "-" } else { "" };
            format!("{sign}{}", self.below(max) + 1)
        };
        (0..=self.below(3)).map(|_| number()).collect::<Vec<_>>().join(",")
    }

    fn days(&self, ordinal: bool) -> String {
        let day = || {
            let nth = if ordinal { self.pick(&["1", "2", "-1", "-2", "3"]) } else { "" };
            format!("{nth}{}", self.pick(&["MO", "TU", "WE", "TH", "FR", "SA", "SU"]))
        };
        (0..=self.below(3)).map(|_| day()).collect::<Vec<_>>().join(",")
    }

    fn start(&self) -> NaiveDateTime {
        let date = NaiveDate::from_ymd_opt(1960 + self.below(80) as i32, 1, 1).expect("a date");
        date.and_hms_opt(0, 0, 0).expect("a time") + TimeDelta::seconds(self.below(366 * 86_400) as i64)
    }

    fn rule(&self) -> String {
        let frequency = self.pick(&["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]);
        let coarse = matches!(frequency, "YEARLY" | "MONTHLY");
        let mut parts = vec![format!("FREQ={frequency}")];
        let mut chooses = false;
        if self.often(2) {
            let most = if coarse { 4 } else { 20 };
            parts.push(format!("INTERVAL={}", self.below(most) + 1));
        }
        if self.often(3) {
            parts.push(format!("WKST={}", self.pick(&["SU", "TU", "SA"])));
        }
        let finer = matches!(frequency, "HOURLY" | "MINUTELY" | "SECONDLY");
        if !finer && self.often(3) {
            parts.push(format!("BYMONTH={}", self.numbers(12, false)));
            chooses = true;
        }
        if frequency == "YEARLY" && self.often(4) {
            parts.push(format!("BYWEEKNO={};BYDAY={}", self.numbers(53, true), self.days(false)));
            chooses = true;
        } else if !finer && self.often(2) {
            parts.push(format!("BYDAY={}", self.days(coarse && self.often(2))));
            chooses = true;
        }
        if coarse && self.often(4) {
            parts.push(format!("BYMONTHDAY={}", self.numbers(31, true)));
            chooses = true;
        }
        if frequency == "YEARLY" && self.often(6) {
            parts.push(format!("BYYEARDAY={}", self.numbers(366, true)));
        }
        if matches!(frequency, "YEARLY" | "MONTHLY" | "WEEKLY" | "DAILY") && self.often(4) {
            parts.push(format!("BYHOUR={}", self.numbers(23, false)));
            chooses = true;
        }
        if !finer && self.often(6) {
            parts.push(format!("BYMINUTE={}", self.numbers(59, false)));
        }
        if chooses && coarse && self.often(3) {
            parts.push(format!("BYSETPOS={}", self.numbers(5, true)));
        }
        parts.join(";")
    }
}

/// The first occurrences by `rrule`; `None` if it refuses the rule, or gives up.
fn theirs(rule: &str, start: NaiveDateTime) -> Option<Vec<NaiveDateTime>> {
    let start = Tz::UTC.from_utc_datetime(&start);
    let rule = rule.parse::<RRule<Unvalidated>>().ok()?.validate(start).ok()?;
    let found = RRuleSet::new(start).rrule(rule).limit().all(COMPARED as u16);
    let whole = !found.limited || found.dates.len() == COMPARED;
    whole.then(|| found.dates.into_iter().map(|at| at.naive_utc()).collect())
}

/// Whether the rule chooses a week that may reach into the next year, by its number from either end. `rrule` has some of its
/// days and leaves out others: 1 January 1999 is in week 52 where weeks begin on Sunday, and 31 December 1997 in week -52
/// where they begin on Tuesday.
fn turns_the_year(rule: &str) -> bool {
    let weeks = rule.split(';').find_map(|part| part.strip_prefix("BYWEEKNO="));
    weeks.is_some_and(|weeks| weeks.split(',').any(|week| ["52", "53", "-1", "-52", "-53"].contains(&week)))
}

#[test]
fn rules_recur_as_rrule_has_it() {
    let generator = Generator(Random::seeded(5_545));
    let (mut compared, mut occurrences) = (0, 0);
    for _ in 0..3_000 {
        let (rule, start) = (generator.rule(), generator.start());
        if turns_the_year(&rule) {
            continue;
        }
        let Some(theirs) = theirs(&rule, start) else { continue };
        let (Some(first), Some(last)) = (theirs.first(), theirs.last()) else { continue };
        // Without a COUNT it begins where it is asked to.
        let middle = theirs[theirs.len() / 2];
        let parsed = Rule::parse(&rule).expect("a rule");
        let ours = |from: NaiveDateTime| {
            let found = parsed.between(start, (from, *last), 20_000, &mut Budget::new(20_000_000));
            found.unwrap_or_else(|why| panic!("{rule} from {start}: {why:?}"))
        };
        assert_eq!(ours(start.min(*first)), theirs, "{rule} from {start}");
        assert_eq!(ours(middle), theirs[theirs.len() / 2..], "{rule} from {start}, asked from {middle}");
        compared += 1;
        occurrences += theirs.len();
    }
    assert!(compared > 1_500 && occurrences > 50_000, "{compared} rules, {occurrences} occurrences");
}
