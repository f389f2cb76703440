//! Lists for people: messages, events, what waits.

use sea_orm::{FromQueryResult, Value};

use super::entity::{action, event, message};
use super::{Store, StoreError, sql};
use crate::domain::{ActionId, ContactId, EventId, TenantId, Timestamp};

/// A message, or a send that is none yet.
#[derive(Clone, Debug)]
pub enum Listed {
    Message(message::Model),
    /// Planned, under way, held or unknown.
    Send(action::Model),
}

impl Listed {
    const fn at_us(&self) -> i64 {
        match self {
            Self::Message(message) => message.at_us,
            Self::Send(send) => send.planned_us,
        }
    }
}

/// An outbound message whose last status is not final.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unsettled {
    pub id: uuid::Uuid,
    pub tenant_id: uuid::Uuid,
    pub provider_sid: String,
    pub at_us: i64,
}

/// Rows that a list gives at most.
pub const LIST_MAX: usize = 10_000;

impl Store {
    /// A tenant's newest messages, the newest first, sends that are still under way among them.
    pub async fn messages(
        &self,
        tenant: TenantId,
        peer_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let limit = Ord::min(limit, LIST_MAX);
        let mut values: Vec<Value> = vec![tenant.uuid().into()];
        let of_peer = match peer_key {
            Some(key) => {
                values.push(key.into());
                " AND peer_key = ?"
            }
            None => "",
        };
        values.push((limit as i64).into());
        let messages = sql::query(
            &self.read,
            &format!("SELECT * FROM messages WHERE tenant_id = ?{of_peer} ORDER BY at_us DESC, id DESC LIMIT ?"),
            values.clone(),
        )
        .await?;
        let sends = sql::query(
            &self.read,
            &format!(
                "SELECT * FROM actions WHERE tenant_id = ?{of_peer} AND lane IS NOT NULL
                   AND state IN ('planned', 'sending', 'unknown', 'held') ORDER BY planned_us DESC LIMIT ?"
            ),
            values,
        )
        .await?;
        let mut listed = Vec::with_capacity(messages.len() + sends.len());
        for row in &messages {
            listed.push(Listed::Message(message::Model::from_query_result(row, "")?));
        }
        for row in &sends {
            listed.push(Listed::Send(action::Model::from_query_result(row, "")?));
        }
        listed.sort_by_key(|item| std::cmp::Reverse(item.at_us()));
        listed.truncate(limit);
        Ok(listed)
    }

    /// A tenant's newest events, the newest first.
    pub async fn events(&self, tenant: TenantId, limit: usize) -> Result<Vec<event::Model>, StoreError> {
        let limit = Ord::min(limit, LIST_MAX) as i64;
        let rows = sql::query(
            &self.read,
            "SELECT * FROM events WHERE tenant_id = ? ORDER BY id DESC LIMIT ?",
            vec![tenant.uuid().into(), limit.into()],
        )
        .await?;
        rows.iter().map(|row| Ok(event::Model::from_query_result(row, "")?)).collect()
    }

    /// The event that a message, a provider's id, or an event's own id names.
    pub async fn event_named(&self, tenant: TenantId, name: &str) -> Result<Option<EventId>, StoreError> {
        if let Ok(id) = name.parse::<EventId>() {
            if self.event(tenant, id).await?.is_some() {
                return Ok(Some(id));
            }
            let action = self.action(tenant, ActionId::new(id.uuid())).await?;
            return Ok(action.map(|action| EventId::new(action.event_id)));
        }
        let row = sql::query_one(
            &self.read,
            "SELECT id, direction, at_us FROM messages WHERE provider_sid = ? AND tenant_id = ?",
            vec![name.into(), tenant.uuid().into()],
        )
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, direction): (uuid::Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if direction == "out" {
            let action = self.action(tenant, ActionId::new(id)).await?;
            return Ok(action.map(|action| EventId::new(action.event_id)));
        }
        // An inbound message's event is made right after it, in the same transaction.
        let row = sql::query_one(
            &self.read,
            "SELECT id FROM events WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT 1",
            vec![tenant.uuid().into(), id.into()],
        )
        .await?;
        row.map(|row| Ok(EventId::new(row.try_get_by_index(0)?))).transpose()
    }

    /// The customer with this folded number, if the tenant knows one.
    pub async fn contact_by_phone(&self, tenant: TenantId, phone_key: &str) -> Result<Option<ContactId>, StoreError> {
        let row = sql::query_one(
            &self.read,
            "SELECT id FROM contacts WHERE tenant_id = ? AND phone_key = ?",
            vec![tenant.uuid().into(), phone_key.into()],
        )
        .await?;
        row.map(|row| Ok(ContactId::new(row.try_get_by_index(0)?))).transpose()
    }

    pub async fn action(&self, tenant: TenantId, id: ActionId) -> Result<Option<action::Model>, StoreError> {
        let row = sql::query_one(
            &self.read,
            "SELECT * FROM actions WHERE id = ? AND tenant_id = ?",
            vec![id.uuid().into(), tenant.uuid().into()],
        )
        .await?;
        Ok(row.map(|row| action::Model::from_query_result(&row, "")).transpose()?)
    }

    /// Provider's ids among `sids` that some message has already, of whatever tenant: they are the provider's, and unique.
    pub async fn known_sids(&self, sids: &[String]) -> Result<Vec<String>, StoreError> {
        let list = sids.iter().map(|sid| sid.as_str().into()).collect();
        let rows =
            sql::query_in(&self.read, "SELECT provider_sid FROM messages WHERE provider_sid IN ({list})", &[], list)
                .await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// Sent messages of all tenants made between the two instants whose status is not final; at most `limit`, oldest first.
    pub async fn unsettled(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Unsettled>, StoreError> {
        let bound = |at: Timestamp| {
            let ms = u64::try_from(at.unix_ms()).unwrap_or_default();
            uuid::Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
        };
        let rows = sql::query(
            &self.read,
            "SELECT id, tenant_id, provider_sid, at_us FROM messages WHERE id >= ? AND id < ? AND direction = 'out'
               AND provider_sid IS NOT NULL AND status_rank < 4 ORDER BY id LIMIT ?",
            vec![bound(from).into(), bound(to).into(), (limit as i64).into()],
        )
        .await?;
        rows.iter().map(|row| Ok(Unsettled::from_query_result(row, "")?)).collect()
    }

    /// How much waits: undecided events, open sends, sends of unknown outcome. Counts stop at `cap` each.
    pub async fn backlog(&self, cap: usize) -> Result<Backlog, StoreError> {
        let count = |from: &'static str| {
            let values = vec![(cap as i64).into()];
            async move {
                let text = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT ?) AS counted");
                let row = sql::query_one(&self.read, &text, values).await?;
                Ok::<i64, StoreError>(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
            }
        };
        Ok(Backlog {
            events: count("events WHERE handled_us IS NULL").await?,
            actions: count("actions WHERE state = 'planned'").await?,
            unknown: count("actions WHERE state = 'unknown'").await?,
        })
    }
}

/// What waits, of all tenants together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Backlog {
    pub events: i64,
    pub actions: i64,
    pub unknown: i64,
}
