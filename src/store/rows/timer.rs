//! A timer's row.

use std::sync::LazyLock;

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use super::table::Holds::{Big, Id, MaybeId, MaybeOf, OneOf, Text};
use super::table::{Table, column};
use crate::domain::{ContactId, NewTimer, TenantId, TimerId, Timestamp};
use crate::store::db::sql::Row;
use crate::store::error::StoreError;

pub(in crate::store) const TABLE: Table = Table {
    kind: "timer",
    name: "timers",
    order: &["due_us", "id"],
    columns: &[
        column("due_us", Big),
        column("id", Id),
        column("purpose", OneOf(&["after", "before", "cron", "page", "silence"])),
        column("rule", Text),
        column("timing", Text),
        column("contact_id", MaybeOf("contacts")),
        column("subject_id", MaybeId),
        column("payload", Text),
    ],
};

/// The columns that [`PendingTimer::read`] reads.
pub(in crate::store) static COLUMNS: LazyLock<String> = LazyLock::new(|| TABLE.full_column_list());

/// A timer's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PendingTimer {
    pub due: Timestamp,
    pub id: TimerId,
    pub tenant: TenantId,
    pub purpose: String,
    pub rule: String,
    /// The rule's timing when the timer was planned.
    pub timing: String,
    pub contact: Option<ContactId>,
    pub subject: Option<Uuid>,
    /// JSON, unless the row is broken.
    pub payload: String,
}

impl PendingTimer {
    pub(in crate::store) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: TenantId::new(row.get(0)?),
            due: Timestamp::from_unix_us(row.get(1)?),
            id: TimerId::new(row.get(2)?),
            purpose: row.get(3)?,
            rule: row.get(4)?,
            timing: row.get(5)?,
            contact: row.get::<Option<Uuid>>(6)?.map(ContactId::new),
            subject: row.get(7)?,
            payload: row.get(8)?,
        })
    }
}

impl From<NewTimer> for PendingTimer {
    fn from(new: NewTimer) -> Self {
        Self {
            due: new.due,
            id: new.id,
            tenant: new.tenant,
            purpose: new.purpose.as_str().to_owned(),
            rule: new.rule,
            timing: new.timing,
            contact: new.contact,
            subject: new.subject,
            payload: new.payload.to_string(),
        }
    }
}

/// The values of a timer, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(timer: &NewTimer) -> [Value; TABLE.width()] {
    [
        timer.tenant.uuid().into(),
        timer.due.unix_us().into(),
        timer.id.uuid().into(),
        timer.purpose.as_str().into(),
        timer.rule.clone().into(),
        timer.timing.clone().into(),
        timer.contact.map(ContactId::uuid).into(),
        timer.subject.into(),
        timer.payload.to_string().into(),
    ]
}
