//! Lists for people: messages, events, the backlog.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use crate::domain::{ActionId, Channel, ContactId, EventId, EventKind, MessageId, Route, TenantId, Timestamp};
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::{action, event, message};

/// A message, or a send that has no message yet.
#[derive(Clone, Debug)]
pub enum Listed {
    Message(message::Model),
    /// A send that is planned, in progress, held or of unknown outcome.
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

impl Store {
    /// Lists a tenant's newest messages, the newest first, including sends in progress.
    pub async fn messages(
        &self,
        tenant: TenantId,
        contact: Option<ContactId>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let limit = Ord::min(limit, LIST_MAX);
        let mut values: Vec<Value> = vec![tenant.uuid().into()];
        let of_contact = match contact {
            Some(contact) => {
                values.push(contact.uuid().into());
                " AND contact_id = ?"
            }
            None => "",
        };
        values.push((limit as i64).into());
        let messages = sql::query(
            &self.read,
            &format!("SELECT * FROM messages WHERE tenant_id = ?{of_contact} ORDER BY id DESC LIMIT ?"),
            values.clone(),
        )
        .await?;
        let sends = sql::query(
            &self.read,
            &format!(
                // A send without a sender has no ordering key and no message. The sends of an erased customer have no
                // key either.
                "SELECT * FROM actions WHERE tenant_id = ?{of_contact} AND channel IS NOT NULL
                   AND (state IN ('planned', 'sending', 'unknown', 'held') OR (state = 'blocked' AND lane IS NULL
                     AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = actions.id)))
                 ORDER BY planned_us DESC LIMIT ?"
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

    /// Lists a tenant's newest events, the newest first.
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

    /// Finds a tenant's newest message from a customer or send by hand.
    pub async fn last_event(&self, tenant: TenantId) -> Result<Option<EventId>, StoreError> {
        let kinds: Vec<EventKind> =
            Channel::INBOUND.into_iter().map(EventKind::inbound).chain([EventKind::MANUAL]).collect();
        let marks = vec!["?"; kinds.len()].join(", ");
        let mut values: Vec<Value> = vec![tenant.uuid().into()];
        values.extend(kinds.iter().map(|kind| kind.as_str().into()));
        let row = sql::query_one(
            &self.read,
            &format!("SELECT id FROM events WHERE tenant_id = ? AND kind IN ({marks}) ORDER BY id DESC LIMIT 1"),
            values,
        )
        .await?;
        row.map(|row| Ok(EventId::new(row.try_get_by_index(0)?))).transpose()
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
        let row = sql::query_one(
            &self.read,
            "SELECT id FROM contacts WHERE tenant_id = ? AND (phone_key = ? OR whatsapp_id = ?) ORDER BY phone DESC LIMIT 1",
            vec![tenant.uuid().into(), key.into(), key.into()],
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

    /// Lists a page of a tenant's messages before `before`, the newest first.
    pub async fn message_page(
        &self,
        tenant: TenantId,
        contact: Option<ContactId>,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<crate::store::rows::message::Model>, StoreError> {
        self.newest_page("messages", tenant, contact, before, limit).await
    }

    /// Lists a page of a tenant's events before `before`, the newest first.
    pub async fn event_page(
        &self,
        tenant: TenantId,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<crate::store::rows::event::Model>, StoreError> {
        self.newest_page("events", tenant, None, before, limit).await
    }

    async fn newest_page<T: sea_orm::FromQueryResult>(
        &self,
        table: &'static str,
        tenant: TenantId,
        contact: Option<ContactId>,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        let mut values = vec![tenant.uuid().into()];
        let mut text = format!("SELECT * FROM {table} WHERE tenant_id = ?");
        if let Some(contact) = contact {
            text.push_str(" AND contact_id = ?");
            values.push(contact.uuid().into());
        }
        if let Some(before) = before {
            text.push_str(" AND id < ?");
            values.push(before.into());
        }
        text.push_str(" ORDER BY id DESC LIMIT ?");
        values.push((limit as i64).into());
        let rows = sql::query(&self.read, &text, values).await?;
        rows.iter().map(|row| Ok(T::from_query_result(row, "")?)).collect()
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
