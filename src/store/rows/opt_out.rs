//! An opt-out of a customer from a channel; `sender` is empty for all senders of the tenant.

use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Flag, OneOf, Text};
use super::table::{CHANNELS, Table, column};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "opt_outs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub peer_key: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sender: String,
    pub active: bool,
    pub word: String,
    pub at_us: i64,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "opt_out",
    name: "opt_outs",
    order: &["peer_key", "channel", "sender"],
    columns: &[
        column("channel", OneOf(CHANNELS)),
        column("peer_key", Text),
        column("sender", Text),
        column("active", Flag),
        column("word", Text),
        column("at_us", Big),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(row: Model) -> [Value; TABLE.width()] {
    [
        row.tenant_id.into(),
        row.channel.into(),
        row.peer_key.into(),
        row.sender.into(),
        row.active.into(),
        row.word.into(),
        row.at_us.into(),
    ]
}
