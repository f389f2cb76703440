//! Timers: rows in the order in which they fall due.

use std::sync::atomic::{AtomicI64, Ordering};

use sea_orm::Value;
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use super::fire::COLUMNS;
use super::lists::LIST_MAX;
use super::sql::{Cut, Row, Txn};
use super::writer::Means;
use super::{Store, StoreError, sql};
use crate::domain::{ContactId, NewTimer, TenantId, TimerId, Timestamp};

/// What the scheduler sleeps until, so that a nearer timer wakes it.
pub(super) struct Sleeper {
    until_us: AtomicI64,
    nearer: Notify,
}

impl Default for Sleeper {
    fn default() -> Self {
        Self { until_us: AtomicI64::new(i64::MAX), nearer: Notify::new() }
    }
}

impl Sleeper {
    /// A timer is about to be committed. Where it is woken before that, it looks again within its longest sleep.
    fn planned(&self, due: Timestamp) {
        if due.unix_us() < self.until_us.load(Ordering::SeqCst) {
            self.nearer.notify_one();
        }
    }
}

impl Store {
    /// When the next timer falls due, or one that was set aside is to be tried again. From this call on a nearer one that
    /// is planned in this process ends [`Store::nearer_timer`].
    pub async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        let sleeper = &self.means.sleeper;
        // While it is looked for, any is nearer.
        sleeper.until_us.store(i64::MAX, Ordering::SeqCst);
        let text = "SELECT min(due_us) FROM (SELECT min(due_us) AS due_us FROM timers
                    UNION ALL SELECT min(retry_us) FROM timers_set_aside WHERE retry_us IS NOT NULL) AS next";
        let row = sql::query_one(&self.read, text, vec![]).await?;
        let next: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        sleeper.until_us.store(next.unwrap_or(i64::MAX), Ordering::SeqCst);
        Ok(next.map(Timestamp::from_unix_us))
    }

    /// What is pending, the next first, at most `limit`: of one tenant, or of all for commands that say so.
    pub async fn timers(&self, tenant: Option<TenantId>, limit: usize) -> Result<Vec<PendingTimer>, StoreError> {
        let limit = limit.min(LIST_MAX) as i64;
        let (of, mut values) = match tenant {
            Some(tenant) => ("WHERE tenant_id = ?", vec![tenant.uuid().into()]),
            None => ("", Vec::new()),
        };
        values.push(limit.into());
        let text = format!("SELECT {COLUMNS} FROM timers {of} ORDER BY due_us, id LIMIT ?");
        let rows = sql::query(&self.read, &text, values).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// Waits until a timer is planned that is due before what [`Store::next_timer`] found.
    pub async fn nearer_timer(&self) {
        self.means.sleeper.nearer.notified().await;
    }
}

/// A timer's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PendingTimer {
    pub due: Timestamp,
    pub id: TimerId,
    pub tenant: TenantId,
    pub purpose: String,
    pub rule: String,
    /// What the rule said of time when it was planned.
    pub timing: String,
    pub contact: Option<ContactId>,
    pub subject: Option<Uuid>,
    /// JSON, if it is well.
    pub payload: String,
}

impl PendingTimer {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            due: Timestamp::from_unix_us(row.get(0)?),
            id: TimerId::new(row.get(1)?),
            tenant: TenantId::new(row.get(2)?),
            purpose: row.get(3)?,
            rule: row.get(4)?,
            timing: row.get(5)?,
            contact: row.get::<Option<Uuid>>(6)?.map(ContactId::new),
            subject: row.get(7)?,
            payload: row.get(8)?,
        })
    }
}

/// Writes timers down; one that is there already stays as it is.
pub(super) async fn plan(
    txn: &impl Txn,
    means: &Means,
    timers: impl IntoIterator<Item = &NewTimer>,
) -> Result<(), StoreError> {
    let mut values: Vec<Value> = Vec::new();
    for timer in timers {
        means.sleeper.planned(timer.due);
        values.extend([
            timer.due.unix_us().into(),
            timer.id.uuid().into(),
            timer.tenant.uuid().into(),
            timer.purpose.as_str().into(),
            timer.rule.clone().into(),
            timer.timing.clone().into(),
            timer.contact.map(ContactId::uuid).into(),
            timer.subject.into(),
            timer.payload.to_string().into(),
        ]);
    }
    txn.rows(
        "INSERT INTO timers (due_us, id, tenant_id, purpose, rule, timing, contact_id, subject_id, payload)
         VALUES {rows} ON CONFLICT DO NOTHING",
        9,
        Cut::Padded,
        values,
    )
    .await
}

/// What hangs on a subject ends: its timers, and what is planned and has not left. In the transaction that moves or ends it.
#[expect(dead_code, reason = "appointments come next")]
pub(super) async fn end_subject(
    txn: &impl Txn,
    tenant: TenantId,
    subject: Uuid,
    reason: &str,
) -> Result<(), StoreError> {
    let of = || vec![tenant.uuid().into(), subject.into()];
    txn.execute("DELETE FROM timers WHERE tenant_id = ? AND subject_id = ?", of()).await?;
    txn.execute("DELETE FROM timers_set_aside WHERE tenant_id = ? AND subject_id = ?", of()).await?;
    let values = [vec![reason.into()], of()].concat();
    txn.execute(
        "UPDATE actions SET state = 'blocked', reason = ? WHERE tenant_id = ? AND subject_id = ? AND state = 'planned'",
        values,
    )
    .await?;
    Ok(())
}
