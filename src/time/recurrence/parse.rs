//! Parses recurrence rules.

use chrono::{NaiveDate, NaiveDateTime, Weekday};

use super::{Frequency, NthDay, Rule, Until};

/// The most values of one part of a rule: every day of a leap year.
const VALUES_MAX: usize = 366;

/// A rule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    #[error("it has no FREQ")]
    NoFrequency,
    #[error("'{0}' is not a part of a rule")]
    Unknown(String),
    #[error("{part} cannot be '{given}'")]
    Value { part: &'static str, given: String },
}

pub(super) fn rule(text: &str) -> Result<Rule, BadRule> {
    let mut rule = Rule {
        frequency: Frequency::Yearly,
        interval: 1,
        count: None,
        until: None,
        week_start: Weekday::Mon,
        months: Vec::new(),
        week_numbers: Vec::new(),
        year_days: Vec::new(),
        month_days: Vec::new(),
        days: Vec::new(),
        hours: Vec::new(),
        minutes: Vec::new(),
        seconds: Vec::new(),
        positions: Vec::new(),
    };
    let mut frequency = None;
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| BadRule::Unknown(short(part)))?;
        let value = value.trim().to_ascii_uppercase();
        match name.trim().to_ascii_uppercase().as_str() {
            "FREQ" => frequency = Some(frequency_of(&value)?),
            "INTERVAL" => rule.interval = number("INTERVAL", &value, 1, i32::MAX)? as u32,
            // Old programs write -1 for a rule without end.
            "COUNT" => rule.count = u32::try_from(number("COUNT", &value, i32::MIN, i32::MAX)?).ok(),
            "UNTIL" => rule.until = Some(until(&value)?),
            "WKST" => rule.week_start = weekday(&value).ok_or_else(|| bad("WKST", &value))?,
            "BYSECOND" => rule.seconds = list("BYSECOND", &value, 0, 60)?,
            "BYMINUTE" => rule.minutes = list("BYMINUTE", &value, 0, 59)?,
            "BYHOUR" => rule.hours = list("BYHOUR", &value, 0, 23)?,
            "BYDAY" => rule.days = days(&value)?,
            "BYMONTHDAY" => rule.month_days = signed("BYMONTHDAY", &value, 31)?,
            "BYYEARDAY" => rule.year_days = signed("BYYEARDAY", &value, 366)?,
            "BYWEEKNO" => rule.week_numbers = signed("BYWEEKNO", &value, 53)?,
            "BYMONTH" => rule.months = list("BYMONTH", &value, 1, 12)?,
            "BYSETPOS" => rule.positions = signed("BYSETPOS", &value, 366)?,
            // RFC 7529; these are what a rule without them means.
            "RSCALE" if value == "GREGORIAN" => {}
            "SKIP" if value == "OMIT" => {}
            name if name.starts_with("X-") => {}
            _ => return Err(BadRule::Unknown(short(part))),
        }
    }
    rule.frequency = frequency.ok_or(BadRule::NoFrequency)?;
    Ok(rule)
}

fn frequency_of(text: &str) -> Result<Frequency, BadRule> {
    Ok(match text {
        "YEARLY" => Frequency::Yearly,
        "MONTHLY" => Frequency::Monthly,
        "WEEKLY" => Frequency::Weekly,
        "DAILY" => Frequency::Daily,
        "HOURLY" => Frequency::Hourly,
        "MINUTELY" => Frequency::Minutely,
        "SECONDLY" => Frequency::Secondly,
        _ => return Err(bad("FREQ", text)),
    })
}

fn until(text: &str) -> Result<Until, BadRule> {
    let time = |text: &str| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    let parsed = match text.strip_suffix('Z') {
        Some(utc) => time(utc).map(Until::Utc),
        None if text.len() == 8 => NaiveDate::parse_from_str(text, "%Y%m%d").ok().map(Until::Day),
        None => time(text).map(Until::Local),
    };
    parsed.ok_or_else(|| bad("UNTIL", text))
}

/// `MO`, `1MO`, `-1FR`.
fn days(text: &str) -> Result<Vec<NthDay>, BadRule> {
    let day = |item: &str| {
        let (nth, name) = item.split_at_checked(item.len().checked_sub(2)?)?;
        let day = weekday(name)?;
        let nth = if nth.is_empty() { 0 } else { nth.parse().ok().filter(|nth| (-53..=53).contains(nth))? };
        Some(NthDay { nth, day })
    };
    items("BYDAY", text)?.map(|item| day(item).ok_or_else(|| bad("BYDAY", item))).collect()
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// Numbers from `-max` to `max` without 0.
fn signed(part: &'static str, text: &str, max: i32) -> Result<Vec<i32>, BadRule> {
    let list = list(part, text, -max, max)?;
    if list.contains(&0) { Err(bad(part, "0")) } else { Ok(list) }
}

fn list(part: &'static str, text: &str, min: i32, max: i32) -> Result<Vec<i32>, BadRule> {
    items(part, text)?.map(|item| number(part, item, min, max)).collect()
}

fn items<'t>(part: &'static str, text: &'t str) -> Result<impl Iterator<Item = &'t str>, BadRule> {
    let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    if items().count() > VALUES_MAX { Err(bad(part, text)) } else { Ok(items()) }
}

fn number(part: &'static str, text: &str, min: i32, max: i32) -> Result<i32, BadRule> {
    text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| bad(part, text))
}

fn bad(part: &'static str, given: &str) -> BadRule {
    BadRule::Value { part, given: short(given) }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
