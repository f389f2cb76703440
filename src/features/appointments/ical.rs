//! Reads appointments from a calendar file (iCalendar, RFC 5545 and RFC 5546), with recurring ones.
//!
//! The customer is the one phone number in ATTENDEE, CONTACT, SUMMARY, DESCRIPTION and LOCATION, as [`in_text`] finds it.
//! The service is the first of CATEGORIES, else the SUMMARY without the number. An event that is TRANSPARENT takes nobody's
//! time, so it has no member of staff.
//!
//! Files are hostile, and programs write them loosely. Lines that cannot be read are left out and named; the rest is read.
//! The time to read a file grows with its size, and what is computed of recurring events is limited for the whole file.
//!
//! | to change … | look in |
//! |---|---|
//! | lines: folds, quotes, letters | [`lines`] |
//! | calendars, events, what belongs to which | [`component`] |
//! | names and descriptions of time zones | [`zones`], [`windows`] |
//! | the properties of one event | [`event`], [`fields`] |
//! | series, changed occurrences, what is withdrawn | [`series`] |
//! | recurrence rules | [`crate::time::recurrence`] |

mod component;
mod event;
mod fields;
mod lines;
mod series;
mod windows;
mod zones;

use std::collections::{HashMap, HashSet};

use component::{Calendar, Event, calendars};
use event::{Item, Method, Reader};
use fields::{all, find, first_of_list, short, text_of, value};
use series::{Expanded, Occurrence, Window, expand};
use zones::{Zone, Zones};

use super::sheet::Context;
use crate::domain::phone::in_text;
use crate::domain::{By, Timestamp};
use crate::store::tables::appointments::{
    IMPORT_MAX, NAME_MAX_CHARS, NOTE_MAX_CHARS, NewAppointment, Row, Starts, Withdrawal,
};
use crate::time::recurrence::Budget;

/// The most occurrences of one event.
pub const OCCURRENCES_MAX: u16 = 400;
pub const AHEAD_MAX_DAYS: u32 = 366;
/// The most steps for the recurrence of all events of a file; a step is a day or a time that is looked at.
const STEPS_MAX: u64 = 4_000_000;
/// The most lines that are named as left out. Others are counted.
const LEFT_OUT_MAX: usize = 1_000;

/// Why the whole file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadCalendar {
    #[error("this is no calendar file: it has no line BEGIN:VCALENDAR")]
    NotACalendar,
    #[error("line {0}: too many components within each other: export the file again")]
    TooDeep(usize),
    #[error("more than {IMPORT_MAX} appointments: part the file")]
    TooMany,
}

/// An event of a file, or one occurrence of it: an appointment, or why it is none.
#[derive(Debug)]
pub struct CalendarEntry {
    pub uid: String,
    pub row: Result<Row, String>,
}

/// A line that was left out, or an event that a line names.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    pub line: usize,
    /// The name of the property, if the line has one.
    pub property: String,
    pub reason: String,
    /// Whether an appointment may be missing or wrong without it.
    pub matters: bool,
}

impl LeftOut {
    fn new(line: usize, property: &str, reason: &str) -> Self {
        Self { line, property: short(property), reason: reason.to_owned(), matters: true }
    }
}

/// The lines that were left out.
#[derive(Debug, Default)]
pub struct LeftOuts {
    /// The first ones.
    pub named: Vec<LeftOut>,
    /// How many there are besides.
    pub more: usize,
}

impl LeftOuts {
    fn add(&mut self, left_out: LeftOut) {
        if self.named.len() < LEFT_OUT_MAX { self.named.push(left_out) } else { self.more += 1 }
    }
}

/// The part of a file after `now`.
#[derive(Debug, Default)]
pub struct Read {
    pub entries: Vec<CalendarEntry>,
    /// What of the events in the file no longer takes place.
    pub withdrawals: Vec<Withdrawal>,
    /// Events and occurrences in the past or too far ahead, which are skipped.
    pub passed_over: usize,
    pub left_out: LeftOuts,
}

/// Reads a file.
pub fn read(bytes: &[u8], context: Context<'_>, now: Timestamp) -> Result<Read, BadCalendar> {
    let mut read = Read::default();
    let mut budget = Budget::new(STEPS_MAX);
    let window = Window::new(now);
    let calendars = calendars(bytes, &mut read.left_out)?;
    let mut by_uid: Vec<Vec<Item<'_>>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for calendar in &calendars {
        for item in items(calendar, context, window, &mut read, &mut budget) {
            // Events without a UID have nothing to do with each other.
            let next = by_uid.len();
            let place = if item.uid.is_empty() { next } else { *places.entry(item.uid.clone()).or_insert(next) };
            if place == next {
                by_uid.push(Vec::new());
            }
            by_uid[place].push(item);
        }
    }
    let mut rows = 0;
    for items in &by_uid {
        let expanded = expand(items, window, &mut read.left_out, &mut budget);
        rows += expanded.occurrences.len();
        if rows > IMPORT_MAX {
            return Err(BadCalendar::TooMany);
        }
        read.take(&items[0].uid, expanded, context);
    }
    Ok(read)
}

/// The events of a calendar, unless its METHOD changes nothing.
fn items<'f>(
    calendar: &'f Calendar,
    context: Context<'_>,
    window: Window,
    read: &mut Read,
    budget: &mut Budget,
) -> Vec<Item<'f>> {
    let method = calendar.method.as_ref().map_or(Method::Stand, |property| Method::new(&property.value));
    if let (Method::Nothing, Some(property)) = (method, &calendar.method) {
        let reason = format!("{} is an answer or a question: it changes no appointment", short(property.value.trim()));
        read.left_out.add(LeftOut { matters: false, ..LeftOut::new(property.line, "METHOD", &reason) });
        return Vec::new();
    }
    let mut zones = Zones::new(&calendar.zones, Zone::Iana(context.zone), window.to);
    if let Some(property) = calendar.zone.as_ref().filter(|property| !property.value.trim().is_empty()) {
        match zones.named(&property.value, budget) {
            Ok(zone) => zones.default = zone,
            Err(why) => read.left_out.add(LeftOut::new(property.line, "X-WR-TIMEZONE", &why)),
        }
    }
    let mut reader = Reader { zones, method, left_out: &mut read.left_out, budget };
    let mut items = Vec::new();
    for event in &calendar.events {
        match reader.item(event) {
            Ok(item) => items.push(item),
            Err(why) => read.entries.push(CalendarEntry { uid: text_of(event, "UID"), row: Err(why) }),
        }
    }
    items
}

impl Read {
    fn take(&mut self, uid: &str, expanded: Expanded<'_, '_>, context: Context<'_>) {
        self.passed_over += expanded.passed_over;
        let refused = expanded.refused.into_iter().map(Err);
        // An event is read once for all its occurrences, and what refuses it is said once.
        let mut templates: HashMap<usize, Result<Row, String>> = HashMap::new();
        let mut said = HashSet::new();
        let mut rows = Vec::new();
        for occurrence in expanded.occurrences {
            let Occurrence { item, at, minutes, place } = occurrence;
            let line = item.event.line;
            let template = templates.entry(line).or_insert_with(|| row(item.event, context, at));
            let row = template.clone().and_then(|mut row| {
                row.new.starts = Starts::At(at);
                row.new.minutes = minutes?;
                if !item.uid.is_empty() {
                    row.new.uid = Some(place.external_id());
                    row.calendar = Some(place);
                }
                Ok(row)
            });
            if row.as_ref().err().is_none_or(|why| said.insert((line, why.clone()))) {
                rows.push(row);
            }
        }
        let rows = rows.into_iter().chain(refused);
        self.entries.extend(rows.map(|row| CalendarEntry { uid: uid.to_owned(), row }));
        if !uid.is_empty() {
            self.withdrawals.extend(expanded.withdrawals);
        }
    }
}

/// The row of an event, without its length and its external id.
fn row(event: &Event, context: Context<'_>, at: Timestamp) -> Result<Row, String> {
    let named = ["ATTENDEE", "CONTACT", "SUMMARY", "DESCRIPTION", "LOCATION"];
    let texts: Vec<String> = named.iter().flat_map(|name| all(event, name)).map(value).collect();
    let customer = in_text::one_number(&texts, context.home).map_err(|why| why.to_string())?;
    let summary = in_text::without_numbers(&text_of(event, "SUMMARY"), context.home);
    let category = find(event, "CATEGORIES").map(|list| first_of_list(&list.value)).unwrap_or_default();
    let category = category.trim();
    let words: Vec<&str> = summary.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).collect();
    let service = if category.is_empty() { words.join(" ") } else { category.to_owned() };
    let service: String = service.chars().filter(|c| !c.is_control()).take(NAME_MAX_CHARS).collect();
    let takes_time = !text_of(event, "TRANSP").trim().eq_ignore_ascii_case("TRANSPARENT");
    let note: String = text_of(event, "DESCRIPTION").chars().take(NOTE_MAX_CHARS).collect();
    Ok(Row {
        new: NewAppointment {
            tenant: context.tenant,
            zone: context.zone,
            customer,
            customer_name: String::new(),
            service: if service.trim().is_empty() { "appointment".to_owned() } else { service },
            new_service: true,
            minutes: None,
            staff: context.staff.filter(|_| takes_time).map(str::to_owned),
            starts: Starts::At(at),
            note,
            uid: None,
            by: By::Import,
        },
        state: None,
        calendar: None,
    })
}

#[cfg(test)]
mod tests;
