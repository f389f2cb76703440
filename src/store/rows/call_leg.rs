//! A leg of a call.

use sea_orm::Value;

use super::call::CALL_STATUSES;
use super::table::Holds::{Big, Int, MaybeBig, MaybeInt, MaybeText, Of, OneOf, Small, Text};
use super::table::{Table, column};
use crate::domain::{CallId, CallStatus, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "call_leg",
    name: "call_legs",
    order: &["call_id", "n"],
    columns: &[
        column("call_id", Of("calls")),
        column("n", Int),
        column("provider_sid", MaybeText),
        column("peer", Text),
        column("peer_key", Text),
        column("status", OneOf(CALL_STATUSES)),
        column("status_rank", Small),
        column("duration_s", MaybeInt),
        column("began_us", Big),
        column("ended_us", MaybeBig),
    ],
};

/// A leg at a report of it.
pub(in crate::store) struct NewRow {
    pub tenant: TenantId,
    pub call: CallId,
    /// The turn whose answer dialled it.
    pub n: i32,
    /// The provider's id.
    pub sid: Option<String>,
    pub peer: String,
    pub peer_key: String,
    pub status: CallStatus,
    pub duration_s: Option<u32>,
    pub began_us: i64,
    pub ended: Option<Timestamp>,
}

/// The values of a leg, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(new: NewRow) -> [Value; TABLE.width()] {
    [
        new.tenant.uuid().into(),
        new.call.uuid().into(),
        new.n.into(),
        new.sid.into(),
        new.peer.into(),
        new.peer_key.into(),
        new.status.as_str().into(),
        new.status.rank().into(),
        new.duration_s.and_then(|seconds| i32::try_from(seconds).ok()).into(),
        new.began_us.into(),
        new.ended.map(Timestamp::unix_us).into(),
    ]
}
