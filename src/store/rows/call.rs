//! A call's row.

use sea_orm::Value;
use uuid::Uuid;

use super::table::Holds::{Big, Document, Flag, Id, Int, MaybeBig, MaybeId, MaybeInt, MaybeOf, MaybeText, OneOf, Text};
use super::table::{Table, column, is};
use crate::domain::{CallDirection, CallId, CallState, CallStatus, ContactId, TenantId, Timestamp};

/// The statuses of calls and of their legs.
pub(in crate::store) const CALL_STATUSES: &[&str] =
    &["queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"];

pub(in crate::store) const TABLE: Table = Table {
    kind: "call",
    name: "calls",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("contact_id", MaybeOf("contacts")),
        column("provider_sid", Text),
        column("direction", OneOf(&["in", "out"])),
        column("peer", Text),
        column("peer_key", Text),
        column("number", Text),
        column("action_id", MaybeId),
        column("status", OneOf(CALL_STATUSES)),
        column("answered_by", MaybeText),
        column("duration_s", MaybeInt),
        column("recording_sid", MaybeText),
        column("recording_url", MaybeText),
        column("error_code", MaybeBig),
        column("detail", MaybeText),
        column("state", Document(is::<CallState>)),
        column("turns", Int),
        column("heard", Flag),
        column("result", MaybeText),
        column("started_us", Big),
        column("ended_us", MaybeBig),
        column("told", Flag),
        column("streamed", Int),
        column("account_sid", MaybeText),
    ],
};

/// A call at the provider's first report of it.
pub(in crate::store) struct NewRow<'a> {
    pub tenant: TenantId,
    pub id: CallId,
    pub contact: Option<ContactId>,
    /// The provider's id.
    pub sid: &'a str,
    pub direction: CallDirection,
    pub peer: &'a str,
    pub peer_key: String,
    /// Our number.
    pub number: &'a str,
    pub answered_by: Option<String>,
    /// JSON of [`CallState`].
    pub state: String,
    pub started: Timestamp,
    /// The provider's account; `None` where it is not known.
    pub account: Option<&'a str>,
}

/// The values of a new call, in the order of [`Table::insert`]. The action is set once it is known to be the tenant's.
pub(in crate::store) fn new_row(new: NewRow<'_>) -> [Value; TABLE.width()] {
    let (action_id, duration_s): (Option<Uuid>, Option<i32>) = (None, None);
    let (recording_sid, recording_url): (Option<String>, Option<String>) = (None, None);
    let (error_code, detail): (Option<i64>, Option<String>) = (None, None);
    let (result, ended_us): (Option<String>, Option<i64>) = (None, None);
    let (turns, streamed) = (0i32, 0i32);
    let (heard, told) = (false, false);
    [
        new.tenant.uuid().into(),
        new.id.uuid().into(),
        new.contact.map(ContactId::uuid).into(),
        new.sid.into(),
        new.direction.as_str().into(),
        new.peer.into(),
        new.peer_key.into(),
        new.number.into(),
        action_id.into(),
        CallStatus::Queued.as_str().into(),
        new.answered_by.into(),
        duration_s.into(),
        recording_sid.into(),
        recording_url.into(),
        error_code.into(),
        detail.into(),
        new.state.into(),
        turns.into(),
        heard.into(),
        result.into(),
        new.started.unix_us().into(),
        ended_us.into(),
        told.into(),
        streamed.into(),
        new.account.into(),
    ]
}
