//! A staff member's calendar feed (iCalendar, RFC 5545), under a secret URL.
//!
//! The token is the member's id with a keyed hash of the id and the time at which the feed was opened. The database
//! holds no secret, and opening anew or closing a feed makes the old token invalid.

use std::time::Duration;

use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::config::secret::SecretKey;
use crate::domain::{AppointmentState, StaffId, TenantId};
use crate::store::tables::appointments::{Appointment, Filter, StaffMember};
use crate::store::{LIST_MAX, Store, StoreError};

const PURPOSE: &str = "calendar";
/// The length of the hash: 128 bits cannot be guessed.
const HASH_BYTES: usize = 16;
/// The age of the oldest appointment in a feed.
const BACK: Duration = Duration::from_secs(31 * 24 * 3_600);
const AHEAD: Duration = Duration::from_secs(366 * 24 * 3_600);

/// A feed, with the entity tag by which a client sees that it has changed (RFC 9110, 8.8.3).
#[derive(Debug)]
pub struct Feed {
    pub text: String,
    pub etag: String,
}

/// The last part of a feed's URL; `None` while the feed is closed.
pub fn token(key: &SecretKey, tenant: TenantId, member: &StaffMember) -> Option<String> {
    let hash = hash(key, tenant, member.id, member.feed_us?);
    let hash = hash[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(format!("{}{hash}", member.id.uuid().simple()))
}

fn hash(key: &SecretKey, tenant: TenantId, member: StaffId, feed_us: i64) -> [u8; 32] {
    key.mac(PURPOSE, &[&tenant.to_string(), &member.to_string(), &feed_us.to_string()])
}

/// Opens the feed of a token; `None` if the token is invalid, or no longer valid.
pub async fn open(store: &Store, key: &SecretKey, given: &str) -> Result<Option<Feed>, StoreError> {
    let id = given.get(..32).and_then(|id| Uuid::try_parse(id).ok()).map(StaffId::new);
    let Some(id) = id else { return Ok(None) };
    let Some((tenant, member)) = store.staff_by_id(id).await? else { return Ok(None) };
    let Some(token) = token(key, tenant, &member).filter(|_| member.active) else { return Ok(None) };
    if !bool::from(token.as_bytes().ct_eq(given.as_bytes())) {
        return Ok(None);
    }
    let now = store.clock().now();
    let filter = Filter {
        from: Some(now.minus(BACK)),
        to: Some(now.plus(AHEAD)),
        staff: Some(member.id),
        limit: LIST_MAX,
        ..Filter::default()
    };
    let appointments = store.appointments(tenant, &filter).await?;
    Ok(Some(write(&member.name, &appointments)))
}

/// Writes a calendar. Cancelled appointments are included as cancelled, because many calendars keep entries that just
/// disappear.
pub fn write(name: &str, appointments: &[Appointment]) -> Feed {
    let mut calendar = Calendar::new();
    calendar.name(name);
    for one in appointments {
        calendar.push(event(one));
    }
    let text = calendar.to_string();
    let digest = Sha256::digest(text.as_bytes());
    let etag = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Feed { text, etag: format!("\"{etag}\"") }
}

fn event(one: &Appointment) -> Event {
    let who = if one.customer_name.is_empty() { one.customer.as_deref() } else { Some(one.customer_name.as_str()) };
    let summary = who.map_or_else(|| one.service.clone(), |who| format!("{}: {who}", one.service));
    let mut event = Event::new();
    event
        .uid(&one.uid)
        .timestamp(one.updated_at.to_utc())
        .sequence(u32::try_from(one.version).unwrap_or_default())
        .summary(&clean(&summary))
        .starts(one.starts_at.to_utc())
        .ends(one.ends_at.to_utc())
        .append_property(Property::new("CATEGORIES", escaped(&one.service)))
        .status(match one.state {
            AppointmentState::Booked => EventStatus::Tentative,
            AppointmentState::Cancelled => EventStatus::Cancelled,
            AppointmentState::Confirmed | AppointmentState::Completed | AppointmentState::NoShow => {
                EventStatus::Confirmed
            }
        });
    if let Some(number) = &one.customer {
        event.add_property("CONTACT", number);
    }
    if !one.note.is_empty() {
        event.description(&clean(&one.note));
    }
    event.done()
}

/// Removes characters that some readers take for line ends. Line feeds are escaped by the writer.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// The writer does not escape lists of texts, so this does.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AppointmentId, ServiceId, Timestamp};
    use crate::features::appointments::ical;
    use crate::features::appointments::sheet::Context;
    use crate::store::tables::appointments::Starts;

    fn booked(note: &str) -> Appointment {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        Appointment {
            id: AppointmentId::new(Uuid::from_u128(1)),
            contact: None,
            customer: Some("+34600111222".to_owned()),
            customer_name: "Ana, the\u{85} one".to_owned(),
            service: "Cut, wash; dry".to_owned(),
            service_id: ServiceId::new(Uuid::nil()),
            staff: Some("Marta".to_owned()),
            staff_id: None,
            starts_at: at("2026-12-01T09:00:00Z"),
            ends_at: at("2026-12-01T09:45:00Z"),
            starts_local: "2026-12-01T10:00:00".parse().unwrap(),
            zone: chrono_tz::Tz::Europe__Madrid,
            state: AppointmentState::Booked,
            note: note.to_owned(),
            version: 3,
            uid: "x-1".to_owned(),
            created_at: at("2026-11-01T09:00:00Z"),
            updated_at: at("2026-11-02T09:00:00Z"),
        }
    }

    #[test]
    fn a_feed_is_the_same_twice_and_can_be_read_again() {
        let appointments = [booked("a note\nof two lines, long enough to be folded: ñandú ñandú ñandú ñandú ñandú")];
        let feed = write("Marta", &appointments);
        assert_eq!(feed.etag, write("Marta", &appointments).etag, "no clock in it");
        assert_ne!(feed.etag, write("Marta", &[booked("another")]).etag);
        let context = Context { tenant: TenantId::new(Uuid::nil()), zone: chrono_tz::Tz::UTC, home: None, staff: None };
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let read = ical::read(feed.text.as_bytes(), context, now).unwrap();
        let row = read.entries[0].row.as_ref().unwrap();
        assert_eq!(row.new.customer.as_str(), "+34600111222");
        assert_eq!(row.new.starts, Starts::At(appointments[0].starts_at));
        assert_eq!((row.new.minutes, row.new.uid.as_deref()), (Some(45), Some("x-1")));
        assert_eq!(row.new.note, appointments[0].note);
    }

    #[test]
    fn a_customers_text_adds_no_line() {
        let feed = write("Marta", &[booked("x\r\nEND:VEVENT\r\nBEGIN:VEVENT\rUID:evil")]);
        assert_eq!(feed.text.matches("\r\nBEGIN:VEVENT").count(), 1, "{}", feed.text);
        assert!(!feed.text.replace("\r\n", "").contains('\r'));
    }

    #[test]
    fn a_token_holds_for_one_opening_of_one_feed() {
        let key = SecretKey::parse(&"07".repeat(32)).unwrap();
        let tenant = TenantId::new(Uuid::nil());
        let member = |feed_us| StaffMember {
            id: StaffId::new(Uuid::from_u128(7)),
            name: "Marta".to_owned(),
            zone: None,
            hours: None,
            active: true,
            services: Default::default(),
            feed_us,
        };
        let first = token(&key, tenant, &member(Some(1))).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(first, token(&key, tenant, &member(Some(1))).unwrap());
        assert_ne!(first, token(&key, tenant, &member(Some(2))).unwrap());
        assert_ne!(first, token(&key, TenantId::new(Uuid::from_u128(9)), &member(Some(1))).unwrap());
        assert_eq!(token(&key, tenant, &member(None)), None);
    }
}
