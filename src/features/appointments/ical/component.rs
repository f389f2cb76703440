//! The components of a calendar file: calendars, events, and descriptions of time zones.

use super::lines::{BadLine, Property, property, unfolded};
use super::zones::{Definition, Observance};
use super::{BadCalendar, LeftOut, LeftOuts};

/// The deepest nesting. A calendar, an event and an alarm are three.
const DEPTH_MAX: usize = 32;
/// The most parts of a description of a time zone. Full histories have about a hundred.
const OBSERVANCES_MAX: usize = 500;
/// The properties of an event that are read. Others may be as long as they like.
const READ: [&str; 19] = [
    "UID",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "EXRULE",
    "RECURRENCE-ID",
    "SEQUENCE",
    "DTSTAMP",
    "STATUS",
    "TRANSP",
    "SUMMARY",
    "DESCRIPTION",
    "LOCATION",
    "ATTENDEE",
    "CONTACT",
    "CATEGORIES",
];

/// A VCALENDAR. One file may have several.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    pub method: Option<Property>,
    /// X-WR-TIMEZONE: the zone of times that name none.
    pub zone: Option<Property>,
    pub zones: Vec<Definition>,
    pub events: Vec<Event>,
}

/// A VEVENT.
#[derive(Debug)]
pub(super) struct Event {
    pub line: usize,
    pub properties: Vec<Property>,
    /// Whether a property was left out, so that it may be incomplete.
    pub is_damaged: bool,
}

/// Reads the calendars of a file. What is outside of them, or cannot be read, is left out.
pub(super) fn calendars(bytes: &[u8], left_out: &mut LeftOuts) -> Result<Vec<Calendar>, BadCalendar> {
    let mut reader = Reader { calendars: Vec::new(), open: Vec::new(), event: None, zone: None, left_out };
    for (number, line) in unfolded(bytes) {
        match property(number, &line) {
            Ok(property) if property.name == "BEGIN" => reader.begin(&property)?,
            Ok(property) if property.name == "END" => reader.end(&property),
            Ok(property) => reader.add(property),
            Err(bad) => reader.leave_out(bad),
        }
    }
    if let Some(event) = reader.event.take() {
        let why = "the file ends within this event: export it again";
        reader.left_out.add(LeftOut::new(event.line, "BEGIN", why));
    }
    let calendars = reader.calendars;
    if calendars.is_empty() { Err(BadCalendar::NotACalendar) } else { Ok(calendars) }
}

struct Reader<'l> {
    calendars: Vec<Calendar>,
    /// The names of the open components, the innermost last.
    open: Vec<String>,
    event: Option<Event>,
    zone: Option<Definition>,
    left_out: &'l mut LeftOuts,
}

impl Reader<'_> {
    fn begin(&mut self, property: &Property) -> Result<(), BadCalendar> {
        let name = property.value.trim().to_ascii_uppercase();
        if self.open.len() >= DEPTH_MAX {
            return Err(BadCalendar::TooDeep(property.line));
        }
        match name.as_str() {
            "VCALENDAR" => self.calendars.push(Calendar::default()),
            "VEVENT" => {
                // The end of the event before is missing; its lines were read.
                self.close("VEVENT");
                self.event = Some(Event { line: property.line, properties: Vec::new(), is_damaged: false });
            }
            "VTIMEZONE" => {
                self.close("VTIMEZONE");
                self.zone = Some(Definition::default());
            }
            "STANDARD" | "DAYLIGHT" => {
                if let Some(zone) = self.zone.as_mut().filter(|zone| zone.observances.len() < OBSERVANCES_MAX) {
                    zone.observances.push(Observance::new(property.line));
                }
            }
            _ => {}
        }
        self.open.push(name);
        Ok(())
    }

    fn end(&mut self, property: &Property) {
        let name = property.value.trim().to_ascii_uppercase();
        if !self.open.contains(&name) {
            let why = format!("no {} is open", super::fields::short(&name));
            return self.left_out.add(LeftOut { matters: false, ..LeftOut::new(property.line, "END", &why) });
        }
        self.close(&name);
    }

    /// Closes a component and what is open within it.
    fn close(&mut self, name: &str) {
        let Some(at) = self.open.iter().rposition(|open| open == name) else { return };
        for name in self.open.split_off(at) {
            let calendar = self.calendars.last_mut();
            match (name.as_str(), calendar) {
                ("VEVENT", Some(calendar)) => calendar.events.extend(self.event.take()),
                ("VTIMEZONE", Some(calendar)) => calendar.zones.extend(self.zone.take()),
                _ => {}
            }
        }
    }

    fn add(&mut self, property: Property) {
        let within = self.open.last().map(String::as_str);
        match (within, property.name.as_str()) {
            (Some("VEVENT"), name) if READ.contains(&name) => {
                if let Some(event) = &mut self.event {
                    event.properties.push(property);
                }
            }
            (Some("VTIMEZONE"), "TZID") => {
                if let Some(zone) = &mut self.zone {
                    zone.id = property.value.trim().trim_matches('"').to_owned();
                }
            }
            (Some("STANDARD" | "DAYLIGHT"), _) => {
                if let Some(observance) = self.zone.as_mut().and_then(|zone| zone.observances.last_mut()) {
                    observance.properties.push(property);
                }
            }
            (Some("VCALENDAR"), "METHOD") => self.last(|calendar| &mut calendar.method, property),
            (Some("VCALENDAR"), "X-WR-TIMEZONE") => self.last(|calendar| &mut calendar.zone, property),
            _ => {}
        }
    }

    fn last(&mut self, field: fn(&mut Calendar) -> &mut Option<Property>, property: Property) {
        if let Some(calendar) = self.calendars.last_mut() {
            *field(calendar) = Some(property);
        }
    }

    fn leave_out(&mut self, bad: BadLine) {
        // A program's greeting before the first calendar is no line of it.
        if self.calendars.is_empty() {
            return;
        }
        let in_event = self.open.iter().any(|open| open == "VEVENT");
        let is_read = bad.name.as_deref().is_none_or(|name| READ.contains(&name));
        if let Some(event) = self.event.as_mut().filter(|_| is_read) {
            event.is_damaged = true;
        }
        let name = bad.name.unwrap_or_default();
        self.left_out.add(LeftOut { matters: in_event && is_read, ..LeftOut::new(bad.line, &name, &bad.why) });
    }
}
