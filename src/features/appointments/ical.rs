//! Reads appointments from a calendar file (iCalendar, RFC 5545), with recurring ones.
//!
//! The customer is the one phone number in ATTENDEE, CONTACT, SUMMARY, DESCRIPTION and LOCATION, as [`in_text`] finds it.
//! The service is the first of CATEGORIES, else the SUMMARY without the number. Files are hostile: size, nesting and
//! recurrence are limited before anything is computed.

mod fields;

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use icalendar::parser::{Component, read_calendar, unfold};
use rrule::{Frequency, RRule, RRuleSet, Unvalidated};

use fields::{all, find, first_of_list, instant, local, minutes, short, text_of, time_of, value, zone_of};

use super::sheet::Context;
use crate::domain::phone::in_text;
use crate::domain::{AppointmentState, By, Timestamp};
use crate::store::tables::appointments::{IMPORT_MAX, NAME_MAX_CHARS, NOTE_MAX_CHARS, NewAppointment, Row, Starts};
use crate::time::zone::{to_instant, to_wall};

/// The most occurrences of one event.
pub const OCCURRENCES_MAX: u16 = 400;
pub const AHEAD_MAX_DAYS: u32 = 366;
/// The most recurring events of a file; each is expanded by itself.
const RECURRING_MAX: usize = 200;
/// The deepest nesting: a calendar, an event, an alarm.
const DEPTH_MAX: usize = 4;
const LINES_MAX: usize = 200_000;
const LINE_MAX_BYTES: usize = 16 << 10;
const EXDATES_MAX: usize = 1_000;
/// The earliest start of a recurring event: each step from there on is computed.
const BEGAN_MAX_DAYS: u32 = 20 * 366;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Why the whole file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadCalendar {
    #[error("this is no calendar file: it is to be text in UTF-8 that begins with BEGIN:VCALENDAR")]
    NotACalendar,
    #[error("line {0}: components are nested more than {DEPTH_MAX} deep")]
    TooDeep(usize),
    #[error("line {0} is longer than {LINE_MAX_BYTES} bytes")]
    LongLine(usize),
    #[error("the file has more than {LINES_MAX} lines: part it")]
    TooLong,
    #[error("the file cannot be read: {0}")]
    Syntax(String),
    #[error("more than {IMPORT_MAX} appointments: part the file")]
    TooMany,
}

/// An event of a file, or one occurrence of it: an appointment, or why it is none.
#[derive(Debug)]
pub struct CalendarEntry {
    pub uid: String,
    pub row: Result<Row, String>,
}

/// The part of a file after `now`.
#[derive(Debug, Default)]
pub struct Read {
    pub entries: Vec<CalendarEntry>,
    /// Events and occurrences in the past or too far ahead, which are skipped.
    pub passed_over: usize,
}

/// Reads a file.
pub fn read(bytes: &[u8], context: Context<'_>, now: Timestamp) -> Result<Read, BadCalendar> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadCalendar::NotACalendar)?;
    let text = unfold(text.trim_start_matches('\u{feff}'));
    check(&text)?;
    let calendar = read_calendar(&text).map_err(|why| BadCalendar::Syntax(why.chars().take(200).collect()))?;
    let events: Vec<&Component<'_>> =
        calendar.components.iter().filter(|one| one.name.as_str().eq_ignore_ascii_case("VEVENT")).collect();
    // Occurrences of a series that have an event of their own.
    let own: HashSet<(String, Timestamp)> = events
        .iter()
        .filter_map(|event| Some((text_of(event, "UID"), time_of(find(event, "RECURRENCE-ID")?, context.zone).ok()?)))
        .collect();
    let mut read = Read::default();
    let mut recurring = 0;
    for event in events {
        recurring += usize::from(find(event, "RRULE").is_some() || find(event, "RDATE").is_some());
        let uid = text_of(event, "UID");
        match one(event, context, now, &own, recurring <= RECURRING_MAX) {
            Ok((rows, passed_over)) => {
                read.passed_over += passed_over;
                read.entries.extend(rows.into_iter().map(|row| CalendarEntry { uid: uid.clone(), row: Ok(row) }));
            }
            Err(why) => read.entries.push(CalendarEntry { uid, row: Err(why) }),
        }
        if read.entries.len() > IMPORT_MAX {
            return Err(BadCalendar::TooMany);
        }
    }
    Ok(read)
}

/// Checks limits that the parser does not have.
fn check(text: &str) -> Result<(), BadCalendar> {
    if !text.get(..15).is_some_and(|begin| begin.eq_ignore_ascii_case("BEGIN:VCALENDAR")) {
        return Err(BadCalendar::NotACalendar);
    }
    let mut depth = 0usize;
    for (number, line) in text.lines().enumerate() {
        if number >= LINES_MAX {
            return Err(BadCalendar::TooLong);
        }
        if line.len() > LINE_MAX_BYTES {
            return Err(BadCalendar::LongLine(number + 1));
        }
        let begins = |word: &str| line.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        if begins("BEGIN:") {
            depth += 1;
        } else if begins("END:") {
            depth = depth.saturating_sub(1);
        }
        if depth > DEPTH_MAX {
            return Err(BadCalendar::TooDeep(number + 1));
        }
    }
    Ok(())
}

/// The rows of an event, one for each occurrence, and the number of skipped ones.
fn one(
    event: &Component<'_>,
    context: Context<'_>,
    now: Timestamp,
    own: &HashSet<(String, Timestamp)>,
    may_recur: bool,
) -> Result<(Vec<Row>, usize), String> {
    let uid = text_of(event, "UID");
    if uid.is_empty() {
        return Err("it has no UID".to_owned());
    }
    let start = find(event, "DTSTART").ok_or("it has no DTSTART")?;
    let zone = zone_of(start, context.zone)?;
    let starts = time_of(start, context.zone)?;
    let minutes = minutes(event, starts, context.zone)?;
    let row = |at: Timestamp, uid: String| row(event, context, at, minutes, uid);
    let (first, last) = (now, now.plus(DAY * AHEAD_MAX_DAYS));
    let ahead = |at: &Timestamp| *at >= first && *at <= last;
    if let Some(instead_of) = find(event, "RECURRENCE-ID") {
        let uid = series_uid(&uid, time_of(instead_of, context.zone)?);
        return if ahead(&starts) { Ok((vec![row(starts, uid)?], 0)) } else { Ok((Vec::new(), 1)) };
    }
    let recurs = find(event, "RRULE").is_some() || find(event, "RDATE").is_some();
    if !recurs {
        return if ahead(&starts) { Ok((vec![row(starts, uid)?], 0)) } else { Ok((Vec::new(), 1)) };
    }
    if !may_recur {
        return Err(format!("more than {RECURRING_MAX} events of the file recur: part it"));
    }
    let times = times(event, starts, zone, first, last)?;
    let with_own = |at: &Timestamp| own.contains(&(uid.clone(), *at));
    let rows = times.into_iter().filter(|at| !with_own(at)).map(|at| row(at, series_uid(&uid, at)));
    Ok((rows.collect::<Result<_, _>>()?, 0))
}

fn series_uid(uid: &str, at: Timestamp) -> String {
    format!("{uid}/{}", at.to_utc().format("%Y%m%dT%H%M%SZ"))
}

/// The occurrences of a recurring event. It recurs in local time, so this computes with local times as if they were UTC
/// and converts each to its instant.
fn times(
    event: &Component<'_>,
    starts: Timestamp,
    zone: Tz,
    first: Timestamp,
    last: Timestamp,
) -> Result<Vec<Timestamp>, String> {
    if starts.plus(DAY * BEGAN_MAX_DAYS) < first {
        return Err("it began more than 20 years ago".to_owned());
    }
    let as_wall = |at: Timestamp| -> DateTime<rrule::Tz> { rrule::Tz::UTC.from_utc_datetime(&to_wall(at, zone)) };
    let mut set = RRuleSet::new(as_wall(starts)).after(as_wall(first)).before(as_wall(last));
    for property in all(event, "RRULE") {
        let parsed: RRule<Unvalidated> = wall_until(property.val.as_str(), zone)?
            .parse()
            .map_err(|why: rrule::RRuleError| format!("its RRULE cannot be read: {}", short(&why.to_string())))?;
        if matches!(parsed.get_freq(), Frequency::Hourly | Frequency::Minutely | Frequency::Secondly) {
            return Err("it recurs more often than daily".to_owned());
        }
        let checked = parsed.validate(as_wall(starts));
        set = set.rrule(checked.map_err(|why| format!("its RRULE makes no sense: {}", short(&why.to_string())))?);
    }
    let (mut more, mut less) = (Vec::new(), Vec::new());
    for (name, list) in [("RDATE", &mut more), ("EXDATE", &mut less)] {
        for property in all(event, name) {
            for part in property.val.as_str().split(',').take(EXDATES_MAX + 1) {
                list.push(as_wall(instant(part, zone_of(property, zone)?)?));
            }
        }
        if list.len() > EXDATES_MAX {
            return Err(format!("it has more than {EXDATES_MAX} dates in {name}"));
        }
    }
    if all(event, "RRULE").next().is_none() {
        more.push(as_wall(starts));
    }
    let found = set.set_rdates(more).set_exdates(less).all(OCCURRENCES_MAX + 1);
    if found.dates.len() > usize::from(OCCURRENCES_MAX) {
        return Err(format!("it recurs more than {OCCURRENCES_MAX} times within {AHEAD_MAX_DAYS} days"));
    }
    let mut times: Vec<Timestamp> = found.dates.iter().map(|wall| to_instant(wall.naive_utc(), zone)).collect();
    times.sort_unstable();
    times.dedup();
    Ok(times)
}

/// A rule with its UNTIL in local time, marked as UTC.
fn wall_until(rule: &str, zone: Tz) -> Result<String, String> {
    let parts: Result<Vec<String>, String> = rule
        .split(';')
        .map(|part| match part.split_once('=') {
            Some((name, until)) if name.eq_ignore_ascii_case("UNTIL") => {
                let wall = match until.len() {
                    8 => local(&format!("{until}T235959"))?,
                    _ => to_wall(instant(until, zone)?, zone),
                };
                Ok(format!("UNTIL={}Z", wall.format("%Y%m%dT%H%M%S")))
            }
            _ => Ok(part.to_owned()),
        })
        .collect();
    Ok(parts?.join(";"))
}

fn row(
    event: &Component<'_>,
    context: Context<'_>,
    at: Timestamp,
    minutes: Option<u32>,
    uid: String,
) -> Result<Row, String> {
    let named = ["ATTENDEE", "CONTACT", "SUMMARY", "DESCRIPTION", "LOCATION"];
    let texts: Vec<String> = named.iter().flat_map(|name| all(event, name)).map(value).collect();
    let customer = in_text::one_number(&texts, context.home).map_err(|why| why.to_string())?;
    let summary = in_text::without_numbers(&text_of(event, "SUMMARY"), context.home);
    let category = find(event, "CATEGORIES").map(|list| first_of_list(list.val.as_str())).unwrap_or_default();
    let category = category.trim();
    let words: Vec<&str> = summary.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).collect();
    let service = if category.is_empty() { words.join(" ") } else { category.to_owned() };
    let service: String = service.chars().filter(|c| !c.is_control()).take(NAME_MAX_CHARS).collect();
    let cancelled = text_of(event, "STATUS").eq_ignore_ascii_case("CANCELLED");
    let note: String = text_of(event, "DESCRIPTION").chars().take(NOTE_MAX_CHARS).collect();
    Ok(Row {
        new: NewAppointment {
            tenant: context.tenant,
            zone: context.zone,
            customer,
            customer_name: String::new(),
            service: if service.trim().is_empty() { "appointment".to_owned() } else { service },
            new_service: true,
            minutes,
            staff: context.staff.map(str::to_owned),
            starts: Starts::At(at),
            note,
            uid: Some(uid),
            by: By::Import,
        },
        state: cancelled.then_some(AppointmentState::Cancelled),
    })
}

#[cfg(test)]
mod tests;
