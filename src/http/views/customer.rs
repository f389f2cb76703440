//! A customer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::contact::ContactFacts;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView {
    pub id: Uuid,
    /// E.164; `null` if the customer hides it on WhatsApp
    #[schema(example = "+34600111222")]
    pub phone: Option<String>,
    /// WhatsApp's id of the customer, if it is known
    #[schema(example = "ES.13491208655302741918")]
    pub whatsapp_id: Option<String>,
    pub name: String,
    pub tags: BTreeSet<String>,
    /// Values that rules, people and programs have stored
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
    /// Channels that the customer has opted out of
    pub opted_out: Vec<&'static str>,
    /// Number of messages from the customer
    pub inbound_count: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: String,
}

impl From<ContactFacts> for CustomerView {
    fn from(facts: ContactFacts) -> Self {
        Self {
            id: facts.id.uuid(),
            phone: facts.phone.map(|phone| phone.to_string()),
            whatsapp_id: facts.whatsapp_id.map(|id| id.to_string()),
            name: facts.name,
            tags: facts.tags,
            fields: facts.fields,
            opted_out: facts.opted_out.into_iter().map(crate::domain::Channel::as_str).collect(),
            inbound_count: facts.inbound_count,
            created_at: facts.created_at.to_string(),
        }
    }
}
