//! Describes a schedule in English.

use super::Cron;
use super::cron::{Fields, ones};

/// The most times of day that are listed one by one; more are described by hours and minutes.
const TIMES_MAX: u32 = 8;

const WEEKDAYS: [&str; 8] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const SECONDS: u64 = (1 << 60) - 1;
const MINUTES: u64 = SECONDS;
const HOURS: u64 = (1 << 24) - 1;
const DAYS: u64 = ((1 << 32) - 1) & !1;
const ALL_MONTHS: u64 = ((1 << 13) - 1) & !1;
const ALL_WEEKDAYS: u64 = (1 << 7) - 1;

impl Cron {
    /// The schedule in English: `at 09:00 on Monday to Friday`.
    pub fn describe(&self) -> String {
        let fields = &self.fields;
        let mut words = times(fields);
        let days = days(fields);
        if !days.is_empty() {
            words.push(' ');
            words.push_str(&days);
        } else if words.starts_with("at ") && !words.contains("every") {
            words.push_str(" every day");
        }
        if fields.months != ALL_MONTHS {
            words.push_str(" in ");
            words.push_str(&listed(fields.months, |month| MONTHS[month as usize - 1].to_owned()));
        }
        words
    }
}

fn times(fields: &Fields) -> String {
    let at_zero = fields.seconds == 1;
    let count = fields.seconds.count_ones() * fields.minutes.count_ones() * fields.hours.count_ones();
    if count <= TIMES_MAX {
        let mut all = Vec::new();
        for hour in ones(fields.hours) {
            for minute in ones(fields.minutes) {
                all.extend(ones(fields.seconds).map(|second| match at_zero {
                    true => format!("{hour:02}:{minute:02}"),
                    false => format!("{hour:02}:{minute:02}:{second:02}"),
                }));
            }
        }
        return format!("at {}", joined(&all));
    }
    let mut words = if at_zero { String::new() } else { part("second", fields.seconds, SECONDS) };
    // The seconds of "every second of every minute" are not described by the minutes again.
    if !(fields.minutes == MINUTES && fields.seconds == SECONDS) {
        let minutes = match fields.minutes {
            1 if fields.hours == HOURS && at_zero => "every hour, on the hour".to_owned(),
            minutes => part("minute", minutes, MINUTES),
        };
        words = if words.is_empty() { minutes } else { format!("{words} of {}", minutes.trim_start_matches("at ")) };
    }
    if fields.hours != HOURS {
        let hours = match step(fields.hours, 24) {
            Some(step) => format!("every {}", ordinal_or_other(step, "hour")),
            None => {
                let one = fields.hours.count_ones() == 1;
                format!("the hour{} {}", if one { "" } else { "s" }, listed(fields.hours, |hour| format!("{hour:02}")))
            }
        };
        words = format!("{words} of {hours}");
    } else if words.starts_with("at ") {
        words.push_str(" of every hour");
    }
    words
}

/// `every minute`, `every 15 minutes`, `at minute 30`, `at minutes 5 and 35`.
fn part(unit: &str, bits: u64, all: u64) -> String {
    if bits == all {
        return format!("every {unit}");
    }
    match step(bits, 60) {
        Some(step) => format!("every {step} {unit}s"),
        None => {
            let plural = if bits.count_ones() == 1 { "" } else { "s" };
            format!("at {unit}{plural} {}", listed(bits, |value| value.to_string()))
        }
    }
}

/// The step of values that start at 0 and are evenly spaced around the whole round.
fn step(bits: u64, round: u32) -> Option<u32> {
    let second = ones(bits).nth(1)?;
    let even = bits & 1 == 1 && second > 1 && round.is_multiple_of(second);
    (even && ones(bits).eq((0..round).step_by(second as usize)) && bits.count_ones() > 2).then_some(second)
}

fn days(fields: &Fields) -> String {
    let weekdays = (fields.weekdays != ALL_WEEKDAYS).then(|| {
        // Weekdays are described from Monday on.
        let from_monday = (fields.weekdays & !1) | (fields.weekdays & 1) << 7;
        listed(from_monday, |day| WEEKDAYS[day as usize].to_owned())
    });
    let mut dates = Vec::new();
    if fields.days != DAYS && fields.days > 0 {
        dates.push(format!("the {}", listed(fields.days, ordinal)));
    }
    if fields.last_day {
        dates.push("the last day".to_owned());
    }
    let dates = (!dates.is_empty() && fields.days != DAYS).then(|| {
        let of = if fields.months == ALL_MONTHS { " of the month" } else { "" };
        format!("{}{of}", dates.join(" and "))
    });
    match (dates, weekdays) {
        (None, None) => String::new(),
        (Some(dates), None) => format!("on {dates}"),
        (None, Some(weekdays)) => format!("on {weekdays}"),
        (Some(dates), Some(weekdays)) if fields.either => format!("on {dates} or on {weekdays}"),
        (Some(dates), Some(weekdays)) => format!("on {dates} where that is {}", weekdays.replace(" and ", " or ")),
    }
}

/// Single values and ranges: `Monday to Friday`, `5, 10 and 15 to 18`.
fn listed(bits: u64, name: impl Fn(u32) -> String) -> String {
    let values: Vec<u32> = ones(bits).collect();
    let mut parts = Vec::new();
    let mut rest = values.as_slice();
    while let [first, ..] = rest {
        let run = rest.iter().zip(*first..).take_while(|(value, expected)| **value == *expected).count();
        let (now, later) = rest.split_at(run);
        match now {
            [first, _, .., last] => parts.push(format!("{} to {}", name(*first), name(*last))),
            few => parts.extend(few.iter().map(|value| name(*value))),
        }
        rest = later;
    }
    joined(&parts)
}

fn joined(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// `other hour` for two, else `4th hour`.
fn ordinal_or_other(step: u32, unit: &str) -> String {
    if step == 2 { format!("other {unit}") } else { format!("{} {unit}", ordinal(step)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_said_in_english() {
        for (text, expect) in [
            ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
            ("0 9 * * *", "at 09:00 every day"),
            ("30 9,17 * * *", "at 09:30 and 17:30 every day"),
            ("* * * * *", "every minute"),
            ("*/15 * * * *", "every 15 minutes"),
            ("0 * * * *", "every hour, on the hour"),
            ("30 * * * *", "at minute 30 of every hour"),
            ("5,35 * * * *", "at minutes 5 and 35 of every hour"),
            ("*/15 9-17 * * 1-5", "every 15 minutes of the hours 09 to 17 on Monday to Friday"),
            ("* 9 * * *", "every minute of the hour 09"),
            ("0 */2 * * *", "at minute 0 of every other hour"),
            ("0 0 1 * *", "at 00:00 on the 1st of the month"),
            ("0 0 1,15 * *", "at 00:00 on the 1st and 15th of the month"),
            ("0 0 L * *", "at 00:00 on the last day of the month"),
            ("0 0 15,L * *", "at 00:00 on the 15th and the last day of the month"),
            ("0 0 1 1,7 *", "at 00:00 on the 1st in January and July"),
            ("0 0 29 2 *", "at 00:00 on the 29th in February"),
            ("0 0 1 * MON", "at 00:00 on the 1st of the month or on Monday"),
            (
                "0 0 */7 * SAT,SUN",
                "at 00:00 on the 1st, 8th, 15th, 22nd and 29th of the month where that is Saturday or Sunday",
            ),
            ("0 8 * 6-8 0", "at 08:00 on Sunday in June to August"),
            ("30 0 9 * * *", "at 09:00:30 every day"),
            ("* * * * * *", "every second"),
            ("*/10 * * * * *", "every 10 seconds of every minute"),
            ("*/10 */5 8 * * *", "every 10 seconds of every 5 minutes of the hour 08"),
            ("0 0 L * FRI", "at 00:00 on the last day of the month or on Friday"),
            ("@weekly", "at 00:00 on Sunday"),
        ] {
            assert_eq!(text.parse::<Cron>().unwrap().describe(), expect, "{text}");
        }
    }
}
