//! A customer's row. [`crate::store`] says how to add a column.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;
use serde_json::Value as Json;

use super::table::Holds::{Big, Document, Form, Id, Text};
use super::table::{Table, column, is};
use crate::domain::{ContactId, Phone, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "customer",
    name: "contacts",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("phone", Form(|phone| Phone::parse(phone).is_ok())),
        column("phone_key", Text),
        column("name", Text),
        column("profile_name", Text),
        column("tags", Document(is::<BTreeSet<String>>)),
        column("fields", Document(is::<BTreeMap<String, Json>>)),
        column("inbound_count", Big),
        column("created_us", Big),
    ],
};

/// The values of a new customer, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    id: ContactId,
    phone: &Phone,
    profile_name: &str,
    inbound_count: i64,
    created: Timestamp,
) -> [Value; TABLE.width()] {
    [
        tenant.uuid().into(),
        id.uuid().into(),
        phone.as_str().into(),
        phone.key().into(),
        "".into(),
        profile_name.into(),
        "[]".into(),
        "{}".into(),
        inbound_count.into(),
        created.unix_us().into(),
    ]
}
