//! The dated history of customers: tags, fields and notes, each with its source.

use std::time::Duration;

use sea_orm::{QueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::{ContactId, EventId, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::reads::calls::ListedCall;
use crate::store::requests::customers::BY_HAND;

/// The most changes of a customer that are searched for the notes of a call.
const SEARCHED_MAX: i64 = 1_000;
/// A note may be older than its call by the difference of two clocks.
const SKEW: Duration = Duration::from_secs(5 * 60);
const HISTORY: &str = "SELECT h.id, h.at_us, h.kind, h.name, h.old, h.new, a.rule, a.event_id, e.data
    FROM contact_history h
    LEFT JOIN actions a ON a.id = h.action_id AND a.tenant_id = h.tenant_id
    LEFT JOIN events e ON e.id = a.event_id AND e.tenant_id = h.tenant_id
    WHERE h.tenant_id = ? AND h.contact_id = ?";

/// A change of a customer, or a note.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerHistory {
    pub id: Uuid,
    pub at: Timestamp,
    /// `tag`, `field` or `note`.
    pub kind: String,
    /// The tag or the field; empty for a note.
    pub name: String,
    /// `None` if there was no value.
    pub old: Option<Json>,
    pub new: Option<Json>,
    /// The rule that did it; `None` for people and programs.
    pub rule: Option<String>,
    /// The source of a change by hand, such as `api`.
    pub by: Option<String>,
    /// The event; `None` once it is removed.
    pub event: Option<EventId>,
    /// The call in which it happened: our id and the provider's, as the event says.
    pub call: Option<(String, String)>,
}

impl Store {
    /// Lists a page of a customer's history after `after`, the newest first.
    pub async fn customer_history(
        &self,
        tenant: TenantId,
        contact: ContactId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<CustomerHistory>, StoreError> {
        let mut text = HISTORY.to_owned();
        let mut values = of_contact(tenant, contact);
        if let Some(after) = after {
            text.push_str(
                " AND (h.at_us, h.id) < (SELECT at_us, id FROM contact_history
                   WHERE id = ? AND tenant_id = ? AND contact_id = ?)",
            );
            values.push(after.into());
            values.extend(of_contact(tenant, contact));
        }
        text.push_str(" ORDER BY h.at_us DESC, h.id DESC LIMIT ?");
        values.push((limit as i64).into());
        self.read_history(&text, values).await
    }

    /// Lists what an event changed of a customer, in order.
    pub async fn history_of_event(
        &self,
        tenant: TenantId,
        contact: ContactId,
        event: EventId,
    ) -> Result<Vec<CustomerHistory>, StoreError> {
        let values = [of_contact(tenant, contact), vec![event.uuid().into()]].concat();
        self.read_history(&format!("{HISTORY} AND a.event_id = ? ORDER BY h.at_us, h.id"), values).await
    }

    /// Lists the notes that were made in a call and after it, because of its events; the oldest first.
    pub async fn notes_of_call(&self, tenant: TenantId, call: &ListedCall) -> Result<Vec<CustomerHistory>, StoreError> {
        let Some(contact) = call.customer else { return Ok(Vec::new()) };
        let text = format!("{HISTORY} AND h.at_us >= ? AND h.kind = 'note' ORDER BY h.at_us, h.id LIMIT ?");
        let since = call.started_at.minus(SKEW).unix_us();
        let values = [of_contact(tenant, contact), vec![since.into(), SEARCHED_MAX.into()]].concat();
        let mut notes = self.read_history(&text, values).await?;
        let ours = call.id.to_string();
        notes.retain(|note| note.call.as_ref().is_some_and(|(id, _)| *id == ours));
        Ok(notes)
    }

    async fn read_history(&self, text: &str, values: Vec<Value>) -> Result<Vec<CustomerHistory>, StoreError> {
        sql::query(&self.read, text, values).await?.iter().map(read).collect()
    }
}

fn of_contact(tenant: TenantId, contact: ContactId) -> Vec<Value> {
    vec![tenant.uuid().into(), contact.uuid().into()]
}

fn read(row: &QueryResult) -> Result<CustomerHistory, StoreError> {
    // A damaged document is shown as if it were not there, so that it closes no page.
    let document = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    let rule: Option<String> = row.try_get_by_index(6)?;
    let data = document(row.try_get_by_index(8)?).unwrap_or_default();
    let text = |name: &str| data[name].as_str().map(str::to_owned);
    let by_hand = rule.as_deref() == Some(BY_HAND);
    Ok(CustomerHistory {
        id: row.try_get_by_index(0)?,
        at: Timestamp::from_unix_us(row.try_get_by_index(1)?),
        kind: row.try_get_by_index(2)?,
        name: row.try_get_by_index(3)?,
        old: document(row.try_get_by_index(4)?),
        new: document(row.try_get_by_index(5)?),
        rule: rule.filter(|_| !by_hand),
        by: text("by").filter(|_| by_hand),
        event: row.try_get_by_index::<Option<Uuid>>(7)?.map(EventId::new),
        call: text("call").zip(text("sid")),
    })
}
