//! A customer's row. [`crate::store`] says how to add a column.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;
use serde_json::Value as Json;

use super::table::Holds::{Big, Document, Form, Id, MaybeForm, Text};
use super::table::{Table, column, is};
use crate::domain::{ContactId, Phone, TenantId, Timestamp, WhatsAppId};

pub(in crate::store) const TABLE: Table = Table {
    kind: "customer",
    name: "contacts",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("phone", Form(|phone| phone.is_empty() || Phone::parse(phone).is_ok())),
        column("phone_key", Text),
        column("name", Text),
        column("profile_name", Text),
        column("tags", Document(is::<BTreeSet<String>>)),
        column("fields", Document(is::<BTreeMap<String, Json>>)),
        column("inbound_count", Big),
        column("created_us", Big),
        column("whatsapp_id", MaybeForm(|id| WhatsAppId::parse(id).is_ok())),
    ],
};

/// A new customer.
pub(in crate::store) struct NewRow<'a> {
    pub tenant: TenantId,
    pub id: ContactId,
    pub phone: Option<&'a Phone>,
    /// [`crate::domain::Address::key`] of the number or, without one, of the WhatsApp id.
    pub key: String,
    pub profile_name: &'a str,
    pub inbound_count: i64,
    pub created: Timestamp,
    pub whatsapp_id: Option<&'a WhatsAppId>,
}

/// The values of a new customer, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(new: NewRow<'_>) -> [Value; TABLE.width()] {
    [
        new.tenant.uuid().into(),
        new.id.uuid().into(),
        new.phone.map_or("", Phone::as_str).into(),
        new.key.into(),
        "".into(),
        new.profile_name.into(),
        "[]".into(),
        "{}".into(),
        new.inbound_count.into(),
        new.created.unix_us().into(),
        new.whatsapp_id.map(WhatsAppId::as_str).into(),
    ]
}
