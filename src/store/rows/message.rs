//! A message in either direction, as the inbox shows it.

use sea_orm::Value;
use sea_orm::entity::prelude::*;
use serde_json::Value as Json;

use super::table::Holds::{Big, Document, Flag, Id, Int, MaybeBig, MaybeOf, MaybeText, OneOf, Small, Text};
use super::table::{CHANNELS, Table, column};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// The id of an outbound message is the id of its action.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub contact_id: Option<Uuid>,
    pub channel: String,
    /// `in` or `out`.
    pub direction: String,
    /// `answer`, `business`, `manual` or `system` for outbound messages; `customer` for inbound ones.
    pub origin: String,
    /// The customer's number.
    pub peer: String,
    pub peer_key: String,
    /// Our number.
    pub ours: String,
    pub body: String,
    /// JSON of the rest: media, button, location, template; mostly `{}`.
    pub extra: String,
    pub status: String,
    pub status_rank: i16,
    pub provider_sid: Option<String>,
    pub error_code: Option<i64>,
    pub segments: i32,
    pub at_us: i64,
    /// Found by the catch-up.
    pub late: bool,
    /// How often the provider or a replay repeated the message.
    pub repeats: i32,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "message",
    name: "messages",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("contact_id", MaybeOf("contacts")),
        column("channel", OneOf(CHANNELS)),
        column("direction", OneOf(&["in", "out"])),
        column("origin", OneOf(&["customer", "answer", "business", "manual", "system"])),
        column("peer", Text),
        column("peer_key", Text),
        column("ours", Text),
        column("body", Text),
        column("extra", Document(Json::is_object)),
        column("status", Text),
        column("status_rank", Small),
        column("provider_sid", MaybeText),
        column("error_code", MaybeBig),
        column("segments", Int),
        column("at_us", Big),
        column("late", Flag),
        column("repeats", Int),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(row: Model) -> [Value; TABLE.width()] {
    [
        row.tenant_id.into(),
        row.id.into(),
        row.contact_id.into(),
        row.channel.into(),
        row.direction.into(),
        row.origin.into(),
        row.peer.into(),
        row.peer_key.into(),
        row.ours.into(),
        row.body.into(),
        row.extra.into(),
        row.status.into(),
        row.status_rank.into(),
        row.provider_sid.into(),
        row.error_code.into(),
        row.segments.into(),
        row.at_us.into(),
        row.late.into(),
        row.repeats.into(),
    ]
}
