//! A turn of a call.

use sea_orm::Value;

use super::table::Holds::{Big, Id, Int, MaybeInt, MaybeText, Of, Text};
use super::table::{Table, column};
use crate::domain::{CallId, EventId, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "call_turn",
    name: "call_turns",
    order: &["call_id", "n"],
    columns: &[
        column("call_id", Of("calls")),
        column("n", Int),
        column("key_text", Text),
        column("event_id", Id),
        column("at_us", Big),
        column("heard", Text),
        column("answer", MaybeText),
        column("how", MaybeText),
        column("took_ms", MaybeInt),
    ],
};

/// A turn that is stored now.
pub(in crate::store) struct NewRow<'a> {
    pub tenant: TenantId,
    pub call: CallId,
    pub n: i32,
    /// The name of the turn within its call.
    pub key: String,
    pub event: EventId,
    pub at: Timestamp,
    /// The words of the caller.
    pub heard: &'a str,
    /// JSON of the steps of the answer; `None` while there is no answer.
    pub answer: Option<String>,
    /// The source of the answer.
    pub how: Option<&'static str>,
}

/// The values of a new turn, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(new: NewRow<'_>) -> [Value; TABLE.width()] {
    let took_ms: Option<i32> = None;
    [
        new.tenant.uuid().into(),
        new.call.uuid().into(),
        new.n.into(),
        new.key.into(),
        new.event.uuid().into(),
        new.at.unix_us().into(),
        new.heard.into(),
        new.answer.into(),
        new.how.into(),
        took_ms.into(),
    ]
}
