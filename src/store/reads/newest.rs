//! Lists of the newest messages, sends and events. Each walks an index in its order, so that its time depends on the
//! length of the list and not on that of the table.
//!
//! The order names all columns of the index, and the tenant or the customer is a range of it, not an equality: then no
//! other index gives that order, whatever PostgreSQL's statistics say. `coalesce` keeps the tenant of a customer's rows, which is
//! never null, from being taken for the start of an index.

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use crate::domain::{Channel, ContactId, EventId, EventKind, TenantId};
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

/// The condition of the index `actions_unfinished`.
const UNFINISHED: &str = "(state = 'planned' OR state = 'sending' OR state = 'unknown' OR state = 'held')";
/// The condition of the index `actions_without_sender`. Such a send has no message.
const WITHOUT_SENDER: &str = "state = 'blocked' AND sender IS NULL AND recipient IS NOT NULL";

/// The same conditions, of a customer's sends: in words of no index, so that the customer's rows are walked.
const UNFINISHED_OF_CONTACT: &str = "coalesce(state, rule) IN ('planned', 'sending', 'unknown', 'held')";
const WITHOUT_SENDER_OF_CONTACT: &str =
    "coalesce(state, rule) = 'blocked' AND sender IS NULL AND coalesce(recipient, '') <> ''";

/// The rows before `(tenant, id)`, the newest first.
const OF_TENANT: &str = "(tenant_id, id) < (?, ?) AND tenant_id >= ? ORDER BY tenant_id DESC, id DESC LIMIT ?";
/// The messages before `(contact, time, id)`, the newest first.
const OF_CONTACT: &str = "(contact_id, at_us, id) < (?, ?, ?) AND contact_id >= ?
    AND coalesce(tenant_id, contact_id) = ? ORDER BY contact_id DESC, at_us DESC, id DESC LIMIT ?";
const SENDS_OF_TENANT: &str =
    "tenant_id <= ? AND tenant_id >= ? AND channel IS NOT NULL ORDER BY tenant_id DESC, planned_us DESC LIMIT ?";
const SENDS_OF_CONTACT: &str = "contact_id <= ? AND contact_id >= ?
    AND coalesce(tenant_id, contact_id) = ? AND channel IS NOT NULL ORDER BY contact_id DESC, planned_us DESC LIMIT ?";

impl Store {
    /// Lists a tenant's newest messages, the newest first, including sends in progress.
    pub async fn messages(
        &self,
        tenant: TenantId,
        contact: Option<ContactId>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let limit = Ord::min(limit, LIST_MAX);
        let messages = self.message_page(tenant, contact, None, limit).await?.into_iter().map(Listed::Message);
        let mut listed: Vec<Listed> = messages.collect();
        let states = match contact {
            Some(_) => [UNFINISHED_OF_CONTACT, WITHOUT_SENDER_OF_CONTACT],
            None => [UNFINISHED, WITHOUT_SENDER],
        };
        for state in states {
            listed.extend(self.sends_in(state, tenant, contact, limit).await?.into_iter().map(Listed::Send));
        }
        listed.sort_by_key(|item| std::cmp::Reverse(item.at_us()));
        listed.truncate(limit);
        Ok(listed)
    }

    async fn sends_in(
        &self,
        state: &str,
        tenant: TenantId,
        contact: Option<ContactId>,
        limit: usize,
    ) -> Result<Vec<action::Model>, StoreError> {
        let tenant: Value = tenant.uuid().into();
        let (of, mut values) = match contact.map(ContactId::uuid) {
            Some(contact) => (SENDS_OF_CONTACT, vec![contact.into(), contact.into(), tenant]),
            None => (SENDS_OF_TENANT, vec![tenant.clone(), tenant]),
        };
        values.push((limit as i64).into());
        let text = format!("SELECT * FROM actions WHERE {state} AND {of}");
        read(sql::query(&self.read, &text, values).await?)
    }

    /// Lists a page of a tenant's messages before `before`, the newest first: those of a customer by their time, all by
    /// their ids.
    pub async fn message_page(
        &self,
        tenant: TenantId,
        contact: Option<ContactId>,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<message::Model>, StoreError> {
        let Some(contact) = contact.map(ContactId::uuid) else {
            return self.newest("messages", tenant, before, limit).await;
        };
        let (at_us, id) = match before {
            Some(id) => (self.time_of_message(tenant, id).await?, id),
            None => (i64::MAX, Uuid::max()),
        };
        let values =
            vec![contact.into(), at_us.into(), id.into(), contact.into(), tenant.uuid().into(), (limit as i64).into()];
        read(sql::query(&self.read, &format!("SELECT * FROM messages WHERE {OF_CONTACT}"), values).await?)
    }

    /// The time of a message, or that in its id if it is gone.
    async fn time_of_message(&self, tenant: TenantId, id: Uuid) -> Result<i64, StoreError> {
        let text = "SELECT at_us FROM messages WHERE id = ? AND tenant_id = ?";
        let row = sql::query_one(&self.read, text, vec![id.into(), tenant.uuid().into()]).await?;
        let known = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(known.unwrap_or_else(|| i64::try_from(EventId::new(id).unix_ms()).unwrap_or_default().saturating_mul(1_000)))
    }

    /// Lists a tenant's newest events, the newest first.
    pub async fn events(&self, tenant: TenantId, limit: usize) -> Result<Vec<event::Model>, StoreError> {
        self.event_page(tenant, None, Ord::min(limit, LIST_MAX)).await
    }

    /// Lists a page of a tenant's events before `before`, the newest first.
    pub async fn event_page(
        &self,
        tenant: TenantId,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<event::Model>, StoreError> {
        self.newest("events", tenant, before, limit).await
    }

    async fn newest<T: FromQueryResult>(
        &self,
        table: &'static str,
        tenant: TenantId,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        let tenant: Value = tenant.uuid().into();
        let before = before.unwrap_or(Uuid::max()).into();
        let values = vec![tenant.clone(), before, tenant, (limit as i64).into()];
        read(sql::query(&self.read, &format!("SELECT * FROM {table} WHERE {OF_TENANT}"), values).await?)
    }

    /// Finds a tenant's newest message from a customer or send by hand.
    pub async fn last_event(&self, tenant: TenantId) -> Result<Option<EventId>, StoreError> {
        let kinds = Channel::INBOUND.into_iter().map(EventKind::inbound).chain([EventKind::MANUAL]);
        let kinds: Vec<String> = kinds.map(|kind| kind.as_str().to_owned()).collect();
        let kinds = sql::quoted(kinds.iter().map(String::as_str));
        let tenant: Value = tenant.uuid().into();
        let values = vec![tenant.clone(), Uuid::max().into(), tenant, 1_i64.into()];
        let text = format!("SELECT id FROM events WHERE kind IN ({kinds}) AND {OF_TENANT}");
        let row = sql::query_one(&self.read, &text, values).await?;
        row.map(|row| Ok(EventId::new(row.try_get_by_index(0)?))).transpose()
    }
}

fn read<T: FromQueryResult>(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| Ok(T::from_query_result(row, "")?)).collect()
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::store::tables::ordering_keys::CLAIMABLE;

    /// The lists, each with the index that it walks.
    fn lists() -> Vec<(String, &'static str)> {
        let sends = |state: &str, of: &str| format!("SELECT * FROM actions WHERE {state} AND {of}");
        vec![
            (format!("SELECT * FROM messages WHERE {OF_TENANT}"), "messages_of_tenant"),
            (format!("SELECT * FROM messages WHERE {OF_CONTACT}"), "messages_of_contact_by_time"),
            (format!("SELECT * FROM events WHERE {OF_TENANT}"), "events_of_tenant"),
            (format!("SELECT id FROM events WHERE kind IN ('manual') AND {OF_TENANT}"), "events_of_tenant"),
            (sends(UNFINISHED, SENDS_OF_TENANT), "actions_unfinished"),
            (sends(UNFINISHED_OF_CONTACT, SENDS_OF_CONTACT), "actions_of_contact"),
            (sends(WITHOUT_SENDER, SENDS_OF_TENANT), "actions_without_sender"),
            (sends(WITHOUT_SENDER_OF_CONTACT, SENDS_OF_CONTACT), "actions_of_contact"),
            ("SELECT 1 FROM actions WHERE state = 'held' LIMIT ?".to_owned(), "actions_held"),
            ("SELECT id FROM events WHERE contact_id = ? AND tenant_id = ? LIMIT 200".to_owned(), "events_of_contact"),
            (
                "SELECT id FROM actions WHERE contact_id = ? AND tenant_id = ? LIMIT 200".to_owned(),
                "actions_of_contact",
            ),
            (
                format!(
                    "SELECT 1 FROM actions a WHERE a.tenant_id = ? AND a.route = ? AND {CLAIMABLE} AND a.due_us <= ?
                    ORDER BY a.due_us, a.planned_us LIMIT ?"
                ),
                "actions_claimable",
            ),
        ]
    }

    #[tokio::test]
    async fn each_list_walks_its_index_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::handle::tests::open(&folder.path().join("recado.db")).await;
        for (list, index) in lists() {
            // The values are not bound: SQLite takes them as NULL.
            let explain = sea_orm::Statement::from_string(
                store.read.get_database_backend(),
                format!("EXPLAIN QUERY PLAN {list}"),
            );
            let rows = store.read.query_all_raw(explain).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(3).unwrap()).collect();
            let plan = plan.join("\n");
            assert!(plan.contains(index), "{list}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{list}: {plan}");
        }
    }
}
