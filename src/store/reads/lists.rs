//! Reads for people and for the catch-up: single rows by their names, unsettled messages, the backlog.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use crate::domain::{ActionId, Channel, ContactId, EventId, MessageId, Route, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::{action, message};
use crate::store::tables::identity::CUSTOMER_OF_KEY;

/// An outbound message whose last status is not final.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unsettled {
    pub id: uuid::Uuid,
    pub tenant_id: uuid::Uuid,
    pub provider_sid: String,
    pub at_us: i64,
}

impl Store {
    /// Finds the newest send of these tenants that waits after the provider answered with this code.
    pub async fn waiting_with(&self, tenants: &[TenantId], code: i64) -> Result<Option<action::Model>, StoreError> {
        let list = vec!["?"; tenants.len()].join(", ");
        let mut values: Vec<Value> = tenants.iter().map(|tenant| tenant.uuid().into()).collect();
        values.push(code.into());
        let row = sql::query_one(
            &self.read,
            &format!(
                "SELECT * FROM actions WHERE tenant_id IN ({list}) AND state = 'planned' AND error_code = ?
                 ORDER BY tried_us DESC LIMIT 1"
            ),
            values,
        )
        .await?;
        Ok(row.map(|row| action::Model::from_query_result(&row, "")).transpose()?)
    }

    /// Finds an event by its own id, by the id of an action or a message, or by the provider's id of a message.
    pub async fn event_named(&self, tenant: TenantId, name: &str) -> Result<Option<EventId>, StoreError> {
        let message = match name.parse::<EventId>() {
            Ok(id) => {
                if self.event(tenant, id).await?.is_some() {
                    return Ok(Some(id));
                }
                if let Some(action) = self.action(tenant, ActionId::new(id.uuid())).await? {
                    return Ok(Some(EventId::new(action.event_id)));
                }
                self.message(tenant, MessageId::new(id.uuid())).await?
            }
            Err(_) => {
                let row = sql::query_one(
                    &self.read,
                    "SELECT * FROM messages WHERE provider_sid = ? AND tenant_id = ?",
                    vec![name.into(), tenant.uuid().into()],
                )
                .await?;
                row.map(|row| message::Model::from_query_result(&row, "")).transpose()?
            }
        };
        let Some(message) = message else { return Ok(None) };
        if message.direction == "out" {
            let action = self.action(tenant, ActionId::new(message.id)).await?;
            return Ok(action.map(|action| EventId::new(action.event_id)));
        }
        // An inbound message and its event have the same id.
        Ok(Some(EventId::new(message.id)))
    }

    pub async fn message(&self, tenant: TenantId, id: MessageId) -> Result<Option<message::Model>, StoreError> {
        let row = sql::query_one(
            &self.read,
            "SELECT * FROM messages WHERE id = ? AND tenant_id = ?",
            vec![id.uuid().into(), tenant.uuid().into()],
        )
        .await?;
        Ok(row.map(|row| message::Model::from_query_result(&row, "")).transpose()?)
    }

    /// Reads the reasons of the states of actions. An action without a reason is left out.
    pub async fn reasons(&self, tenant: TenantId, actions: &[Uuid]) -> Result<HashMap<Uuid, String>, StoreError> {
        let list = actions.iter().map(|id| (*id).into()).collect();
        let rows = sql::query_in(
            &self.read,
            "SELECT id, reason FROM actions WHERE tenant_id = ? AND reason IS NOT NULL AND id IN ({list})",
            &[tenant.uuid().into()],
            list,
        )
        .await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    /// Finds the customer with this address, given as [`crate::domain::Address::key`].
    pub async fn contact_by_key(&self, tenant: TenantId, key: &str) -> Result<Option<ContactId>, StoreError> {
        let values = vec![tenant.uuid().into(), key.into(), tenant.uuid().into(), key.into()];
        let row = sql::query_one(&self.read, &format!("SELECT {CUSTOMER_OF_KEY}"), values).await?;
        let id = row.map(|row| row.try_get_by_index::<Option<Uuid>>(0)).transpose()?;
        Ok(id.flatten().map(ContactId::new))
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

    /// Lists those of `sids` that a message of any tenant has. The provider's ids are unique across tenants.
    pub async fn known_sids(&self, sids: &[String]) -> Result<Vec<String>, StoreError> {
        let list = sids.iter().map(|sid| sid.as_str().into()).collect();
        let rows =
            sql::query_in(&self.read, "SELECT provider_sid FROM messages WHERE provider_sid IN ({list})", &[], list)
                .await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// Lists messages of all tenants that Twilio has taken and whose status is not final. They were made between the
    /// two instants and come after `after`, the oldest first, at most `limit`.
    pub async fn unsettled(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Unsettled>, StoreError> {
        let bound = |at: Timestamp| {
            let ms = u64::try_from(at.unix_ms()).unwrap_or_default();
            uuid::Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
        };
        let first = bound(from).max(after.map(MessageId::uuid).unwrap_or_default());
        let rows = sql::query(
            &self.read,
            &format!(
                "SELECT id, tenant_id, provider_sid, at_us FROM messages WHERE id > ? AND id < ? AND direction = 'out'
               AND channel <> '{}' AND provider_sid IS NOT NULL AND status_rank < 4
               AND EXISTS (SELECT 1 FROM actions WHERE actions.id = messages.id AND route = ?) ORDER BY id LIMIT ?",
                Channel::Voice
            ),
            vec![first.into(), bound(to).into(), Route::Twilio.to_string().into(), (limit as i64).into()],
        )
        .await?;
        rows.iter().map(|row| Ok(Unsettled::from_query_result(row, "")?)).collect()
    }

    /// Counts the backlog: undecided events, planned sends, sends of unknown outcome. Each count stops at `cap`.
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

/// The backlog of all tenants together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Backlog {
    pub events: i64,
    pub actions: i64,
    pub unknown: i64,
}
