//! Opening hours: weekly hours with split shifts, and dates with hours of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, Timelike, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::zone::{at_minute, minute_of_day, to_instant, to_wall};
use crate::domain::Timestamp;

/// The most shifts of one day.
pub const SHIFTS_MAX: usize = 6;
/// The most dates with hours of their own.
pub const HOLIDAYS_MAX: usize = 400;
/// The time ahead in which the next opening is searched.
const LOOK_AHEAD_DAYS: u64 = 400;

const DAY_MIN: u16 = 24 * 60;
const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Mon, "mon"),
    (Weekday::Tue, "tue"),
    (Weekday::Wed, "wed"),
    (Weekday::Thu, "thu"),
    (Weekday::Fri, "fri"),
    (Weekday::Sat, "sat"),
    (Weekday::Sun, "sun"),
];

/// From one minute of a day to another, exclusive. Minutes past 24:00 are on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift {
    /// Minutes since midnight.
    pub from: u16,
    /// Minutes since the same midnight; more than 1,440 if the shift passes midnight.
    pub to: u16,
}

/// Weekly hours, and dates with other hours or none. The text is also the JSON form:
///
/// ```text
/// mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00; 2026-12-24 10:00-13:00; 2026-12-25 closed
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeeklyHours {
    /// From Monday on.
    week: [Vec<Shift>; 7],
    holidays: BTreeMap<NaiveDate, Vec<Shift>>,
}

/// Why a text is no opening hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHours {
    #[error(
        "'{0}' does not say which days and when: write such as 'mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00; \
         2026-12-25 closed'"
    )]
    Entry(String),
    #[error("'{0}' is no weekday and no date: write mon, tue, wed, thu, fri, sat, sun, mon-fri, mon,wed or 2026-12-25")]
    Day(String),
    #[error("'{0}' is no shift: write such as 09:00-14:00, to 24:00 at most, or 22:00-02:00 over midnight")]
    Shift(String),
    #[error("the shifts of '{0}' overlap: write them one after another, such as 09:00-14:00,16:00-20:00")]
    Overlap(String),
    #[error("'{0}' has its hours twice: write all shifts of a day together, such as mon 09:00-14:00,16:00-20:00")]
    Twice(String),
    #[error("a day has at most {SHIFTS_MAX} shifts")]
    Shifts,
    #[error("there may be {HOLIDAYS_MAX} days with hours of their own: remove those that have passed")]
    Holidays,
}

impl WeeklyHours {
    /// Open day and night.
    pub fn always() -> Self {
        let day = || vec![Shift { from: 0, to: DAY_MIN }];
        Self { week: std::array::from_fn(|_| day()), holidays: BTreeMap::new() }
    }

    /// The shifts that begin on this date, in order; empty if it is closed.
    pub fn shifts_on(&self, date: NaiveDate) -> &[Shift] {
        match self.holidays.get(&date) {
            Some(shifts) => shifts,
            None => &self.week[date.weekday().num_days_from_monday() as usize],
        }
    }

    /// True if it is open at this local time.
    pub fn is_open(&self, wall: NaiveDateTime) -> bool {
        let minute = (wall.hour() * 60 + wall.minute()) as u16;
        let on = |date: Option<NaiveDate>, minute: u16| {
            let shifts = date.map(|date| self.shifts_on(date)).unwrap_or_default();
            shifts.iter().any(|shift| (shift.from..shift.to).contains(&minute))
        };
        // A shift of the day before may pass midnight.
        on(Some(wall.date()), minute) || on(wall.date().pred_opt(), minute + DAY_MIN)
    }

    /// True if the whole period lies within one shift.
    pub fn is_open_from(&self, from: Timestamp, to: Timestamp, zone: Tz) -> bool {
        let today = to_wall(from, zone).date();
        // A shift of the day before may pass midnight.
        [today.pred_opt(), Some(today)].into_iter().flatten().any(|date| {
            let edge = |minute| to_instant(at_minute(date, minute), zone);
            self.shifts_on(date).iter().any(|shift| edge(shift.from) <= from && to <= edge(shift.to))
        })
    }

    /// The next opening after `at`; `None` if there is none within 400 days.
    pub fn next_open(&self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let today = to_wall(at, zone).date();
        let days = (0..=LOOK_AHEAD_DAYS).filter_map(|ahead| today.checked_add_days(Days::new(ahead)));
        let starts = days.flat_map(|date| self.shifts_on(date).iter().map(move |shift| at_minute(date, shift.from)));
        let opens = |start: &NaiveDateTime| !self.is_open(*start - chrono::Duration::minutes(1));
        starts.filter(opens).map(|start| to_instant(start, zone)).find(|start| *start > at)
    }

    /// The end of the shift around `at`; `None` if it is closed then.
    pub fn closes(&self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let today = to_wall(at, zone).date();
        let edge = |date, minute| to_instant(at_minute(date, minute), zone);
        let of_day = |date: NaiveDate| {
            let shift =
                self.shifts_on(date).iter().find(|shift| edge(date, shift.from) <= at && at < edge(date, shift.to));
            shift.map(|shift| edge(date, shift.to))
        };
        // A shift of the day before may pass midnight.
        today.pred_opt().and_then(of_day).or_else(|| of_day(today))
    }

    /// The shifts of a date as text, such as `09:00-14:00, 16:00-20:00`; empty if it is closed.
    pub fn text_on(&self, date: NaiveDate) -> String {
        let shifts: Vec<String> = self.shifts_on(date).iter().map(Shift::to_string).collect();
        shifts.join(", ")
    }

    /// Dates with hours of their own, in order; closed if without a shift.
    pub fn holidays(&self) -> &BTreeMap<NaiveDate, Vec<Shift>> {
        &self.holidays
    }

    /// Sets the hours of a date: `closed`, or shifts such as `10:00-13:00`.
    pub fn set_holiday(&mut self, date: NaiveDate, shifts: &str) -> Result<(), NoHours> {
        self.holidays.insert(date, parse_shifts(shifts)?);
        if self.holidays.len() > HOLIDAYS_MAX { Err(NoHours::Holidays) } else { Ok(()) }
    }

    /// Removes the hours of a date, so that its weekday counts; returns `false` if it had none.
    pub fn remove_holiday(&mut self, date: NaiveDate) -> bool {
        self.holidays.remove(&date).is_some()
    }

    /// These weekly hours, with the dates of `other` added.
    #[must_use]
    pub fn with_holidays_of(mut self, other: &Self) -> Self {
        for (date, shifts) in &other.holidays {
            self.holidays.entry(*date).or_insert_with(|| shifts.clone());
        }
        self
    }
}

impl FromStr for WeeklyHours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let mut hours = Self::default();
        let mut seen = [false; 7];
        let entries: Vec<&str> = text.split(';').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() {
            return Err(NoHours::Entry(short(text)));
        }
        for entry in entries {
            let (days, shifts) = entry.split_once(char::is_whitespace).ok_or_else(|| NoHours::Entry(short(entry)))?;
            let shifts = shifts.trim();
            if let Ok(date) = days.parse::<NaiveDate>() {
                if hours.holidays.contains_key(&date) {
                    return Err(NoHours::Twice(short(days)));
                }
                hours.set_holiday(date, shifts)?;
                continue;
            }
            let parsed = parse_shifts(shifts)?;
            for day in weekdays(days)? {
                if std::mem::replace(&mut seen[day], true) {
                    return Err(NoHours::Twice(WEEK[day].1.to_owned()));
                }
                hours.week[day].clone_from(&parsed);
            }
        }
        Ok(hours)
    }
}

/// Parses `mon`, `mon-fri`, `sat-mon` (over the weekend), `mon,wed`, `daily`; Monday is 0.
fn weekdays(text: &str) -> Result<Vec<usize>, NoHours> {
    let no_day = || NoHours::Day(short(text));
    let lower = text.to_lowercase();
    if lower == "daily" {
        return Ok((0..7).collect());
    }
    let one = |name: &str| WEEK.iter().position(|(_, known)| *known == name).ok_or_else(no_day);
    let mut days = Vec::new();
    for part in lower.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (one(first)?, one(last)?);
        let length = (last + 7 - first) % 7;
        days.extend((0..=length).map(|step| (first + step) % 7));
    }
    Ok(days)
}

fn parse_shifts(text: &str) -> Result<Vec<Shift>, NoHours> {
    if text.eq_ignore_ascii_case("closed") {
        return Ok(Vec::new());
    }
    let mut shifts = text.split(',').map(|part| part.trim().parse()).collect::<Result<Vec<Shift>, _>>()?;
    shifts.sort_unstable();
    if shifts.len() > SHIFTS_MAX {
        return Err(NoHours::Shifts);
    }
    // The last shift must not reach into the first of the next such day.
    let wraps = shifts.last().zip(shifts.first()).is_some_and(|(last, first)| last.to > first.from + DAY_MIN);
    if wraps || shifts.windows(2).any(|two| two[1].from < two[0].to) {
        return Err(NoHours::Overlap(short(text)));
    }
    Ok(shifts)
}

impl FromStr for Shift {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let parse = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute_of_day(from.trim())?, minute_of_day(to.trim())?);
            let over_midnight = to < from;
            (from < DAY_MIN && from != to).then_some(Self { from, to: if over_midnight { to + DAY_MIN } else { to } })
        };
        parse().ok_or_else(|| NoHours::Shift(short(text)))
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = if self.to > DAY_MIN { self.to - DAY_MIN } else { self.to };
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, to / 60, to % 60)
    }
}

impl fmt::Display for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = Vec::new();
        let mut first = 0;
        while first < WEEK.len() {
            let alike = self.week[first..].iter().take_while(|shifts| **shifts == self.week[first]).count();
            let days = match alike {
                1 => WEEK[first].1.to_owned(),
                _ => format!("{}-{}", WEEK[first].1, WEEK[first + alike - 1].1),
            };
            if !self.week[first].is_empty() {
                entries.push(format!("{days} {}", in_text(&self.week[first])));
            }
            first += alike;
        }
        // An empty text is no hours; closed on every weekday must be written.
        if entries.is_empty() {
            entries.push("mon-sun closed".to_owned());
        }
        entries.extend(self.holidays.iter().map(|(date, shifts)| format!("{date} {}", in_text(shifts))));
        f.write_str(&entries.join("; "))
    }
}

fn in_text(shifts: &[Shift]) -> String {
    if shifts.is_empty() {
        return "closed".to_owned();
    }
    shifts.iter().map(Shift::to_string).collect::<Vec<_>>().join(",")
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Serialize for WeeklyHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WeeklyHours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00; 2026-12-24 10:00-13:00; 2026-12-25 closed";

    fn hours(text: &str) -> WeeklyHours {
        text.parse().unwrap()
    }

    fn open(hours: &WeeklyHours, wall: &str) -> bool {
        hours.is_open(wall.parse().unwrap())
    }

    #[test]
    fn shifts_have_a_first_minute_and_end_before_their_last() {
        let shop = hours(SHOP);
        for (wall, expect) in [
            ("2026-11-23T08:59:59", false),
            ("2026-11-23T09:00:00", true),
            ("2026-11-23T13:59:59", true),
            ("2026-11-23T14:00:00", false),
            ("2026-11-23T16:00:00", true),
            ("2026-11-28T12:59:00", true),
            ("2026-11-29T12:00:00", false),
            ("2026-12-24T12:00:00", true),
            ("2026-12-24T17:00:00", false),
            ("2026-12-25T12:00:00", false),
        ] {
            assert_eq!(open(&shop, wall), expect, "{wall}");
        }
        assert_eq!(shop.text_on("2026-11-23".parse().unwrap()), "09:00-14:00, 16:00-20:00");
        assert_eq!(shop.text_on("2026-12-25".parse().unwrap()), "");
    }

    #[test]
    fn a_bar_closes_after_midnight() {
        let bar = hours("fri-sat 20:00-03:00");
        assert!(open(&bar, "2026-11-27T23:00:00") && open(&bar, "2026-11-28T02:59:00"));
        assert!(open(&bar, "2026-11-29T02:59:00") && !open(&bar, "2026-11-29T03:00:00"));
        assert!(!open(&bar, "2026-11-27T02:00:00"));
    }

    #[test]
    fn the_next_opening_is_found_over_weekends_holidays_and_clock_changes() {
        let next = |hours: &WeeklyHours, at: &str| {
            hours.next_open(Timestamp::parse(at).unwrap(), Tz::Europe__Madrid).map(|at| at.to_string())
        };
        let shop = hours(SHOP);
        assert_eq!(next(&shop, "2026-11-28T13:00:00Z").as_deref(), Some("2026-11-30T08:00:00Z"));
        assert_eq!(
            next(&shop, "2026-11-30T08:00:00Z").as_deref(),
            Some("2026-11-30T15:00:00Z"),
            "the next, while open"
        );
        assert_eq!(next(&shop, "2026-12-24T12:30:00Z").as_deref(), Some("2026-12-26T09:00:00Z"));
        assert_eq!(next(&hours("sun 02:30-05:00"), "2026-03-28T12:00:00Z").as_deref(), Some("2026-03-29T01:00:00Z"));
        assert_eq!(next(&hours("mon-sun closed"), "2026-03-28T12:00:00Z"), None);
        assert_eq!(next(&WeeklyHours::always(), "2026-03-28T12:00:00Z"), None, "it never opens, since it never closes");
    }

    #[test]
    fn texts_read_back() {
        for text in [SHOP, "sat-sun 00:00-24:00", "mon-sun closed", "mon 22:00-02:00; wed 09:00-10:00"] {
            assert_eq!(hours(text).to_string(), text);
        }
        assert_eq!(hours("Sat-Mon 10:00-12:00").to_string(), "mon 10:00-12:00; sat-sun 10:00-12:00");
        assert_eq!(hours("daily 9:00-12:00"), hours("mon-sun 09:00-12:00"));
        assert_eq!(serde_json::to_string(&hours("mon 9:00-10:00")).unwrap(), "\"mon 09:00-10:00\"");
    }

    #[test]
    fn errors_say_what_is_expected() {
        for (text, expect) in [
            ("", "which days"),
            ("mon", "which days"),
            ("lun 09:00-10:00", "no weekday"),
            ("2026-13-01 closed", "no weekday and no date"),
            ("mon 9-10", "no shift"),
            ("mon 09:00-09:00", "no shift"),
            ("mon 09:00-24:01", "no shift"),
            ("mon 09:00-12:00,11:00-13:00", "overlap"),
            ("mon 09:00-12:00,22:00-10:00", "overlap"),
            ("mon-wed 09:00-12:00; wed 14:00-15:00", "'wed' has its hours twice"),
            ("mon 01:00-02:00,03:00-04:00,05:00-06:00,07:00-08:00,09:00-10:00,11:00-12:00,13:00-14:00", "at most 6"),
        ] {
            let error = text.parse::<WeeklyHours>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
