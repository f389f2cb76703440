//! An appointment, and a time that is free for one.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::ContactId;
use crate::engine::availability::Slot;
use crate::store::tables::appointments as book;

/// The format of local times.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S";

/// An appointment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Appointment)]
pub struct AppointmentView {
    pub id: Uuid,
    /// `null` where the customer was erased
    pub customer: Option<Uuid>,
    /// The customer's number, E.164
    pub phone: Option<String>,
    /// The customer's name; empty where none is known
    pub customer_name: String,
    #[schema(example = "cut")]
    pub service: String,
    /// `null`: no member of staff takes it
    pub staff: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: String,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: String,
    /// The agreed local time in `zone`
    #[schema(example = "2026-12-01T10:00:00")]
    pub starts_local: String,
    /// IANA
    #[schema(example = "Europe/Madrid")]
    pub zone: String,
    /// `booked`, `confirmed`, `cancelled`, `completed` or `no_show`
    #[schema(example = "booked")]
    pub state: String,
    pub note: String,
    /// Rises by one with every change
    pub version: i32,
    /// The id for calendars and other programs
    pub uid: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: String,
}

impl From<book::Appointment> for AppointmentView {
    fn from(one: book::Appointment) -> Self {
        Self {
            id: one.id.uuid(),
            customer: one.contact.map(ContactId::uuid),
            phone: one.customer,
            customer_name: one.customer_name,
            service: one.service,
            staff: one.staff,
            starts_at: one.starts_at.to_string(),
            ends_at: one.ends_at.to_string(),
            starts_local: one.starts_local.format(LOCAL).to_string(),
            zone: one.zone.name().to_owned(),
            state: one.state.as_str().to_owned(),
            note: one.note,
            version: one.version,
            uid: one.uid,
            created_at: one.created_at.to_string(),
            updated_at: one.updated_at.to_string(),
        }
    }
}

/// A time that could be booked when it was looked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Slot)]
pub struct SlotView {
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: String,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: String,
    /// The local time in `zone`
    pub starts_local: String,
    pub zone: String,
    /// The member of staff; `null` where nobody is occupied
    pub staff: Option<String>,
}

impl From<Slot> for SlotView {
    fn from(slot: Slot) -> Self {
        Self {
            starts_at: slot.starts_at.to_string(),
            ends_at: slot.ends_at.to_string(),
            starts_local: slot.starts_local.format(LOCAL).to_string(),
            zone: slot.zone.name().to_owned(),
            staff: slot.staff,
        }
    }
}
