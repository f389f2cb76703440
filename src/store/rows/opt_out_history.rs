//! An opt-out of a customer, or its end, when it was made.

use sea_orm::Value;
use uuid::Uuid;

use super::opt_out;
use super::table::Holds::{Big, Flag, Id, OneOf, Text};
use super::table::{CHANNELS, Table, column};

pub(in crate::store) const TABLE: Table = Table {
    kind: "opt_out_change",
    name: "opt_out_history",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("channel", OneOf(CHANNELS)),
        column("peer_key", Text),
        column("sender", Text),
        column("active", Flag),
        column("word", Text),
        column("at_us", Big),
    ],
};

/// The values of a change, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(id: Uuid, change: opt_out::Model) -> [Value; TABLE.width()] {
    [
        change.tenant_id.into(),
        id.into(),
        change.channel.into(),
        change.peer_key.into(),
        change.sender.into(),
        change.active.into(),
        change.word.into(),
        change.at_us.into(),
    ]
}
