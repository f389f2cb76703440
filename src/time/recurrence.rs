//! Recurrence rules of calendars (RFC 5545, 3.3.10), in local time.
//!
//! A rule repeats a period: every second week, every month. The other parts choose days and times within it. The result is
//! in local time; the caller converts it to instants, so a rule needs no zone.
//!
//! The work is limited: [`Budget`] counts steps for all rules of a file, and [`Rule::between`] has a largest number of
//! occurrences. A rule without COUNT begins at the asked time, however long ago it started.

mod parse;

use chrono::{Datelike, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Weekday};

pub use parse::BadRule;

/// The last year of a date.
const YEAR_MAX: i32 = 9_999;

/// The unit of a rule's periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frequency {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
    Minutely,
    Secondly,
}

/// The last time of a rule, in one of the three forms that files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// A date. It stands for its first moment, as in most readers.
    Day(NaiveDate),
    Local(NaiveDateTime),
    Utc(NaiveDateTime),
}

/// A weekday: every one of the period (`nth` = 0), or the nth of the month or year, counted from the end if negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NthDay {
    pub nth: i32,
    pub day: Weekday,
}

/// A parsed rule. An empty list chooses everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub frequency: Frequency,
    /// At least 1.
    pub interval: u32,
    pub count: Option<u32>,
    /// The caller applies it, because it may be in UTC.
    pub until: Option<Until>,
    week_start: Weekday,
    months: Vec<i32>,
    week_numbers: Vec<i32>,
    year_days: Vec<i32>,
    month_days: Vec<i32>,
    days: Vec<NthDay>,
    hours: Vec<i32>,
    minutes: Vec<i32>,
    seconds: Vec<i32>,
    positions: Vec<i32>,
}

/// The steps that may still be computed. A step is a day or a time that is looked at.
#[derive(Debug)]
pub struct Budget {
    steps: u64,
}

impl Budget {
    pub const fn new(steps: u64) -> Self {
        Self { steps }
    }

    fn take(&mut self, steps: u64) -> Result<(), TooMuch> {
        self.steps = self.steps.checked_sub(steps).ok_or(TooMuch::Steps)?;
        Ok(())
    }
}

/// Why a rule is not computed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// It recurs more often than asked for.
    Occurrences,
    /// The budget is used up.
    Steps,
}

impl Rule {
    /// Parses the value of an RRULE property, such as `FREQ=MONTHLY;BYDAY=-1FR;COUNT=6`.
    ///
    /// It takes what calendars write and other readers take: parts in any order and case, an empty part, COUNT=-1.
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        parse::rule(text)
    }

    /// The occurrences from `from` to `to`, both included, of a rule that starts at `start`; at most `max`.
    ///
    /// UNTIL is not applied. `start` is one of them only if the rule says so.
    pub fn between(
        &self,
        start: NaiveDateTime,
        (from, to): (NaiveDateTime, NaiveDateTime),
        max: usize,
        budget: &mut Budget,
    ) -> Result<Vec<NaiveDateTime>, TooMuch> {
        let rule = self.completed(start);
        let mut found = Vec::new();
        let mut left = rule.count.unwrap_or(u32::MAX);
        let mut index = if rule.count.is_some() { 0 } else { rule.periods_between(start, from) };
        while let Some(period) = rule.period(start, index).filter(|period| *period <= to) {
            budget.take(1)?;
            index += 1;
            if rule.frequency > Frequency::Daily
                && let Some(next) = rule.first_possible(period)
            {
                index = index.max(rule.periods_until(start, next));
                continue;
            }
            for at in rule.chosen(period, budget)? {
                if at > to || left == 0 {
                    return Ok(found);
                }
                if at < start {
                    continue;
                }
                left -= 1;
                if at >= from {
                    if found.len() == max {
                        return Err(TooMuch::Occurrences);
                    }
                    found.push(at);
                }
            }
        }
        Ok(found)
    }

    /// The rule with the day of its start where it names none.
    fn completed(&self, start: NaiveDateTime) -> Self {
        let mut rule = self.clone();
        let no_days = rule.days.is_empty() && rule.month_days.is_empty() && rule.year_days.is_empty();
        let weekday = NthDay { nth: 0, day: start.weekday() };
        match rule.frequency {
            _ if !no_days => {}
            Frequency::Yearly if !rule.week_numbers.is_empty() => rule.days.push(weekday),
            Frequency::Yearly => {
                rule.month_days.push(start.day() as i32);
                if rule.months.is_empty() {
                    rule.months.push(start.month() as i32);
                }
            }
            Frequency::Monthly => rule.month_days.push(start.day() as i32),
            Frequency::Weekly => rule.days.push(weekday),
            _ => {}
        }
        let times = [
            (Frequency::Hourly, &mut rule.hours, start.hour()),
            (Frequency::Minutely, &mut rule.minutes, start.minute()),
            (Frequency::Secondly, &mut rule.seconds, start.second()),
        ];
        for (unit, list, value) in times {
            if list.is_empty() && rule.frequency < unit {
                list.push(value as i32);
            }
        }
        rule
    }

    /// The first moment of a period; `None` beyond the calendar.
    fn period(&self, start: NaiveDateTime, index: u64) -> Option<NaiveDateTime> {
        let steps = i64::try_from(index.checked_mul(u64::from(self.interval))?).ok()?;
        let date = start.date();
        let first = |date: NaiveDate| date.and_time(NaiveTime::MIN);
        let period = match self.frequency {
            Frequency::Yearly => {
                first(NaiveDate::from_ymd_opt(i32::try_from(steps).ok()?.checked_add(date.year())?, 1, 1)?)
            }
            Frequency::Monthly => {
                let months = steps.checked_add(i64::from(date.year()) * 12 + i64::from(date.month0()))?;
                let year = i32::try_from(months.div_euclid(12)).ok()?;
                first(NaiveDate::from_ymd_opt(year, months.rem_euclid(12) as u32 + 1, 1)?)
            }
            Frequency::Weekly => {
                first(self.week_of(date)?.checked_add_days(Days::new(u64::try_from(steps).ok()?.checked_mul(7)?))?)
            }
            _ => {
                self.truncated(start)?.checked_add_signed(Duration::try_seconds(steps.checked_mul(self.unit_s())?)?)?
            }
        };
        (period.year() <= YEAR_MAX).then_some(period)
    }

    /// The unit of a period of fixed length, in seconds.
    const fn unit_s(&self) -> i64 {
        match self.frequency {
            Frequency::Secondly => 1,
            Frequency::Minutely => 60,
            Frequency::Hourly => 3_600,
            Frequency::Weekly => 7 * 86_400,
            _ => 86_400,
        }
    }

    fn truncated(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let (hour, minute, second) = match self.frequency {
            Frequency::Secondly => (at.hour(), at.minute(), at.second()),
            Frequency::Minutely => (at.hour(), at.minute(), 0),
            Frequency::Hourly => (at.hour(), 0, 0),
            _ => (0, 0, 0),
        };
        at.date().and_hms_opt(hour, minute, second)
    }

    /// The number of whole periods from the start to `to`.
    fn periods_between(&self, start: NaiveDateTime, to: NaiveDateTime) -> u64 {
        let units = match self.frequency {
            Frequency::Yearly => i64::from(to.year() - start.year()),
            Frequency::Monthly => {
                i64::from((to.year() - start.year()) * 12 + to.month0() as i32 - start.month0() as i32)
            }
            _ => {
                let first = self.period(start, 0).unwrap_or(start);
                (to - first).num_seconds().div_euclid(self.unit_s())
            }
        };
        u64::try_from(units).unwrap_or_default() / u64::from(self.interval)
    }

    /// The first period that begins at `at` or after it.
    fn periods_until(&self, start: NaiveDateTime, at: NaiveDateTime) -> u64 {
        let index = self.periods_between(start, at);
        let begins = self.period(start, index).is_some_and(|period| period >= at);
        if begins { index } else { index + 1 }
    }

    /// The first time after an hour, minute or second at which the rule may hold again; `None` if it may hold in it.
    fn first_possible(&self, period: NaiveDateTime) -> Option<NaiveDateTime> {
        let holds = |list: &[i32], value: u32| list.is_empty() || list.contains(&(value as i32));
        let midnight = period.date().and_time(NaiveTime::MIN);
        let hour = midnight + Duration::hours(i64::from(period.hour()));
        let minute = hour + Duration::minutes(i64::from(period.minute()));
        if !self.is_on(period.date()) {
            Some(midnight + Duration::days(1))
        } else if !holds(&self.hours, period.hour()) {
            Some(hour + Duration::hours(1))
        } else if self.frequency > Frequency::Hourly && !holds(&self.minutes, period.minute()) {
            Some(minute + Duration::minutes(1))
        } else if self.frequency == Frequency::Secondly && !holds(&self.seconds, period.second()) {
            Some(period + Duration::seconds(1))
        } else {
            None
        }
    }

    /// The occurrences of a period, in order, after BYSETPOS.
    fn chosen(&self, period: NaiveDateTime, budget: &mut Budget) -> Result<Vec<NaiveDateTime>, TooMuch> {
        let days = self.days_of(period, budget)?;
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let times = self.times_of(period, budget)?;
        budget.take((days.len() * times.len()) as u64)?;
        let all: Vec<NaiveDateTime> =
            days.iter().flat_map(|day| times.iter().map(|time| day.and_time(*time))).collect();
        if self.positions.is_empty() {
            return Ok(all);
        }
        let place = |position: i32| match usize::try_from(position) {
            Ok(place) => place.checked_sub(1),
            Err(_) => all.len().checked_sub(position.unsigned_abs() as usize),
        };
        let mut places: Vec<usize> = self.positions.iter().filter_map(|position| place(*position)).collect();
        places.sort_unstable();
        places.dedup();
        Ok(places.into_iter().filter_map(|place| all.get(place).copied()).collect())
    }

    fn days_of(&self, period: NaiveDateTime, budget: &mut Budget) -> Result<Vec<NaiveDate>, TooMuch> {
        let first = period.date();
        let month = |month: u32| NaiveDate::from_ymd_opt(first.year(), month, 1);
        let spans: Vec<(NaiveDate, u32)> = match self.frequency {
            Frequency::Yearly if !self.months.is_empty() => {
                let mut months: Vec<u32> = self.months.iter().map(|month| *month as u32).collect();
                months.sort_unstable();
                months.dedup();
                months.into_iter().filter_map(month).map(|first| (first, days_in_month(first))).collect()
            }
            Frequency::Yearly => vec![(first, days_in_year(first))],
            Frequency::Monthly => vec![(first, days_in_month(first))],
            Frequency::Weekly => vec![(first, 7)],
            _ => vec![(first, 1)],
        };
        budget.take(spans.iter().map(|(_, days)| u64::from(*days)).sum())?;
        let days = spans.into_iter().flat_map(|(first, days)| first.iter_days().take(days as usize));
        Ok(days.filter(|day| self.is_on(*day)).collect())
    }

    /// The times of day in a period.
    fn times_of(&self, period: NaiveDateTime, budget: &mut Budget) -> Result<Vec<NaiveTime>, TooMuch> {
        let list = |unit: Frequency, list: &[i32], now: u32| -> Vec<u32> {
            if self.frequency >= unit {
                return vec![now];
            }
            let mut list: Vec<u32> = list.iter().map(|value| *value as u32).collect();
            list.sort_unstable();
            list.dedup();
            list
        };
        let hours = list(Frequency::Hourly, &self.hours, period.hour());
        let minutes = list(Frequency::Minutely, &self.minutes, period.minute());
        let seconds = list(Frequency::Secondly, &self.seconds, period.second());
        budget.take((hours.len() * minutes.len() * seconds.len()) as u64)?;
        let mut times = Vec::new();
        for hour in hours {
            for minute in &minutes {
                // A leap second is not known to the clocks of computers.
                times.extend(
                    seconds.iter().filter_map(|second| NaiveTime::from_hms_opt(hour, *minute, (*second).min(59))),
                );
            }
        }
        Ok(times)
    }

    /// Whether all parts about days hold for this day.
    fn is_on(&self, day: NaiveDate) -> bool {
        let counted = |list: &[i32], from_first: i32, of: i32| {
            list.is_empty() || list.contains(&from_first) || list.contains(&(from_first - of - 1))
        };
        (self.months.is_empty() || self.months.contains(&(day.month() as i32)))
            && counted(&self.month_days, day.day() as i32, days_in_month(day) as i32)
            && counted(&self.year_days, day.ordinal() as i32, days_in_year(day) as i32)
            && (self.days.is_empty() || self.days.iter().any(|nth| self.is_nth(*nth, day)))
            && (self.week_numbers.is_empty()
                || self.week_number(day).is_some_and(|(week, weeks)| counted(&self.week_numbers, week, weeks)))
    }

    fn is_nth(&self, nth: NthDay, day: NaiveDate) -> bool {
        if nth.day != day.weekday() {
            return false;
        }
        let (place, of) = match self.frequency {
            _ if nth.nth == 0 => return true,
            Frequency::Yearly if self.months.is_empty() => (day.ordinal0(), days_in_year(day)),
            Frequency::Yearly | Frequency::Monthly => (day.day0(), days_in_month(day)),
            // The number means nothing in a week or a day; other readers ignore it as well.
            _ => return true,
        };
        let from_last = (of - 1 - place) / 7 + 1;
        nth.nth == (place / 7 + 1) as i32 || nth.nth == -(from_last as i32)
    }

    /// The first day of a day's week.
    fn week_of(&self, day: NaiveDate) -> Option<NaiveDate> {
        day.checked_sub_days(Days::new(u64::from(day.weekday().days_since(self.week_start))))
    }

    /// The number of a day's week, and how many weeks its year has. The first week is the first with four days in the year.
    fn week_number(&self, day: NaiveDate) -> Option<(i32, i32)> {
        let number = |day: NaiveDate| {
            let middle = self.week_of(day)?.checked_add_days(Days::new(3))?;
            Some((middle.year(), middle.ordinal0() as i32 / 7 + 1))
        };
        let (year, week) = number(day)?;
        let (_, weeks) = number(NaiveDate::from_ymd_opt(year, 12, 28)?)?;
        Some((week, weeks))
    }
}

fn days_in_month(day: NaiveDate) -> u32 {
    u32::from(day.num_days_in_month())
}

fn days_in_year(day: NaiveDate) -> u32 {
    if day.leap_year() { 366 } else { 365 }
}

#[cfg(test)]
mod tests;
