//! Removes rows that are older than a tenant's retention. An event goes with all its results, in small transactions.

use std::collections::HashSet;

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::{EventId, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// Events that one step looks at.
const PAGE_EVENTS: usize = 100;
const OPEN: [&str; 4] = ["planned", "sending", "unknown", "held"];

/// The numbers of removed rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub events: u64,
    pub actions: u64,
    pub messages: u64,
    pub appointments: u64,
    pub calls: u64,
    /// Campaigns; their members go with them.
    pub campaigns: u64,
}

/// One step through the events, the oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub removed: Removed,
    /// The start of the next step; `None` after the last one.
    pub next: Option<EventId>,
}

impl Store {
    /// Removes some of a tenant's events between `after` and `before`, each with its trace, its actions, their attempts
    /// and their messages. An event that is undecided, or that has an open send, stays with all of these. With
    /// `dry_run` it only counts.
    ///
    /// A campaign's event goes if the campaign ended before `before`, because the members refer to the actions until
    /// then. Customers, their facts and opt-outs stay at any age.
    pub async fn remove_old(
        &self,
        tenant: TenantId,
        before: Timestamp,
        after: Option<EventId>,
        dry_run: bool,
    ) -> Result<Step, StoreError> {
        let page = sql::query(
            &self.read,
            "SELECT id, handled_us FROM events WHERE tenant_id = ? AND id > ? AND id < ?
               AND NOT EXISTS (SELECT 1 FROM campaigns k WHERE k.id = events.id
                 AND (k.state NOT IN ('done', 'cancelled') OR k.changed_us >= ?))
             ORDER BY id LIMIT ?",
            vec![
                tenant.uuid().into(),
                after.map(EventId::uuid).unwrap_or_default().into(),
                first_of(before.unix_ms()).into(),
                before.unix_us().into(),
                (PAGE_EVENTS as i64).into(),
            ],
        )
        .await?;
        let mut removed = Removed::default();
        let mut ids: Vec<(Uuid, Option<i64>)> = Vec::with_capacity(page.len());
        for row in &page {
            ids.push((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
        let (Some((oldest, _)), Some((newest, _))) = (ids.first(), ids.last()) else {
            return Ok(Step { removed, next: None });
        };
        let (oldest, newest) = (EventId::new(*oldest), EventId::new(*newest));
        let next = (page.len() == PAGE_EVENTS).then_some(newest);
        let actions = self.actions_between(tenant, oldest, newest).await?;
        let open: HashSet<Uuid> =
            actions.iter().filter(|(_, _, state)| OPEN.contains(&state.as_str())).map(|(_, event, _)| *event).collect();
        let events: HashSet<Uuid> =
            ids.into_iter().filter(|(id, handled)| handled.is_some() && !open.contains(id)).map(|(id, _)| id).collect();
        let actions: Vec<Uuid> =
            actions.into_iter().filter(|(_, event, _)| events.contains(event)).map(|(id, _, _)| id).collect();
        let events: Vec<Uuid> = events.into_iter().collect();
        // An inbound message has the id of its event, an outbound message the id of its action.
        let messages = [events.clone(), actions.clone()].concat();
        if dry_run {
            let text = "SELECT id FROM messages WHERE tenant_id = ? AND id IN ({list})";
            let list = messages.iter().map(|id| (*id).into()).collect();
            let mut there: Vec<Uuid> = Vec::new();
            for row in sql::query_in(&self.read, text, &[tenant.uuid().into()], list).await? {
                there.push(row.try_get_by_index(0)?);
            }
            let messages = there.into_iter().collect::<HashSet<_>>().len() as u64;
            removed =
                Removed { events: events.len() as u64, actions: actions.len() as u64, messages, ..Removed::default() };
            return Ok(Step { removed, next });
        }
        let txn = begin(&self.write).await?;
        delete(&txn, "attempts", "action_id", tenant, &actions).await?;
        delete(&txn, "rule_runs", "event_id", tenant, &events).await?;
        delete(&txn, "events_set_aside", "event_id", tenant, &events).await?;
        removed.messages = delete(&txn, "messages", "id", tenant, &messages).await?;
        removed.actions = delete(&txn, "actions", "id", tenant, &actions).await?;
        removed.events = delete(&txn, "events", "id", tenant, &events).await?;
        txn.commit().await?;
        Ok(Step { removed, next })
    }

    /// Removes a tenant's appointments that ended and were last changed before `before`, with their history. Gives
    /// their number.
    pub async fn remove_old_appointments(
        &self,
        tenant: TenantId,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let old = "appointments WHERE tenant_id = ? AND starts_us < ? AND ends_us < ? AND updated_us < ?";
        let before = before.unix_us();
        let values = vec![tenant.uuid().into(), before.into(), before.into(), before.into()];
        if dry_run {
            return self.count_old(old, values).await;
        }
        let mut removed = 0;
        loop {
            let ids = self.some_old(old, "starts_us", values.clone()).await?;
            if ids.is_empty() {
                return Ok(removed);
            }
            let txn = begin(&self.write).await?;
            delete(&txn, "occupied", "appointment_id", tenant, &ids).await?;
            delete(&txn, "appointment_history", "appointment_id", tenant, &ids).await?;
            removed += delete(&txn, "appointments", "id", tenant, &ids).await?;
            txn.commit().await?;
        }
    }

    /// Removes a tenant's calls that ended before `before`, with their turns and legs. Gives their number.
    pub async fn remove_old_calls(
        &self,
        tenant: TenantId,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let old = "calls WHERE tenant_id = ? AND started_us < ? AND ended_us < ?";
        let values = vec![tenant.uuid().into(), before.unix_us().into(), before.unix_us().into()];
        if dry_run {
            return self.count_old(old, values).await;
        }
        let mut removed = 0;
        loop {
            let ids = self.some_old(old, "started_us", values.clone()).await?;
            if ids.is_empty() {
                return Ok(removed);
            }
            let txn = begin(&self.write).await?;
            delete(&txn, "call_legs", "call_id", tenant, &ids).await?;
            delete(&txn, "call_turns", "call_id", tenant, &ids).await?;
            removed += delete(&txn, "calls", "id", tenant, &ids).await?;
            txn.commit().await?;
        }
    }

    /// Removes a tenant's campaigns that ended before `before`, with their members. Gives their number.
    pub async fn remove_old_campaigns(
        &self,
        tenant: TenantId,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let old = "campaigns WHERE tenant_id = ? AND state IN ('done', 'cancelled') AND changed_us < ?";
        let values = vec![tenant.uuid().into(), before.unix_us().into()];
        if dry_run {
            return self.count_old(old, values).await;
        }
        let mut removed = 0;
        loop {
            let ids = self.some_old(old, "id", values.clone()).await?;
            if ids.is_empty() {
                return Ok(removed);
            }
            for id in ids {
                while self.remove_members(tenant, id).await? > 0 {}
                let txn = begin(&self.write).await?;
                sql::execute(&txn, "DELETE FROM campaign_counts WHERE campaign_id = ?", vec![id.into()]).await?;
                removed += delete(&txn, "campaigns", "id", tenant, &[id]).await?;
                txn.commit().await?;
            }
        }
    }

    async fn count_old(&self, old: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let row = sql::query_one(&self.read, &format!("SELECT count(*) FROM {old}"), values).await?;
        let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn some_old(&self, old: &str, order: &str, mut values: Vec<Value>) -> Result<Vec<Uuid>, StoreError> {
        values.push((PAGE_EVENTS as i64).into());
        let rows = sql::query(&self.read, &format!("SELECT id FROM {old} ORDER BY {order} LIMIT ?"), values).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// Removes some of a campaign's members.
    async fn remove_members(&self, tenant: TenantId, campaign: Uuid) -> Result<u64, StoreError> {
        let text = "DELETE FROM campaign_members WHERE tenant_id = ? AND campaign_id = ? AND peer_key IN
            (SELECT peer_key FROM campaign_members WHERE campaign_id = ? LIMIT ?)";
        let limit = PAGE_EVENTS as i64;
        let values = vec![tenant.uuid().into(), campaign.into(), campaign.into(), limit.into()];
        let txn = begin(&self.write).await?;
        let removed = sql::execute(&txn, text, values).await?;
        txn.commit().await?;
        Ok(removed)
    }

    /// Lists the actions of the events in a range. The id of an action begins with the millisecond of its event.
    async fn actions_between(
        &self,
        tenant: TenantId,
        oldest: EventId,
        newest: EventId,
    ) -> Result<Vec<(Uuid, Uuid, String)>, StoreError> {
        let rows = sql::query(
            &self.read,
            "SELECT id, event_id, state FROM actions WHERE id >= ? AND id < ? AND tenant_id = ?",
            vec![
                first_of(oldest.unix_ms() as i64).into(),
                first_of(newest.unix_ms() as i64 + 1).into(),
                tenant.uuid().into(),
            ],
        )
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?)))
            .collect()
    }
}

/// The smallest id of a millisecond.
fn first_of(ms: i64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(ms).unwrap_or_default(), &[0; 10]).into_uuid()
}

async fn delete(
    db: &impl sea_orm::ConnectionTrait,
    table: &str,
    key: &str,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for part in ids.chunks(PAGE_EVENTS) {
        let marks = vec!["?"; part.len()].join(",");
        let values: Vec<Value> = std::iter::once(tenant.uuid()).chain(part.iter().copied()).map(Into::into).collect();
        let text = format!("DELETE FROM {table} WHERE tenant_id = ? AND {key} IN ({marks})");
        deleted += sql::execute(db, &text, values).await?;
    }
    Ok(deleted)
}
