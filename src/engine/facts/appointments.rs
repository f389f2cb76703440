//! The appointments that rules read: one query for a batch in which some event is about one, none for others.

use std::collections::HashMap;

use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, ContactId, Event, Facts, TenantId, Timestamp};
use crate::store::{Store, StoreError};

/// The appointments of a batch of one tenant's events.
#[derive(Debug, Default)]
pub struct KnownAppointments {
    by_id: HashMap<AppointmentId, AppointmentFacts>,
    next: HashMap<ContactId, AppointmentFacts>,
}

/// Reads the appointments that these events are about, and with `next` also the next appointments of their customers: as
/// they stand at `now`, or as they stood at `then`.
pub async fn known<'e>(
    store: &Store,
    tenant: TenantId,
    events: impl Iterator<Item = &'e Event>,
    now: Timestamp,
    then: Option<Timestamp>,
    next: bool,
) -> Result<KnownAppointments, StoreError> {
    let mut ids: Vec<AppointmentId> = Vec::new();
    let mut contacts: Vec<ContactId> = Vec::new();
    for event in events {
        ids.extend(about(event));
        contacts.extend(event.contact.filter(|_| next));
    }
    let mut known = KnownAppointments::default();
    if !ids.is_empty() {
        ids.sort_unstable();
        ids.dedup();
        known.by_id = store.appointment_facts(tenant, &ids, then).await?;
    }
    if !contacts.is_empty() {
        contacts.sort_unstable();
        contacts.dedup();
        known.next = match then {
            Some(then) => store.next_appointments_then(tenant, &contacts, then).await?,
            None => store.next_appointments(tenant, &contacts, now).await?,
        };
    }
    Ok(known)
}

/// The appointment that an event is about.
pub fn about(event: &Event) -> Option<AppointmentId> {
    event.data.get("appointment")?.get("id")?.as_str()?.parse().ok()
}

impl KnownAppointments {
    /// Adds to the facts of an event the appointments that are known.
    pub fn fill(&self, event: &Event, facts: Facts) -> Facts {
        let appointment = about(event).and_then(|id| self.by_id.get(&id).cloned());
        let next_appointment = event.contact.and_then(|contact| self.next.get(&contact).cloned());
        Facts { appointment, next_appointment, ..facts }
    }
}
