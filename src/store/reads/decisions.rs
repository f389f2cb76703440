//! The result of an event: its trace, its actions and their attempts.

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::domain::{ActionId, EventId, EventKind, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::Row;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows;
use crate::store::rows::attempt;
use crate::store::tables::actions;

/// The most decisions that [`Store::failed_runs`] looks at.
pub const LOOKED_AT_MAX: usize = 20_000;

impl Store {
    /// Reads the time of an event's decision, and its trace as JSON.
    pub async fn trace(&self, tenant: TenantId, event: EventId) -> Result<Option<(Timestamp, String)>, StoreError> {
        trace(&self.read, tenant, event).await
    }

    /// Lists a tenant's decisions since then in which a rule failed, the latest first, each with its event's kind and its
    /// trace as JSON. At most [`LOOKED_AT_MAX`] decisions are looked at.
    pub async fn failed_runs(
        &self,
        tenant: TenantId,
        since: Timestamp,
    ) -> Result<Vec<(EventId, EventKind, String)>, StoreError> {
        let ms = u64::try_from(since.unix_ms()).unwrap_or_default();
        let first = uuid::Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid();
        let text = format!(
            "SELECT e.id, e.kind, r.trace FROM (SELECT event_id, trace FROM rule_runs
               WHERE event_id >= ? AND tenant_id = ? ORDER BY event_id DESC LIMIT {LOOKED_AT_MAX}) r
             JOIN events e ON e.id = r.event_id
             WHERE r.trace LIKE '%\"verdict\":\"failed\"%' OR r.trace LIKE '%\"verdict\":\"too_much\"%'
             ORDER BY r.event_id DESC"
        );
        let rows = sql::query(&self.read, &text, vec![first.into(), tenant.uuid().into()]).await?;
        let read = |row| {
            let row = Row::Sea(row);
            let kind: String = row.get(1)?;
            Ok((EventId::new(row.get(0)?), EventKind::parse(&kind).map_err(StoreError::stored)?, row.get(2)?))
        };
        rows.iter().map(read).collect()
    }

    /// Lists the actions of an event.
    pub async fn actions_of(&self, tenant: TenantId, event: EventId) -> Result<Vec<rows::action::Model>, StoreError> {
        actions_of(&self.read, tenant, event).await
    }

    /// Lists the attempts of an action.
    pub async fn attempts_of(
        &self,
        tenant: TenantId,
        action: ActionId,
    ) -> Result<Vec<rows::attempt::Model>, StoreError> {
        attempts_of(&self.read, tenant, action).await
    }
}

/// Reads the stored trace of a decision, and its time.
async fn trace(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<(Timestamp, String)>, StoreError> {
    let row = sql::query_one(
        db,
        "SELECT decided_us, trace FROM rule_runs WHERE tenant_id = ? AND event_id = ?",
        vec![tenant.uuid().into(), event.uuid().into()],
    )
    .await?;
    row.map(|row| Ok((Timestamp::from_unix_us(row.try_get_by_index(0)?), row.try_get_by_index(1)?))).transpose()
}

/// Lists the actions of an event in their order.
async fn actions_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    event: EventId,
) -> Result<Vec<rows::action::Model>, StoreError> {
    // The id of an action begins with the millisecond of its event, so this is a range of the primary key.
    let first = uuid::Builder::from_unix_timestamp_millis(event.unix_ms(), &[0; 10]).into_uuid();
    let last = uuid::Builder::from_unix_timestamp_millis(event.unix_ms() + 1, &[0; 10]).into_uuid();
    let rows = sql::query(
        db,
        "SELECT * FROM actions WHERE id >= ? AND id < ? AND tenant_id = ? AND event_id = ? ORDER BY planned_us",
        vec![first.into(), last.into(), tenant.uuid().into(), event.uuid().into()],
    )
    .await?;
    rows.iter().map(|row| Ok(rows::action::Model::from_query_result(row, "")?)).collect()
}

/// Lists the attempts of an action, the first one first. The last may be in progress.
async fn attempts_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    action: ActionId,
) -> Result<Vec<attempt::Model>, StoreError> {
    let rows = sql::query(
        db,
        "SELECT * FROM attempts WHERE action_id = ? AND tenant_id = ? ORDER BY n",
        vec![action.uuid().into(), tenant.uuid().into()],
    )
    .await?;
    let mut attempts: Vec<attempt::Model> =
        rows.iter().map(|row| attempt::Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
    let open = sql::query_one(
        db,
        "SELECT tries, tried_us FROM actions WHERE id = ? AND tenant_id = ? AND tries > 0",
        vec![action.uuid().into(), tenant.uuid().into()],
    )
    .await?;
    if let Some(row) = open {
        let (n, started_us): (i32, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if attempts.last().is_none_or(|last| last.n < n) {
            attempts.push(attempt::Model {
                action_id: action.uuid(),
                n,
                tenant_id: tenant.uuid(),
                started_us,
                not_after_us: started_us.saturating_add(actions::SEND_WITHIN.as_micros() as i64),
                finished_us: None,
                outcome: None,
                http_status: None,
                error_code: None,
                detail: None,
            });
        }
    }
    Ok(attempts)
}
