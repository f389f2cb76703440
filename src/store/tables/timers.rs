//! Timers, in the order in which they are due.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use super::{events, ordering_keys};
use crate::domain::{ActionId, Event, EventId, EventKind, NewTimer, TenantId, TimerId, Timestamp, abort};
use crate::store::context::WriterContext;
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::timer::{COLUMNS, PendingTimer};
use crate::store::rows::{event, subject_timer, timer};

impl Store {
    /// Finds the time of the next timer, or of the next try of one that was set aside. From this call on, an earlier
    /// timer that this process plans ends [`Store::timer_wake`].
    pub async fn next_timer(&self) -> Result<Option<Timestamp>, StoreError> {
        let wake = &self.context.timer_wake;
        // During the query, any timer counts as earlier.
        wake.until_us.store(i64::MAX, Ordering::SeqCst);
        let text = "SELECT min(due_us) FROM (SELECT min(due_us) AS due_us FROM timers
                    UNION ALL SELECT min(retry_us) FROM timers_set_aside WHERE retry_us IS NOT NULL) AS next";
        let row = sql::query_one(&self.read, text, vec![]).await?;
        let next: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        wake.until_us.store(next.unwrap_or(i64::MAX), Ordering::SeqCst);
        Ok(next.map(Timestamp::from_unix_us))
    }

    /// Lists pending timers, the next first, at most `limit`: those of one tenant, or those of all tenants.
    pub async fn timers(&self, tenant: Option<TenantId>, limit: usize) -> Result<Vec<PendingTimer>, StoreError> {
        let limit = limit.min(LIST_MAX) as i64;
        let (of, mut values) = match tenant {
            Some(tenant) => ("WHERE tenant_id = ?", vec![tenant.uuid().into()]),
            None => ("", Vec::new()),
        };
        values.push(limit.into());
        let text = format!("SELECT {} FROM timers {of} ORDER BY due_us, id LIMIT ?", *COLUMNS);
        let rows = sql::query(&self.read, &text, values).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// Waits until a timer is planned that is due before the time of [`Store::next_timer`].
    pub async fn timer_wake(&self) {
        self.context.timer_wake.nearer.notified().await;
    }
}

static INSERT: LazyLock<String> = LazyLock::new(|| timer::TABLE.insert() + " ON CONFLICT DO NOTHING");
static INSERT_SUBJECTS: LazyLock<String> = LazyLock::new(|| subject_timer::TABLE.insert() + " ON CONFLICT DO NOTHING");

/// Stores timers; a timer that is there already stays as it is.
pub(in crate::store) async fn plan(
    txn: &impl Txn,
    context: &WriterContext,
    timers: impl IntoIterator<Item = &NewTimer>,
) -> Result<(), StoreError> {
    let (mut values, mut subjects): (Vec<Value>, Vec<Value>) = Default::default();
    for timer in timers {
        context.timer_wake.planned(timer.due);
        if let Some(subject) = timer.subject {
            subjects.extend(subject_timer::new_row(timer.tenant, subject, timer.due, timer.id));
        }
        values.extend(timer::new_row(timer));
    }
    txn.rows(&INSERT, timer::TABLE.width(), Cut::Padded, values).await?;
    // A timer that fires leaves this row behind. Firing comes in bursts and writes only where the next timers are, while
    // the subjects are spread over the table. `remove_fired_notes` removes the rows later.
    txn.rows(&INSERT_SUBJECTS, subject_timer::TABLE.width(), Cut::Padded, subjects).await
}

/// Stores the subjects of a tenant's timers, for timers that were imported.
pub(in crate::store) async fn hang_all(txn: &impl Txn, tenant: TenantId) -> Result<(), StoreError> {
    let text = subject_timer::TABLE.insert_from(
        "SELECT tenant_id, subject_id, due_us, id FROM timers WHERE tenant_id = ? AND subject_id IS NOT NULL
        ON CONFLICT DO NOTHING",
    );
    txn.execute(&text, vec![tenant.uuid().into()]).await?;
    Ok(())
}

/// Ends the timers of a subject, and blocks its planned sends, in the transaction that moves or ends the subject. Gives those
/// sends.
pub(in crate::store) async fn end_subject(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    subject: Uuid,
    reason: &str,
) -> Result<Vec<ActionId>, StoreError> {
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
    let block = "UPDATE actions SET state = 'blocked', reason = ?
         WHERE tenant_id = ? AND subject_id = ? AND state = 'planned' RETURNING id, lane";
    let read = |row: &sql::Row| Ok((ActionId::new(row.get(0)?), row.get::<Option<String>>(1)?));
    let (blocked, keys): (Vec<_>, Vec<_>) = txn.query(block, values, read).await?.into_iter().unzip();
    ordering_keys::promote(txn, context, keys.into_iter().flatten()).await?;
    Ok(blocked)
}

/// Rows of one page.
pub const TIMERS_PAGE: usize = 500;

/// A timer that is replaced, and its successor.
#[derive(Clone, Debug)]
pub struct Replanned {
    pub due: Timestamp,
    pub id: TimerId,
    pub tenant: TenantId,
    /// `None` if the timer ends.
    pub by: Option<NewTimer>,
}

impl Store {
    /// Lists the timers of all schedules.
    pub async fn schedule_timers(&self) -> Result<Vec<PendingTimer>, StoreError> {
        let text = format!("SELECT {} FROM timers WHERE purpose = 'cron' ORDER BY tenant_id, rule, due_us", *COLUMNS);
        let rows = sql::query(&self.read, &text, vec![]).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// Lists a page of all pending timers after `after`, in their order.
    pub async fn timers_after(&self, after: Option<(Timestamp, TimerId)>) -> Result<Vec<PendingTimer>, StoreError> {
        let text = format!(
            "SELECT {} FROM timers WHERE (due_us, id) > (?, ?) ORDER BY due_us, id LIMIT {TIMERS_PAGE}",
            *COLUMNS
        );
        let (due, id) = after.map_or((i64::MIN, Uuid::nil()), |(due, id)| (due.unix_us(), id.uuid()));
        let rows = sql::query(&self.read, &text, vec![due.into(), id.into()]).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// Lists a page of the events of these kinds after `after`, of all tenants, the oldest first.
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
        rows.iter().map(|row| events::from_row(event::Model::from_query_result(row, "")?)).collect()
    }

    /// Plans timers in one transaction; a timer that is there already stays as it is.
    pub async fn plan_timers(&self, new: &[NewTimer]) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        plan(&txn, &self.context, new).await?;
        Txn::commit(txn).await?;
        self.context.committed();
        Ok(())
    }

    /// Ends timers and plans their successors in one transaction. A timer that has fired meanwhile gets no successor.
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
        self.context.committed();
        Ok(changed)
    }

    /// Removes the subjects of timers that were due before `before`, in small steps.
    pub async fn remove_fired_notes(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let text = format!(
            "SELECT subject_id, due_us, timer_id FROM subject_timers WHERE tenant_id = ? AND due_us < ?
               AND (subject_id, due_us, timer_id) > (?, ?, ?) ORDER BY subject_id, due_us, timer_id LIMIT {TIMERS_PAGE}"
        );
        let (mut removed, mut after) = (0, (Uuid::nil(), i64::MIN, Uuid::nil()));
        loop {
            // The query needs no write lock. Few of many rows may be old.
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
