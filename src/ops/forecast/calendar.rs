//! A forecast as a calendar (iCalendar, RFC 5545).

use std::time::Duration;

use icalendar::{Calendar, Component, Event, EventLike};
use sha2::{Digest, Sha256};

use super::{Forecast, ForecastSend, Outcome};
use crate::features::appointments::feed::clean;

/// The length of an entry. Some calendars do not show an entry without length.
const LASTS: Duration = Duration::from_secs(5 * 60);

/// Writes each send as an entry. A send that will not leave tells so.
pub fn write(forecast: &Forecast) -> String {
    let mut calendar = Calendar::new();
    calendar.name("Recado");
    for send in &forecast.sends {
        calendar.push(entry(send, forecast));
    }
    calendar.to_string()
}

fn entry(send: &ForecastSend, forecast: &Forecast) -> Event {
    let stops = if send.outcome == Outcome::Send { String::new() } else { format!("{}: ", send.outcome.as_str()) };
    let mut says = format!("{}\n\n{} by \"{}\"\n{}", send.text, send.channel, send.rule, send.reason);
    if let Some(why) = &send.why_not {
        says += &format!("\n{}: {why}", send.outcome.as_str());
    }
    if let (Some(from), Some(why)) = (send.postponed_from, &send.postponed_because) {
        says += &format!("\npostponed from {}: {why}", super::why::second(from));
    }
    let mut hash = Sha256::new();
    for part in [&send.at.to_string(), &send.tenant, &send.to, &send.rule, &send.text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let uid = crate::domain::hex(&hash.finalize()[..16]);
    Event::new()
        .uid(&format!("{uid}@recado"))
        .timestamp(forecast.from.to_utc())
        .starts(send.at.to_utc())
        .ends(send.at.plus(LASTS).to_utc())
        .summary(&clean(&format!("{stops}{} {}", send.to, send.rule)))
        .description(&clean(&says))
        .done()
}
