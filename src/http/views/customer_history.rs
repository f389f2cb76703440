//! A customer with their history.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::customer::CustomerView;
use crate::domain::contact::ContactFacts;
use crate::store::{CustomerHistory, Store, StoreError};

/// The newest entries of the history that are shown with the customer.
const SHOWN: usize = 50;

/// A change of a customer, or a note.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerChange)]
pub struct HistoryView {
    pub id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub at: String,
    /// `tag`, `field` or `note`
    #[schema(example = "note")]
    pub kind: String,
    /// The tag or the field; empty for a note
    pub name: String,
    /// The value before; `null` if there was none
    pub old: Value,
    /// The new value, or the text of the note; `null` if the value was removed
    pub new: Value,
    /// The rule that did it; `null`: a person or a program
    pub rule: Option<String>,
    /// `api` or `cli`, where a person or a program did it
    pub by: Option<String>,
    /// The event that led to it; `null` once it is removed
    pub event: Option<Uuid>,
    /// The call in which it happened, by the provider's id (`CA…`)
    pub call: Option<String>,
}

impl From<CustomerHistory> for HistoryView {
    fn from(one: CustomerHistory) -> Self {
        Self {
            id: one.id,
            at: one.at.to_string(),
            kind: one.kind,
            name: one.name,
            old: one.old.unwrap_or_default(),
            new: one.new.unwrap_or_default(),
            rule: one.rule,
            by: one.by,
            event: one.event.map(|event| event.uuid()),
            call: one.call.map(|(_, sid)| sid),
        }
    }
}

/// A customer with the newest entries of their history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeCustomer)]
pub struct CustomerDetailsView {
    #[serde(flatten)]
    pub customer: CustomerView,
    /// Changes and notes, the newest first, at most 50; `GET /customers/{id}/history` has them all
    pub history: Vec<HistoryView>,
}

impl CustomerDetailsView {
    /// Reads the history of a customer.
    pub async fn load(store: &Store, tenant: crate::domain::TenantId, facts: ContactFacts) -> Result<Self, StoreError> {
        let history = store.customer_history(tenant, facts.id, None, SHOWN).await?;
        let history = history.into_iter().map(HistoryView::from).collect();
        Ok(Self { customer: facts.into(), history })
    }
}
