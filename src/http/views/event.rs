//! An event.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parsed_or_default;
use crate::domain::{ContactId, Event, Timestamp};
use crate::store::rows::event;

/// An event: a message, a call, a delivery report, or one that a rule or a program has sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    pub id: Uuid,
    /// The tenant's slug
    pub tenant: String,
    #[schema(example = "order_shipped")]
    pub kind: String,
    pub channel: Option<String>,
    pub customer: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// When the rules decided it; `null` while it waits
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// How many `emit`s of rules lie between it and what came from outside
    pub depth: i16,
    #[schema(value_type = Object)]
    pub data: Value,
}

impl EventView {
    /// A row as it is stored. Damaged data is shown as `null`.
    pub fn from_row(slug: &str, row: event::Model) -> Self {
        Self {
            id: row.id,
            tenant: slug.to_owned(),
            kind: row.kind,
            channel: row.channel,
            customer: row.contact_id,
            occurred_at: Timestamp::from_unix_us(row.occurred_us),
            decided_at: row.handled_us.map(Timestamp::from_unix_us),
            depth: row.depth,
            data: parsed_or_default(&row.data),
        }
    }

    pub fn new(slug: &str, event: Event, decided_at: Option<Timestamp>) -> Self {
        Self {
            id: event.id.uuid(),
            tenant: slug.to_owned(),
            kind: event.kind.as_str().to_owned(),
            channel: event.channel.map(|channel| channel.as_str().to_owned()),
            customer: event.contact.map(ContactId::uuid),
            occurred_at: event.occurred_at,
            decided_at,
            depth: event.depth.into(),
            data: event.data,
        }
    }

    /// A text of the event's data, where there is one that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}
