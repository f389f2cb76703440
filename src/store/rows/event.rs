//! An event; pending while `handled_us` is null.

use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Document, Form, Id, MaybeBig, MaybeOf, MaybeText, MaybeWord, Small};
use super::table::{CHANNELS, Table, column};
use crate::domain::{Channel, ContactId, Event, EventKind, Timestamp};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub kind: String,
    pub channel: Option<String>,
    pub contact_id: Option<Uuid>,
    pub occurred_us: i64,
    pub dedupe_key: Option<String>,
    pub depth: i16,
    /// JSON.
    pub data: String,
    pub handled_us: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "event",
    name: "events",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("kind", Form(|kind| EventKind::parse(kind).is_ok())),
        column("channel", MaybeWord(CHANNELS)),
        column("contact_id", MaybeOf("contacts")),
        column("occurred_us", Big),
        column("dedupe_key", MaybeText),
        column("depth", Small),
        column("data", Document(|_| true)),
        column("handled_us", MaybeBig),
    ],
};

/// The values of an event, in the order of [`Table::insert`]. `data` is the event's data as JSON; `handled` is `None`
/// while the event is undecided.
pub(in crate::store) fn new_row(event: &Event, data: String, handled: Option<Timestamp>) -> [Value; TABLE.width()] {
    [
        event.tenant.uuid().into(),
        event.id.uuid().into(),
        event.kind.as_str().into(),
        event.channel.map(Channel::as_str).into(),
        event.contact.map(ContactId::uuid).into(),
        event.occurred_at.unix_us().into(),
        event.dedupe_key.clone().into(),
        i16::from(event.depth).into(),
        data.into(),
        handled.map(Timestamp::unix_us).into(),
    ]
}
