//! A run of a rule that has a limit, for a customer.

use sea_orm::Value;

use super::table::Holds::{Big, Id, Of, Text};
use super::table::{Table, column};
use crate::domain::{ContactId, EventId, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "firing",
    name: "rule_firings",
    order: &["contact_id", "rule", "at_us", "event_id"],
    columns: &[
        column("contact_id", Of("contacts")),
        column("rule", Text),
        column("at_us", Big),
        // The event may be gone: retention removes it first.
        column("event_id", Id),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    contact: ContactId,
    rule: &str,
    at: Timestamp,
    event: EventId,
) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), contact.uuid().into(), rule.into(), at.unix_us().into(), event.uuid().into()]
}
