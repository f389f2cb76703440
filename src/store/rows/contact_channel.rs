//! A customer's last message on a channel.

use sea_orm::Value;

use super::table::Holds::{Big, Of, OneOf};
use super::table::{CHANNELS, Table, column};
use crate::domain::{Channel, ContactId, TenantId, Timestamp};

/// The kind of such a row in exports.
pub const CUSTOMER_CHANNEL: &str = "customer_channel";

pub(in crate::store) const TABLE: Table = Table {
    kind: CUSTOMER_CHANNEL,
    name: "contact_channels",
    order: &["contact_id", "channel"],
    columns: &[column("contact_id", Of("contacts")), column("channel", OneOf(CHANNELS)), column("last_us", Big)],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    contact: ContactId,
    channel: Channel,
    last: Timestamp,
) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), contact.uuid().into(), channel.as_str().into(), last.unix_us().into()]
}
