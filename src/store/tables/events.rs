//! Rows of events, and the undecided ones among them.

use std::sync::LazyLock;
use std::time::Duration;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::domain::{ContactId, Event, EventId, EventKind, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::{Oldest, Pending};
use crate::store::rows::event;

impl Store {
    /// Lists the tenants with undecided events, whoever wrote them.
    pub async fn pending_tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let pending = pending_tenants(&self.read).await?;
        pending.iter().for_each(|(tenant, oldest)| self.context.pending.waits(*tenant, *oldest));
        Ok(pending.into_iter().map(|(tenant, _)| tenant).collect())
    }

    /// Lists a tenant's oldest undecided events, at most `limit`, from the cache or from the rows. The events of a call
    /// that is being answered are left to its turn for `LINE_HOLD`.
    pub async fn pending_events(&self, tenant: TenantId, limit: usize) -> Result<Vec<Pending>, StoreError> {
        if let Oldest::Cached(events) = self.context.pending.oldest(tenant, limit) {
            return Ok(events);
        }
        let read = oldest(&self.read, tenant, self.context.clock.now(), limit).await;
        // If more events may wait, or the read failed, the rows are read again.
        if read.as_ref().map_or(true, |events| events.len() >= limit) {
            self.context.pending.forget(tenant);
        }
        Ok(read?.into_iter().map(|event| Pending { event, customer: None }).collect())
    }

    /// Makes events that could not be decided be read again.
    pub fn give_back(&self, tenant: TenantId) {
        self.context.pending.forget(tenant);
    }

    /// Finds an event, and the time when it was handled.
    pub async fn event(&self, tenant: TenantId, id: EventId) -> Result<Option<(Event, Option<Timestamp>)>, StoreError> {
        find(&self.read, tenant, id).await
    }

    /// Finds an event by its id alone, for a link that we have made. The tenant comes with it.
    pub async fn event_of_link(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        find_of_link(&self.read, id).await
    }

    /// Finds an event by its dedupe key.
    pub async fn event_of_key(&self, tenant: TenantId, key: &str) -> Result<Option<Event>, StoreError> {
        find_by_key(&self.read, tenant, key).await
    }
}

static INSERT: LazyLock<String> = LazyLock::new(|| event::TABLE.insert() + " ON CONFLICT DO NOTHING");

/// Inserts events; an event whose dedupe key is known is left out. The time beside an event is when it was handled, if
/// it needs no decision.
pub(in crate::store) async fn insert<'a>(
    txn: &impl Txn,
    events: impl IntoIterator<Item = (&'a Event, Option<Timestamp>)>,
) -> Result<(), StoreError> {
    let row = |(event, handled): (&'a Event, _)| event::new_row(event, event.data.to_string(), handled);
    insert_rows(txn, events.into_iter().flat_map(row).collect()).await
}

/// Inserts the values of events, each from [`event::new_row`]; an event whose dedupe key is known is left out.
pub(in crate::store) async fn insert_rows(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    txn.rows(&INSERT, event::TABLE.width(), Cut::Padded, values).await
}

/// Lists the tenants with undecided events, each with its oldest. The query walks along the index, two steps for each
/// tenant.
pub(in crate::store) async fn pending_tenants(
    db: &impl ConnectionTrait,
) -> Result<Vec<(TenantId, EventId)>, StoreError> {
    let rows = sql::query(
        db,
        "WITH RECURSIVE t(id) AS (
           SELECT (SELECT tenant_id FROM events WHERE handled_us IS NULL ORDER BY tenant_id LIMIT 1)
           UNION ALL
           SELECT (SELECT tenant_id FROM events WHERE handled_us IS NULL AND tenant_id > t.id ORDER BY tenant_id LIMIT 1)
           FROM t WHERE t.id IS NOT NULL)
         SELECT * FROM (SELECT id, (SELECT e.id FROM events e WHERE e.handled_us IS NULL AND e.tenant_id = t.id
             ORDER BY e.id LIMIT 1) AS oldest
           FROM t WHERE id IS NOT NULL) AS pending WHERE oldest IS NOT NULL",
        vec![],
    )
    .await?;
    let pair = |row: &sea_orm::QueryResult| {
        Ok((TenantId::new(row.try_get_by_index(0)?), EventId::new(row.try_get_by_index(1)?)))
    };
    rows.iter().map(pair).collect()
}

/// The time that an event of a call is left to the turn that answers the call. Twilio hangs up after 15 s.
pub const LINE_HOLD: Duration = Duration::from_secs(20);

/// Lists a tenant's oldest undecided events, without those of calls that are being answered.
pub(in crate::store) async fn oldest(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let [received, opened, input] = EventKind::ON_THE_LINE;
    let rows = sql::query(
        db,
        "SELECT * FROM events WHERE tenant_id = ? AND handled_us IS NULL
           AND (occurred_us < ? OR kind NOT IN (?, ?, ?)) ORDER BY id LIMIT ?",
        vec![
            tenant.uuid().into(),
            now.minus(LINE_HOLD).unix_us().into(),
            received.as_str().into(),
            opened.as_str().into(),
            input.as_str().into(),
            (limit as i64).into(),
        ],
    )
    .await?;
    rows.iter().map(|row| from_row(event::Model::from_query_result(row, "")?)).collect()
}

/// Lists a tenant's undecided events after `after`, in the order of their ids.
pub(in crate::store) async fn pending(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    after: Option<EventId>,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let after = after.map(EventId::uuid).unwrap_or_default();
    let rows = sql::query(
        db,
        "SELECT * FROM events WHERE tenant_id = ? AND handled_us IS NULL AND id > ? ORDER BY id LIMIT ?",
        vec![tenant.uuid().into(), after.into(), (limit as i64).into()],
    )
    .await?;
    rows.iter().map(|row| from_row(event::Model::from_query_result(row, "")?)).collect()
}

pub(in crate::store) async fn find(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    id: EventId,
) -> Result<Option<(Event, Option<Timestamp>)>, StoreError> {
    let row = sql::query_one(
        db,
        "SELECT * FROM events WHERE tenant_id = ? AND id = ?",
        vec![tenant.uuid().into(), id.uuid().into()],
    )
    .await?;
    row.map(|row| {
        let model = event::Model::from_query_result(&row, "")?;
        let handled = model.handled_us.map(Timestamp::from_unix_us);
        Ok((from_row(model)?, handled))
    })
    .transpose()
}

/// Finds an event by its id alone. The caller has proof of the id.
pub(in crate::store) async fn find_of_link(
    db: &impl ConnectionTrait,
    id: EventId,
) -> Result<Option<Event>, StoreError> {
    let row = sql::query_one(db, "SELECT * FROM events WHERE id = ?", vec![id.uuid().into()]).await?;
    row.map(|row| from_row(event::Model::from_query_result(&row, "")?)).transpose()
}

pub(in crate::store) async fn find_by_key(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    key: &str,
) -> Result<Option<Event>, StoreError> {
    let text = "SELECT * FROM events WHERE tenant_id = ? AND dedupe_key = ?";
    let row = sql::query_one(db, text, vec![tenant.uuid().into(), key.into()]).await?;
    row.map(|row| from_row(event::Model::from_query_result(&row, "")?)).transpose()
}

pub(in crate::store) fn from_row(row: event::Model) -> Result<Event, StoreError> {
    Ok(Event {
        id: EventId::new(row.id),
        tenant: TenantId::new(row.tenant_id),
        kind: EventKind::parse(&row.kind).map_err(StoreError::stored)?,
        channel: row.channel.map(|channel| channel.parse()).transpose().map_err(StoreError::stored)?,
        contact: row.contact_id.map(ContactId::new),
        occurred_at: Timestamp::from_unix_us(row.occurred_us),
        dedupe_key: row.dedupe_key,
        depth: row.depth.clamp(0, 255) as u8,
        data: serde_json::from_str(&row.data).map_err(StoreError::json)?,
    })
}
