//! A member of staff, who takes appointments.

use sea_orm::Value;

use super::table::Holds::{Big, Flag, Id, MaybeBig, MaybeText, Text};
use super::table::{Table, column};
use crate::domain::{StaffId, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "staff",
    name: "staff",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("name", Text),
        column("name_key", Text),
        column("zone", MaybeText),
        column("hours", MaybeText),
        column("active", Flag),
        column("feed_us", MaybeBig),
        column("created_us", Big),
    ],
};

/// The values of a new member, in the order of [`Table::insert`]. Zone and hours are the business's, and there is no
/// feed.
pub(in crate::store) fn new_row(
    tenant: TenantId,
    id: StaffId,
    name: &str,
    name_key: &str,
    created: Timestamp,
) -> [Value; TABLE.width()] {
    [
        tenant.uuid().into(),
        id.uuid().into(),
        name.into(),
        name_key.into(),
        None::<String>.into(),
        None::<String>.into(),
        true.into(),
        None::<i64>.into(),
        created.unix_us().into(),
    ]
}
