//! Reads appointments from a calendar file (iCalendar, RFC 5545), with recurring ones.
//!
//! The customer is the first phone number in international form in ATTENDEE, CONTACT, SUMMARY, DESCRIPTION or LOCATION.
//! The service is the first of CATEGORIES, else the SUMMARY without the number. Files are hostile: size, nesting and
//! recurrence are limited before anything is computed.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property, read_calendar, unfold};
use rrule::{Frequency, RRule, RRuleSet, Unvalidated};

use super::sheet::Context;
use crate::domain::{AppointmentState, By, Phone, Timestamp};
use crate::store::tables::appointments::{
    IMPORT_MAX, MINUTES_MAX, NAME_MAX_CHARS, NOTE_MAX_CHARS, NewAppointment, Row, Starts,
};
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
pub struct Entry {
    pub uid: String,
    pub row: Result<Row, String>,
}

/// The part of a file after `now`.
#[derive(Debug, Default)]
pub struct Read {
    pub entries: Vec<Entry>,
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
                read.entries.extend(rows.into_iter().map(|row| Entry { uid: uid.clone(), row: Ok(row) }));
            }
            Err(why) => read.entries.push(Entry { uid, row: Err(why) }),
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
    let found = texts.iter().find_map(|text| number_in(text));
    let (customer, written) = found.ok_or("it names no customer: write their number in it, such as +34600111222")?;
    let summary = text_of(event, "SUMMARY").replace(&written, " ");
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

/// The first number in international form, and its spelling there.
fn number_in(text: &str) -> Option<(Phone, String)> {
    text.match_indices('+').find_map(|(at, _)| {
        let written: String =
            text[at..].chars().take_while(|c| c.is_ascii_digit() || "+ ().-\u{a0}".contains(*c)).take(30).collect();
        let written = written.trim_end_matches([' ', '(', '.', '-', '\u{a0}']);
        Some((Phone::parse_human(written).ok()?, written.to_owned()))
    })
}

/// The duration from DTEND or DURATION; `None` where neither is present.
fn minutes(event: &Component<'_>, starts: Timestamp, zone: Tz) -> Result<Option<u32>, String> {
    let seconds = match (find(event, "DTEND"), find(event, "DURATION")) {
        (Some(end), _) => time_of(end, zone)?.since(starts).as_secs(),
        (None, Some(span)) => seconds(span.val.as_str()).ok_or("its DURATION cannot be read")?,
        (None, None) => return Ok(None),
    };
    let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
    if (1..=MINUTES_MAX).contains(&minutes) {
        return Ok(Some(minutes));
    }
    Err(format!("it lasts {minutes} minutes: an appointment lasts 1 to {MINUTES_MAX}"))
}

/// `PT1H30M`, `P1D`, `P1W` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, String::new());
    for c in text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?.chars() {
        let unit = match c {
            '0'..='9' if number.len() < 6 => {
                number.push(c);
                continue;
            }
            'T' if number.is_empty() => continue,
            'W' => 7 * 86_400,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        total += number.parse::<u64>().ok()? * unit;
        number.clear();
    }
    number.is_empty().then_some(total)
}

fn all<'e>(event: &'e Component<'_>, name: &'e str) -> impl Iterator<Item = &'e Property<'e>> {
    event.properties.iter().filter(move |property| property.name.as_str().eq_ignore_ascii_case(name))
}

fn find<'e>(event: &'e Component<'_>, name: &'e str) -> Option<&'e Property<'e>> {
    all(event, name).next()
}

/// A property's text, unescaped.
fn value(property: &Property<'_>) -> String {
    property.val.clone().unescape_text().as_str().to_owned()
}

/// The first of comma-separated texts, unescaped.
fn first_of_list(list: &str) -> String {
    let mut first = String::new();
    let mut chars = list.chars();
    while let Some(c) = chars.next().filter(|c| *c != ',') {
        first.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    first
}

fn text_of(event: &Component<'_>, name: &str) -> String {
    find(event, name).map(value).unwrap_or_default()
}

/// The zone that a property names, else `other`.
fn zone_of(property: &Property<'_>, other: Tz) -> Result<Tz, String> {
    let named = property.params.iter().find(|param| param.key.as_str().eq_ignore_ascii_case("TZID"));
    match named.and_then(|param| param.val.as_ref()) {
        Some(name) => {
            let name = name.as_str().trim_matches('"');
            name.parse().map_err(|_| format!("its zone '{}' is none of IANA's, such as Europe/Madrid", short(name)))
        }
        None => Ok(other),
    }
}

fn time_of(property: &Property<'_>, zone: Tz) -> Result<Timestamp, String> {
    instant(property.val.as_str(), zone_of(property, zone)?)
}

/// `20261201T100000` in local time, or with a `Z` in UTC.
fn instant(text: &str, zone: Tz) -> Result<Timestamp, String> {
    let text = text.trim();
    if text.len() == 8 {
        return Err("it is about whole days: an appointment has a time".to_owned());
    }
    match text.strip_suffix(['Z', 'z']) {
        Some(utc) => Ok(DateTime::<Utc>::from_naive_utc_and_offset(local(utc)?, Utc).into()),
        None => Ok(to_instant(local(text)?, zone)),
    }
}

fn local(text: &str) -> Result<NaiveDateTime, String> {
    let parsed = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    let known = parsed.filter(|at| (1970..=9_998).contains(&chrono::Datelike::year(at)));
    known.ok_or_else(|| format!("'{}' is no time", short(text)))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::TenantId;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn file(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    fn event(uid: &str, rest: &str) -> String {
        format!("BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:Cut +34 600 111 222\r\n{rest}END:VEVENT\r\n")
    }

    fn read_at(text: &str, now: &str) -> Read {
        let context = Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::Europe__Madrid, staff: None };
        read(text.as_bytes(), context, at(now)).unwrap()
    }

    fn starts(read: &Read) -> Vec<String> {
        let of = |entry: &Entry| match &entry.row {
            Ok(Row { new: NewAppointment { starts: Starts::At(at), .. }, .. }) => at.to_string(),
            Ok(_) => "by the wall".to_owned(),
            Err(why) => why.clone(),
        };
        read.entries.iter().map(of).collect()
    }

    #[test]
    fn a_weekly_event_keeps_its_hour_across_the_clock_change() {
        let series = event(
            "a",
            "DTSTART;TZID=Europe/Madrid:20261012T100000\r\nDTEND;TZID=Europe/Madrid:20261012T104500\r\n\
             RRULE:FREQ=WEEKLY;UNTIL=20261109T090000Z\r\nEXDATE;TZID=Europe/Madrid:20261019T100000\r\n",
        );
        let own = event(
            "a",
            "RECURRENCE-ID;TZID=Europe/Madrid:20261102T100000\r\nDTSTART;TZID=Europe/Madrid:20261102T120000\r\n",
        );
        let text = file(&[series, own].concat());
        let read = read_at(&text, "2026-10-01T00:00:00Z");
        // Mondays the 12th and 26th, not the 19th; the 2nd of November has an event of its own; UNTIL is included.
        let expected = ["2026-10-12T08:00:00Z", "2026-10-26T09:00:00Z", "2026-11-09T09:00:00Z", "2026-11-02T11:00:00Z"];
        assert_eq!(starts(&read), expected);
        let first = read.entries[0].row.as_ref().unwrap();
        assert_eq!((first.new.service.as_str(), first.new.customer.as_str()), ("Cut", "+34600111222"));
        assert_eq!((first.new.minutes, first.new.uid.as_deref()), (Some(45), Some("a/20261012T080000Z")));
        let moved = read.entries[3].row.as_ref().unwrap();
        assert_eq!(moved.new.uid.as_deref(), Some("a/20261102T090000Z"), "it is known by the time that it stands for");
    }

    #[test]
    fn what_is_refused_says_why() {
        let check = |rest: &str, says: &str| {
            let read = read_at(&file(&event("a", rest)), "2026-10-01T00:00:00Z");
            assert!(starts(&read).first().is_some_and(|said| said.contains(says)), "{rest}: {:?}", starts(&read));
        };
        check("", "no DTSTART");
        check("DTSTART;VALUE=DATE:20261201\r\n", "whole days");
        check("DTSTART;TZID=Mars/Olympus:20261201T100000\r\n", "none of IANA's");
        check("DTSTART:20261201T1000\r\n", "no time");
        check("DTSTART:20261201T100000Z\r\nDTEND:20261205T100000Z\r\n", "minutes");
        check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=SECONDLY\r\n", "more often than daily");
        check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=DAILY;BYHOUR=1,2,3,4\r\n", "more than 400 times");
        check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=NEVER\r\n", "RRULE");
        check("DTSTART:19700101T100000Z\r\nRRULE:FREQ=DAILY\r\n", "20 years ago");
        let nobody = "BEGIN:VEVENT\r\nUID:b\r\nSUMMARY:Lunch\r\nDTSTART:20261201T100000Z\r\nEND:VEVENT\r\n";
        assert!(starts(&read_at(&file(nobody), "2026-10-01T00:00:00Z"))[0].contains("names no customer"));
        let past = read_at(&file(&event("a", "DTSTART:20200101T100000Z\r\n")), "2026-10-01T00:00:00Z");
        assert_eq!((past.entries.len(), past.passed_over), (0, 1));
    }

    #[test]
    fn deep_long_and_foreign_files_are_refused() {
        let context = Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::UTC, staff: None };
        let read = |text: &str| read(text.as_bytes(), context, at("2026-10-01T00:00:00Z"));
        assert!(matches!(read(&"BEGIN:VCALENDAR\r\n".repeat(100_000)), Err(BadCalendar::TooDeep(5))));
        let long = file(&format!("X-A:{}\r\n", "x".repeat(20_000)));
        assert!(matches!(read(&long), Err(BadCalendar::LongLine(_))));
        assert!(matches!(read("hello"), Err(BadCalendar::NotACalendar)));
        assert!(matches!(read(&file(&"X-A:1\r\n".repeat(200_001))), Err(BadCalendar::TooLong)));
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in
            [("PT1H30M", Some(5_400)), ("P1D", Some(86_400)), ("P1W", Some(604_800)), ("1H", None), ("PT9", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn no_file_makes_it_panic(
            noise in "\\PC{0,60}",
            name in prop::sample::select(vec!["DTSTART", "DTEND", "RRULE", "EXDATE", "RDATE", "DURATION", "SUMMARY", "UID"]),
            param in prop::sample::select(vec!["", ";TZID=Europe/Madrid", ";TZID=", ";VALUE=DATE", ";X=\"a:b\""]),
            rule in "FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;(COUNT|INTERVAL|BYMONTHDAY|BYSETPOS|BYMONTH|BYWEEKNO)=-?[0-9]{1,3}){0,2}(;BYDAY=(-?[1-5])?(MO|SU))?",
            day in 1u32..32, hour in 0u32..24,
        ) {
            let text = file(&event("a", &format!(
                "DTSTART;TZID=Europe/Madrid:202603{day:02}T{hour:02}3000\r\nRRULE:{rule}\r\n{name}{param}:{noise}\r\n"
            )));
            let context = Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::Europe__Madrid, staff: None };
            let _ = read(text.as_bytes(), context, at("2026-02-01T00:00:00Z"));
            let _ = read(noise.as_bytes(), context, at("2026-02-01T00:00:00Z"));
        }
    }
}
