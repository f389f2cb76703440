//! An event of a calendar file with its times, before it is expanded.

use super::component::Event;
use super::fields::{Moment, all, find, moment, seconds, short, text_of, zone_of};
use super::lines::Property;
use super::zones::{Zone, Zones};
use super::{LeftOut, LeftOuts};
use crate::domain::Timestamp;
use crate::store::tables::appointments::{CalendarPlace, CalendarVersion};
use crate::time::recurrence::{Budget, Rule};

/// The most dates of one event in RDATE or EXDATE.
const DATES_MAX: usize = 5_000;

/// What the METHOD of a calendar does with its events (RFC 5546).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// PUBLISH, REQUEST, or none: they stand.
    Stand,
    /// ADD: they are further occurrences.
    Add,
    /// CANCEL: they are called off.
    Cancel,
    /// An answer or a question of an attendee: nothing.
    Nothing,
}

impl Method {
    pub fn new(text: &str) -> Self {
        match text.trim().to_ascii_uppercase().as_str() {
            "ADD" => Self::Add,
            "CANCEL" => Self::Cancel,
            "REPLY" | "REFRESH" | "COUNTER" | "DECLINECOUNTER" => Self::Nothing,
            _ => Self::Stand,
        }
    }
}

/// An event that was read.
#[derive(Debug)]
pub(super) struct Item<'f> {
    pub event: &'f Event,
    pub uid: String,
    /// The start; an error says why there is none.
    pub starts: Result<Moment, String>,
    /// The length in seconds, where the file has one.
    pub lasts_s: Option<i64>,
    /// RECURRENCE-ID: the occurrence that it stands for.
    pub instead_of: Option<Moment>,
    /// RANGE=THISANDFUTURE: it stands for all later occurrences, too.
    pub and_later: bool,
    pub version: CalendarVersion,
    pub is_cancelled: bool,
    /// Whether RRULE or RDATE is there, readable or not.
    pub recurs: bool,
    /// Whether anything about its times could not be read.
    pub is_damaged: bool,
    pub rules: Vec<Rule>,
    pub not_rules: Vec<Rule>,
    /// RDATE: more occurrences, and their lengths where they have their own.
    pub more: Vec<(Moment, Option<i64>)>,
    /// EXDATE.
    pub less: Vec<Moment>,
}

/// Reads events of one calendar.
pub(super) struct Reader<'f, 'l> {
    pub zones: Zones<'f>,
    pub method: Method,
    pub left_out: &'l mut LeftOuts,
    pub budget: &'l mut Budget,
}

impl<'f> Reader<'f, '_> {
    pub fn item(&mut self, event: &'f Event) -> Result<Item<'f>, String> {
        let default = self.zones.default.clone();
        let starts = match find(event, "DTSTART") {
            Some(property) => self.time(property, &default).map_err(|why| at_line(property, &why)),
            None => Err("it has no DTSTART".to_owned()),
        };
        let zone = match &starts {
            Ok(Moment::At(_, zone)) => zone.clone(),
            _ => default,
        };
        let is_added = self.method == Method::Add;
        let (instead_of, and_later) = match find(event, "RECURRENCE-ID") {
            Some(property) => {
                let moment = self.time(property, &zone).map_err(|why| at_line(property, &why))?;
                let range = property.param("RANGE").unwrap_or_default();
                (Some(moment), range.eq_ignore_ascii_case("THISANDFUTURE"))
            }
            None => (starts.as_ref().ok().filter(|_| is_added).cloned(), false),
        };
        let status = text_of(event, "STATUS");
        let mut item = Item {
            event,
            uid: CalendarPlace::key(&text_of(event, "UID")),
            lasts_s: None,
            instead_of,
            and_later,
            version: self.version(event),
            is_cancelled: self.method == Method::Cancel || status.trim().eq_ignore_ascii_case("CANCELLED"),
            recurs: ["RRULE", "RDATE"].iter().any(|name| all(event, name).any(|one| !one.value.trim().is_empty())),
            is_damaged: event.is_damaged,
            rules: Vec::new(),
            not_rules: Vec::new(),
            more: Vec::new(),
            less: Vec::new(),
            starts,
        };
        item.lasts_s = self.length(&mut item, &zone);
        self.recurrence(&mut item, &zone)?;
        Ok(item)
    }

    fn time(&mut self, property: &Property, other: &Zone) -> Result<Moment, String> {
        let zone = zone_of(property, &mut self.zones, other, self.budget)?;
        moment(&property.value, &zone)
    }

    fn version(&mut self, event: &Event) -> CalendarVersion {
        let sequence = find(event, "SEQUENCE").map(|property| (property, property.value.trim().parse().ok()));
        if let Some((property, None)) = sequence {
            let why = format!("'{}' is no number", short(&property.value));
            self.left_out.add(LeftOut::new(property.line, "SEQUENCE", &why));
        }
        let stamp = find(event, "DTSTAMP").and_then(|property| moment(&property.value, &Zone::UTC).ok());
        CalendarVersion {
            sequence: sequence.and_then(|(_, number)| number).unwrap_or_default(),
            stamp: stamp.map(|stamp| stamp.instant(&Zone::UTC)),
        }
    }

    /// Names a line, and remembers that the event is not whole.
    fn leave_out(&mut self, item: &mut Item<'_>, property: &Property, why: &str) {
        item.is_damaged = true;
        self.left_out.add(LeftOut::new(property.line, &property.name, why));
    }

    /// The length of an event, from DTEND or DURATION.
    fn length(&mut self, item: &mut Item<'f>, zone: &Zone) -> Option<i64> {
        let starts = match &item.starts {
            Ok(starts @ Moment::At(..)) => starts.instant(zone),
            _ => return None,
        };
        if let Some(property) = find(item.event, "DTEND") {
            match self.time(property, zone) {
                Ok(end @ Moment::At(..)) => return Some(seconds_between(starts, end.instant(zone))),
                Ok(Moment::Day(_)) => self.leave_out(item, property, "a date, but the start is a time"),
                Err(why) => self.leave_out(item, property, &why),
            }
        } else if let Some(property) = find(item.event, "DURATION") {
            let length = seconds(&property.value);
            if length.is_none() {
                self.leave_out(item, property, &format!("'{}' is no length of time", short(&property.value)));
            }
            return length;
        }
        None
    }

    /// RRULE, EXRULE, RDATE, EXDATE. What cannot be read is left out.
    fn recurrence(&mut self, item: &mut Item<'f>, zone: &Zone) -> Result<(), String> {
        let event = item.event;
        for property in &event.properties {
            match property.name.as_str() {
                "RRULE" | "EXRULE" if !property.value.trim().is_empty() => match Rule::parse(&property.value) {
                    Ok(rule) if property.name == "RRULE" => item.rules.push(rule),
                    Ok(rule) => item.not_rules.push(rule),
                    Err(why) => self.leave_out(item, property, &why.to_string()),
                },
                "RDATE" | "EXDATE" => self.dates(item, property, zone),
                _ => {}
            }
            if item.more.len().max(item.less.len()) > DATES_MAX {
                return Err(format!("it has more than {DATES_MAX} dates in RDATE or EXDATE"));
            }
        }
        Ok(())
    }

    fn dates(&mut self, item: &mut Item<'f>, property: &Property, zone: &Zone) {
        let zone = match zone_of(property, &mut self.zones, zone, self.budget) {
            Ok(zone) => zone,
            Err(why) => return self.leave_out(item, property, &why),
        };
        for text in property.value.split(',').map(str::trim).filter(|text| !text.is_empty()).take(DATES_MAX + 1) {
            let (start, end) = text.split_once('/').map_or((text, None), |(start, end)| (start, Some(end)));
            let read = moment(start, &zone).and_then(|start| Ok((period(&start, end, &zone)?, start)));
            match read {
                Ok((_, start)) if property.name == "EXDATE" => item.less.push(start),
                Ok((length, start)) => item.more.push((start, length)),
                Err(why) => self.leave_out(item, property, &why),
            }
        }
    }
}

/// The length of a period in seconds: its second part is a time or a length.
fn period(start: &Moment, end: Option<&str>, zone: &Zone) -> Result<Option<i64>, String> {
    let Some(end) = end else { return Ok(None) };
    match seconds(end) {
        Some(length) => Ok(Some(length)),
        None => Ok(Some(seconds_between(start.instant(zone), moment(end, zone)?.instant(zone)))),
    }
}

const fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.unix_us() - from.unix_us()) / 1_000_000
}

fn at_line(property: &Property, why: &str) -> String {
    format!("line {}: {}: {why}", property.line, property.name)
}
