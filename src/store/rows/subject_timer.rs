//! The subject of a timer, such as an appointment. The rows are not exported: an import makes them of the timers.

use sea_orm::Value;
use uuid::Uuid;

use super::table::Holds::{Big, Id};
use super::table::{Table, column};
use crate::domain::{TenantId, TimerId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "subject_timer",
    name: "subject_timers",
    order: &["subject_id", "due_us", "timer_id"],
    columns: &[column("subject_id", Id), column("due_us", Big), column("timer_id", Id)],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    subject: Uuid,
    due: Timestamp,
    timer: TimerId,
) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), subject.into(), due.unix_us().into(), timer.uuid().into()]
}
