//! A timer that could not be fired.

use sea_orm::Value;

use super::table::Holds::{Big, Id, Int, MaybeBig, MaybeId, MaybeOf, Text};
use super::table::{Table, column};
use super::timer::PendingTimer;
use crate::domain::{ContactId, Timestamp};

/// The kind of such a row in exports.
pub const SET_ASIDE: &str = "timer_set_aside";

/// The columns of a timer first, so that [`PendingTimer::read`] reads them.
pub(in crate::store) const TABLE: Table = Table {
    kind: SET_ASIDE,
    name: "timers_set_aside",
    order: &["due_us", "id"],
    columns: &[
        column("due_us", Big),
        column("id", Id),
        column("purpose", Text),
        column("rule", Text),
        column("timing", Text),
        column("contact_id", MaybeOf("contacts")),
        column("subject_id", MaybeId),
        column("payload", Text),
        column("tries", Int),
        column("retry_us", MaybeBig),
        column("error", Text),
    ],
};

/// The values of a timer that is set aside, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    timer: &PendingTimer,
    tries: i32,
    retry: Option<Timestamp>,
    error: &str,
) -> [Value; TABLE.width()] {
    [
        timer.tenant.uuid().into(),
        timer.due.unix_us().into(),
        timer.id.uuid().into(),
        timer.purpose.clone().into(),
        timer.rule.clone().into(),
        timer.timing.clone().into(),
        timer.contact.map(ContactId::uuid).into(),
        timer.subject.into(),
        timer.payload.clone().into(),
        tries.into(),
        retry.map(Timestamp::unix_us).into(),
        error.into(),
    ]
}
