//! An appointment's row.

use chrono_tz::Tz;
use sea_orm::Value;

use super::table::Holds::{Big, Form, Id, Int, MaybeDocument, MaybeOf, MaybeText, Of, Text};
use super::table::{Table, column};
use crate::domain::{AppointmentId, AppointmentState, ContactId, ServiceId, StaffId, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "appointment",
    name: "appointments",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("contact_id", MaybeOf("contacts")),
        column("service_id", Of("services")),
        column("staff_id", MaybeOf("staff")),
        column("starts_local", Form(|local| local.parse::<chrono::NaiveDateTime>().is_ok())),
        column("zone", Form(|zone| zone.parse::<Tz>().is_ok())),
        column("starts_us", Big),
        column("ends_us", Big),
        column("state", Form(|state| state.parse::<AppointmentState>().is_ok())),
        column("note", Text),
        column("version", Int),
        column("uid", Text),
        column("created_us", Big),
        column("updated_us", Big),
        column("calendar_uid", MaybeText),
        column("calendar_version", MaybeDocument),
    ],
};

/// An appointment that is booked now.
pub(in crate::store) struct NewRow<'a> {
    pub tenant: TenantId,
    pub id: AppointmentId,
    pub contact: ContactId,
    pub service: ServiceId,
    pub staff: Option<StaffId>,
    /// The time on the wall in `zone`.
    pub starts_local: String,
    pub zone: Tz,
    pub starts: Timestamp,
    pub ends: Timestamp,
    pub note: &'a str,
    pub uid: &'a str,
    pub created: Timestamp,
}

/// The values of a new appointment, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(new: NewRow<'_>) -> [Value; TABLE.width()] {
    [
        new.tenant.uuid().into(),
        new.id.uuid().into(),
        new.contact.uuid().into(),
        new.service.uuid().into(),
        new.staff.map(StaffId::uuid).into(),
        new.starts_local.into(),
        new.zone.name().into(),
        new.starts.unix_us().into(),
        new.ends.unix_us().into(),
        AppointmentState::Booked.as_str().into(),
        new.note.into(),
        1i32.into(),
        new.uid.into(),
        new.created.unix_us().into(),
        new.created.unix_us().into(),
        None::<String>.into(),
        None::<String>.into(),
    ]
}
