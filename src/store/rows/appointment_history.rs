//! A change of an appointment.

use sea_orm::Value;
use uuid::Uuid;

use super::table::Holds::{Big, Document, Id, Int, MaybeOf, Of, Text};
use super::table::{Table, column, is};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, By, ContactId, TenantId};

pub(in crate::store) const TABLE: Table = Table {
    kind: "appointment_change",
    name: "appointment_history",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("appointment_id", Of("appointments")),
        column("contact_id", MaybeOf("contacts")),
        column("at_us", Big),
        column("version", Int),
        column("what", Text),
        column("made_by", Text),
        column("facts", Document(is::<AppointmentFacts>)),
    ],
};

/// A change, and the appointment after it.
pub(in crate::store) struct NewRow {
    pub tenant: TenantId,
    pub id: Uuid,
    pub appointment: AppointmentId,
    pub contact: Option<ContactId>,
    pub at_us: i64,
    pub version: i32,
    pub what: &'static str,
    pub by: By,
    /// JSON of [`AppointmentFacts`].
    pub facts: String,
}

/// The values of a change, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(new: NewRow) -> [Value; TABLE.width()] {
    [
        new.tenant.uuid().into(),
        new.id.into(),
        new.appointment.uuid().into(),
        new.contact.map(ContactId::uuid).into(),
        new.at_us.into(),
        new.version.into(),
        new.what.into(),
        new.by.as_str().into(),
        new.facts.into(),
    ]
}
