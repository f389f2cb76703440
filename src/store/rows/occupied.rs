//! A granule of a member of staff's time that an appointment occupies.

use sea_orm::Value;

use super::table::Holds::{Big, Of};
use super::table::{Table, column};
use crate::domain::{AppointmentId, StaffId, TenantId};

pub(in crate::store) const TABLE: Table = Table {
    kind: "occupied",
    name: "occupied",
    order: &["staff_id", "granule"],
    columns: &[column("staff_id", Of("staff")), column("granule", Big), column("appointment_id", Of("appointments"))],
};

/// The place of `granule` in [`new_row`].
pub(in crate::store) const GRANULE_AT: usize = 2;

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    staff: StaffId,
    granule: i64,
    appointment: AppointmentId,
) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), staff.uuid().into(), granule.into(), appointment.uuid().into()]
}
