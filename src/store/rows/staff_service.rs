//! A service that a member of staff does.

use sea_orm::Value;

use super::table::Holds::Of;
use super::table::{Table, column};
use crate::domain::{ServiceId, StaffId, TenantId};

pub(in crate::store) const TABLE: Table = Table {
    kind: "staff_service",
    name: "staff_services",
    order: &["staff_id", "service_id"],
    columns: &[column("staff_id", Of("staff")), column("service_id", Of("services"))],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(tenant: TenantId, staff: StaffId, service: ServiceId) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), staff.uuid().into(), service.uuid().into()]
}
