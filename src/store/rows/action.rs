//! An action of the ledger, and its state.

use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Document, Id, Int, MaybeBig, MaybeId, MaybeOf, MaybeText, MaybeWord, Of, OneOf, Text};
use super::table::{CHANNELS, Table, column, is};
use crate::domain::Action;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "actions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub event_id: Uuid,
    pub contact_id: Option<Uuid>,
    pub rule: String,
    pub idx: i32,
    pub kind: String,
    pub state: String,
    pub channel: Option<String>,
    /// E.164 or Messaging Service SID.
    pub sender: Option<String>,
    /// E.164.
    pub recipient: Option<String>,
    pub peer_key: Option<String>,
    /// The ordering key: one send at a time leaves with the same key.
    pub lane: Option<String>,
    /// The name of a `domain::Route`; `None` for effects.
    pub route: Option<String>,
    /// The provider's account of the last attempt.
    pub account_sid: Option<String>,
    /// `answer`, `business`, `manual` or `system`.
    pub origin: String,
    /// JSON of the `domain::Action`.
    pub payload: String,
    pub tries: i32,
    /// Strictly rising: the order of the sends with one ordering key.
    pub planned_us: i64,
    pub due_us: i64,
    pub first_try_us: Option<i64>,
    pub tried_us: Option<i64>,
    pub reason: Option<String>,
    pub error_code: Option<i64>,
    pub provider_sid: Option<String>,
    /// Its subject besides the customer, such as an appointment. The action ends with it.
    pub subject_id: Option<Uuid>,
    /// From this instant on the send makes no sense.
    pub expires_us: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The value of `channel` for HTTP requests, which have no channel.
pub(in crate::store) const REQUEST_CHANNEL: &str = "http";
/// The channels of messages and calls, and [`REQUEST_CHANNEL`].
const ACTION_CHANNELS: &[&str] = &{
    let mut names = [REQUEST_CHANNEL; CHANNELS.len() + 1];
    let mut at = 0;
    while at < CHANNELS.len() {
        names[at] = CHANNELS[at];
        at += 1;
    }
    names
};
const STATES: &[&str] = &["planned", "sending", "sent", "failed", "blocked", "held", "unknown", "done"];

pub(in crate::store) const TABLE: Table = Table {
    kind: "action",
    name: "actions",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("event_id", Of("events")),
        column("contact_id", MaybeOf("contacts")),
        column("rule", Text),
        column("idx", Int),
        column("kind", Text),
        column("state", OneOf(STATES)),
        column("channel", MaybeWord(ACTION_CHANNELS)),
        column("sender", MaybeText),
        column("recipient", MaybeText),
        column("peer_key", MaybeText),
        column("lane", MaybeText),
        column("route", MaybeText),
        column("account_sid", MaybeText),
        column("origin", OneOf(&["answer", "business", "manual", "system"])),
        column("payload", Document(is::<Action>)),
        column("tries", Int),
        column("planned_us", Big),
        column("due_us", Big),
        column("first_try_us", MaybeBig),
        column("tried_us", MaybeBig),
        column("reason", MaybeText),
        column("error_code", MaybeBig),
        column("provider_sid", MaybeText),
        column("subject_id", MaybeId),
        column("expires_us", MaybeBig),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(row: Model) -> [Value; TABLE.width()] {
    [
        row.tenant_id.into(),
        row.id.into(),
        row.event_id.into(),
        row.contact_id.into(),
        row.rule.into(),
        row.idx.into(),
        row.kind.into(),
        row.state.into(),
        row.channel.into(),
        row.sender.into(),
        row.recipient.into(),
        row.peer_key.into(),
        row.lane.into(),
        row.route.into(),
        row.account_sid.into(),
        row.origin.into(),
        row.payload.into(),
        row.tries.into(),
        row.planned_us.into(),
        row.due_us.into(),
        row.first_try_us.into(),
        row.tried_us.into(),
        row.reason.into(),
        row.error_code.into(),
        row.provider_sid.into(),
        row.subject_id.into(),
        row.expires_us.into(),
    ]
}
