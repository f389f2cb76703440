//! Events that could not be decided: a row that cannot be read, or a decision that the database refuses.
//!
//! Such an event counts as handled, so that the others go on. It is tried again [`TRIES_MAX`] times, and then waits for a
//! person.

use std::time::Duration;

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::{EventId, EventKind, TenantId, Timestamp};
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::events::LINE_HOLD;

/// How often a decision is tried in all.
const TRIES_MAX: i32 = 5;
/// The time between two tries.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// The events that one round tries again.
const RETRIES_MAX: i64 = 100;
/// The part of an error that is kept.
const ERROR_MAX_CHARS: usize = 500;

/// An event that could not be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventSetAside {
    pub event: EventId,
    pub at: Timestamp,
    pub tries: i32,
    /// `None` if the event waits for a person.
    pub retry_at: Option<Timestamp>,
    pub error: String,
}

impl Store {
    /// Sets a tenant's oldest undecided event aside: the one that [`Store::pending_events`] gives first. Gives its id.
    pub async fn set_aside_oldest(&self, tenant: TenantId, error: &str) -> Result<Option<EventId>, StoreError> {
        let now = self.clock().now();
        let [received, opened, input] = EventKind::ON_THE_LINE;
        let txn = begin(&self.write).await?;
        let oldest = "SELECT id FROM events WHERE tenant_id = ? AND handled_us IS NULL
            AND (occurred_us < ? OR kind NOT IN (?, ?, ?)) ORDER BY id LIMIT 1";
        let values = vec![
            tenant.uuid().into(),
            now.minus(LINE_HOLD).unix_us().into(),
            received.as_str().into(),
            opened.as_str().into(),
            input.as_str().into(),
        ];
        let Some(row) = sql::query_one(&txn, oldest, values).await? else { return Ok(None) };
        let event: Uuid = row.try_get_by_index(0)?;
        let at: Value = now.unix_us().into();
        let handled = "UPDATE events SET handled_us = ? WHERE id = ? AND tenant_id = ?";
        sql::execute(&txn, handled, vec![at.clone(), event.into(), tenant.uuid().into()]).await?;
        let (retry, error): (Value, Value) =
            (now.plus(RETRY_AFTER).unix_us().into(), error.chars().take(ERROR_MAX_CHARS).collect::<String>().into());
        let note = format!(
            "INSERT INTO events_set_aside (event_id, tenant_id, at_us, tries, retry_us, error) VALUES (?, ?, ?, 1, ?, ?)
             ON CONFLICT (event_id) DO UPDATE SET at_us = excluded.at_us, tries = events_set_aside.tries + 1,
               error = excluded.error,
               retry_us = CASE WHEN events_set_aside.tries + 1 < {TRIES_MAX} THEN excluded.retry_us END"
        );
        sql::execute(&txn, &note, vec![event.into(), tenant.uuid().into(), at, retry, error]).await?;
        txn.commit().await?;
        Ok(Some(EventId::new(event)))
    }

    /// Lets events be decided again that are due for another try. Gives their tenants. Events that were decided
    /// meanwhile are forgotten here.
    pub async fn retry_events(&self) -> Result<Vec<TenantId>, StoreError> {
        let now = self.clock().now();
        let due = "SELECT s.event_id, s.tenant_id, s.at_us, e.handled_us FROM events_set_aside s
            LEFT JOIN events e ON e.id = s.event_id WHERE s.retry_us <= ? ORDER BY s.retry_us LIMIT ?";
        let rows = sql::query(&self.read, due, vec![now.unix_us().into(), RETRIES_MAX.into()]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let txn = begin(&self.write).await?;
        let mut tenants = Vec::new();
        for row in &rows {
            let (event, tenant): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (at_us, handled_us): (i64, Option<i64>) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let (event, of): (Value, Value) = (event.into(), tenant.into());
            if handled_us.is_some_and(|handled| handled != at_us) {
                let decided = "DELETE FROM events_set_aside WHERE event_id = ? AND tenant_id = ?";
                sql::execute(&txn, decided, vec![event, of]).await?;
                continue;
            }
            let again = "UPDATE events SET handled_us = NULL WHERE id = ? AND tenant_id = ? AND handled_us = ?";
            sql::execute(&txn, again, vec![event.clone(), of.clone(), at_us.into()]).await?;
            let look = "UPDATE events_set_aside SET retry_us = ? WHERE event_id = ? AND tenant_id = ?";
            sql::execute(&txn, look, vec![now.plus(RETRY_AFTER).unix_us().into(), event, of]).await?;
            tenants.push(TenantId::new(tenant));
        }
        txn.commit().await?;
        tenants.sort_unstable();
        tenants.dedup();
        Ok(tenants)
    }

    /// Lists a tenant's events that could not be decided, the oldest first, at most `limit`.
    pub async fn events_set_aside(&self, tenant: TenantId, limit: usize) -> Result<Vec<EventSetAside>, StoreError> {
        let text = "SELECT s.event_id, s.at_us, s.tries, s.retry_us, s.error FROM events_set_aside s
            JOIN events e ON e.id = s.event_id AND e.handled_us = s.at_us
            WHERE s.tenant_id = ? ORDER BY s.at_us LIMIT ?";
        let values = vec![tenant.uuid().into(), (limit.min(LIST_MAX) as i64).into()];
        let rows = sql::query(&self.read, text, values).await?;
        let read = |row: &sea_orm::QueryResult| {
            Ok(EventSetAside {
                event: EventId::new(row.try_get_by_index(0)?),
                at: Timestamp::from_unix_us(row.try_get_by_index(1)?),
                tries: row.try_get_by_index(2)?,
                retry_at: row.try_get_by_index::<Option<i64>>(3)?.map(Timestamp::from_unix_us),
                error: row.try_get_by_index(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Releases a tenant's events that were set aside for another try: one, or all. Gives their number. A running server
    /// sees them within seconds.
    pub async fn redrive_events(&self, tenant: TenantId, event: Option<EventId>) -> Result<u64, StoreError> {
        let mut values = vec![self.clock().now().unix_us().into(), tenant.uuid().into()];
        values.extend(event.map(|event| event.uuid().into()));
        let one = if event.is_some() { " AND event_id = ?" } else { "" };
        let text = format!("UPDATE events_set_aside SET tries = 0, retry_us = ? WHERE tenant_id = ?{one}");
        Ok(sql::execute(&self.write, &text, values).await?)
    }
}
