//! Timers: rows in the order in which they fall due.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use sea_orm::{FromQueryResult, Value};
use serde::Serialize;
use uuid::Uuid;

use super::events;
use crate::domain::{ContactId, Event, EventId, EventKind, NewTimer, TenantId, TimerId, Timestamp, abort};
use crate::store::context::WriterContext;
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows as entity;

impl Store {
    /// When the next timer falls due, or one that was set aside is to be tried again. From this call on a nearer one that
    /// is planned in this process ends [`Store::timer_wake`].
    pub async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        let sleeper = &self.context.timer_wake;
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
    pub async fn timer_wake(&self) {
        self.context.timer_wake.nearer.notified().await;
    }
}

pub(in crate::store) const COLUMNS: &str =
    "due_us, id, tenant_id, purpose, rule, timing, contact_id, subject_id, payload";

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
    pub(in crate::store) fn read(row: &Row) -> Result<Self, StoreError> {
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

/// Writes timers down; one that is there already stays as it is.
pub(in crate::store) async fn plan(
    txn: &impl Txn,
    context: &WriterContext,
    timers: impl IntoIterator<Item = &NewTimer>,
) -> Result<(), StoreError> {
    let (mut values, mut of_subjects): (Vec<Value>, Vec<Value>) = Default::default();
    for timer in timers {
        context.timer_wake.planned(timer.due);
        if let Some(subject) = timer.subject {
            let row: [Value; 4] =
                [timer.tenant.uuid().into(), subject.into(), timer.due.unix_us().into(), timer.id.uuid().into()];
            of_subjects.extend(row);
        }
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
    .await?;
    // One that fires leaves this behind: subjects lie all over the table, and firing, which comes in bursts, is to write
    // only where the next timers are. `remove_fired_notes` tidies up.
    let text =
        "INSERT INTO subject_timers (tenant_id, subject_id, due_us, timer_id) VALUES {rows} ON CONFLICT DO NOTHING";
    txn.rows(text, 4, Cut::Padded, of_subjects).await
}

/// What of a tenant's timers hangs on which subject: for timers that came in another way than by [`plan`].
pub(in crate::store) async fn hang_all(txn: &impl Txn, tenant: TenantId) -> Result<(), StoreError> {
    let text = "INSERT INTO subject_timers (tenant_id, subject_id, due_us, timer_id)
        SELECT tenant_id, subject_id, due_us, id FROM timers WHERE tenant_id = ? AND subject_id IS NOT NULL
        ON CONFLICT DO NOTHING";
    txn.execute(text, vec![tenant.uuid().into()]).await?;
    Ok(())
}

/// What hangs on a subject ends: its timers, and what is planned and has not left. In the transaction that moves or ends it.
pub(in crate::store) async fn end_subject(
    txn: &impl Txn,
    tenant: TenantId,
    subject: Uuid,
    reason: &str,
) -> Result<(), StoreError> {
    let of = || vec![tenant.uuid().into(), subject.into()];
    let noted = "SELECT due_us, timer_id FROM subject_timers WHERE tenant_id = ? AND subject_id = ?";
    let theirs = txn.query(noted, of(), |row| Ok((row.get::<i64>(0)?, row.get::<Uuid>(1)?))).await?;
    for (due_us, id) in theirs {
        let values = vec![due_us.into(), id.into(), tenant.uuid().into()];
        txn.execute("DELETE FROM timers WHERE due_us = ? AND id = ? AND tenant_id = ?", values).await?;
    }
    txn.execute("DELETE FROM subject_timers WHERE tenant_id = ? AND subject_id = ?", of()).await?;
    txn.execute("DELETE FROM timers_set_aside WHERE tenant_id = ? AND subject_id = ?", of()).await?;
    let values = [vec![reason.into()], of()].concat();
    txn.execute(
        "UPDATE actions SET state = 'blocked', reason = ? WHERE tenant_id = ? AND subject_id = ? AND state = 'planned'",
        values,
    )
    .await?;
    Ok(())
}

/// Rows that are looked at, or changed, in one go.
pub const TIMERS_PAGE: usize = 500;

/// A timer that is to make room, and what takes its place.
#[derive(Clone, Debug)]
pub struct Replanned {
    pub due: Timestamp,
    pub id: TimerId,
    pub tenant: TenantId,
    /// `None` where it ends.
    pub by: Option<NewTimer>,
}

impl Store {
    /// The timers of all schedules.
    pub async fn schedule_timers(&self) -> Result<Vec<PendingTimer>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM timers WHERE purpose = 'cron' ORDER BY tenant_id, rule, due_us");
        let rows = sql::query(&self.read, &text, vec![]).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// A page of all pending timers behind `after`, in their order.
    pub async fn timers_after(&self, after: Option<(Timestamp, TimerId)>) -> Result<Vec<PendingTimer>, StoreError> {
        let text =
            format!("SELECT {COLUMNS} FROM timers WHERE (due_us, id) > (?, ?) ORDER BY due_us, id LIMIT {TIMERS_PAGE}");
        let (due, id) = after.map_or((i64::MIN, Uuid::nil()), |(due, id)| (due.unix_us(), id.uuid()));
        let rows = sql::query(&self.read, &text, vec![due.into(), id.into()]).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// A page of the events of these kinds behind `after`, of all tenants, the oldest first.
    pub async fn events_of_kinds(
        &self,
        kinds: &BTreeSet<EventKind>,
        after: Option<EventId>,
    ) -> Result<Vec<Event>, StoreError> {
        let marks = vec!["?"; kinds.len()].join(",");
        let text = format!("SELECT * FROM events WHERE id > ? AND kind IN ({marks}) ORDER BY id LIMIT {TIMERS_PAGE}");
        let after = after.map(EventId::uuid).unwrap_or_default();
        let values = std::iter::once(after.into()).chain(kinds.iter().map(|kind| kind.as_str().into()));
        let rows = sql::query(&self.read, &text, values.collect()).await?;
        rows.iter().map(|row| events::from_row(entity::event::Model::from_query_result(row, "")?)).collect()
    }

    /// Plans timers in one transaction; one that is there already stays as it is.
    pub async fn plan_timers(&self, new: &[NewTimer]) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        plan(&txn, &self.context, new).await?;
        Txn::commit(txn).await?;
        self.context.timer_wake.committed();
        Ok(())
    }

    /// Ends timers, and plans others in their place, in one transaction. What has fired meanwhile has no successor.
    pub async fn replan_timers(&self, replanned: &[Replanned]) -> Result<u64, StoreError> {
        let txn = begin(&self.write).await?;
        let mut changed = 0;
        for one in replanned {
            let values = vec![one.due.unix_us().into(), one.id.uuid().into(), one.tenant.uuid().into()];
            let text = "DELETE FROM timers WHERE due_us = ? AND id = ? AND tenant_id = ?";
            if Txn::execute(&txn, text, values).await? > 0 {
                plan(&txn, &self.context, &one.by).await?;
                changed += 1;
            }
        }
        abort::point("before-commit");
        Txn::commit(txn).await?;
        self.context.timer_wake.committed();
        Ok(changed)
    }

    /// Removes the notes of what hung on subjects and was due before then, in small steps.
    pub async fn remove_fired_notes(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let text = format!(
            "SELECT subject_id, due_us, timer_id FROM subject_timers WHERE tenant_id = ? AND due_us < ?
               AND (subject_id, due_us, timer_id) > (?, ?, ?) ORDER BY subject_id, due_us, timer_id LIMIT {TIMERS_PAGE}"
        );
        let (mut removed, mut after) = (0, (Uuid::nil(), i64::MIN, Uuid::nil()));
        loop {
            // Found without the lock to write: of all that is there, little may be old.
            let values = vec![tenant.uuid().into(), before.unix_us().into()];
            let values = [values, vec![after.0.into(), after.1.into(), after.2.into()]].concat();
            let rows = sql::query(&self.read, &text, values).await?;
            let Some(last) = rows.last() else { return Ok(removed) };
            after = (last.try_get_by_index(0)?, last.try_get_by_index(1)?, last.try_get_by_index(2)?);
            let txn = begin(&self.write).await?;
            for row in &rows {
                let (subject, due_us, id): (Uuid, i64, Uuid) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
                let one = vec![tenant.uuid().into(), subject.into(), due_us.into(), id.into()];
                let text =
                    "DELETE FROM subject_timers WHERE tenant_id = ? AND subject_id = ? AND due_us = ? AND timer_id = ?";
                removed += sql::execute(&txn, text, one).await?;
            }
            txn.commit().await?;
        }
    }
}
