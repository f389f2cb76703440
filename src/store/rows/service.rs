//! A service that customers can book.

use sea_orm::Value;

use super::table::Holds::{Big, Flag, Id, Int, Text};
use super::table::{Table, column};
use crate::domain::{ServiceId, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "service",
    name: "services",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("name", Text),
        column("name_key", Text),
        column("minutes", Int),
        column("active", Flag),
        column("created_us", Big),
    ],
};

/// The values of a new service, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    id: ServiceId,
    name: &str,
    name_key: String,
    minutes: u32,
    created: Timestamp,
) -> [Value; TABLE.width()] {
    [
        tenant.uuid().into(),
        id.uuid().into(),
        name.into(),
        name_key.into(),
        i32::try_from(minutes).unwrap_or(i32::MAX).into(),
        true.into(),
        created.unix_us().into(),
    ]
}
