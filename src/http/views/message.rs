//! A message.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{parsed, parsed_or_default};
use crate::domain::{Action, ActionState, SendBody, Timestamp};
use crate::store::Listed;
use crate::store::rows::{action, message};

/// Parts of a stored message's `extra` that have a field of their own here.
const SHOWN_ELSEWHERE: [&str; 5] = ["from", "to", "body", "provider_sid", "late"];

/// A message in either direction, or a send that has not become one yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    pub id: Uuid,
    /// The tenant's slug
    pub tenant: String,
    /// `null` where the customer was erased
    pub customer: Option<Uuid>,
    /// `in` or `out`
    pub direction: String,
    #[schema(example = "sms")]
    pub channel: String,
    pub from: String,
    pub to: String,
    pub body: String,
    /// Inbound: `received`. Outbound: the delivery status, or the send's state before it leaves
    pub status: String,
    pub provider_sid: Option<String>,
    pub error_code: Option<i64>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// A planned send does not leave before this
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// No webhook came; the catch-up found it at the provider
    pub late: bool,
    /// How often the provider delivered the webhook again
    pub repeats: i32,
    /// Why the message has this status, where that needs an explanation
    pub reason: Option<String>,
    pub segments: Option<i32>,
    /// Where it comes from, such as `rule` or `manual`
    pub origin: String,
    /// `media`, `button`, `location` and `template`, where there are any
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

impl MessageView {
    /// Messages and sends of a list. `reasons` are those of the outbound ones, by id.
    pub fn from_listed(
        slug: &str,
        listed: Vec<Listed>,
        mut reasons: HashMap<Uuid, String>,
        now: Timestamp,
    ) -> Vec<Self> {
        let views = listed.into_iter().map(|one| match one {
            Listed::Message(message) => {
                let reason = reasons.remove(&message.id);
                Self::from_message(slug, message, reason)
            }
            Listed::Send(send) => Self::from_send(slug, send, now),
        });
        views.collect()
    }

    /// A message as it is stored. Damaged extras are left out.
    pub fn from_message(slug: &str, row: message::Model, reason: Option<String>) -> Self {
        let (from, to) = if row.direction == "in" { (row.peer, row.ours) } else { (row.ours, row.peer) };
        let mut more: BTreeMap<String, Value> = parsed_or_default(&row.extra);
        more.retain(|name, _| !SHOWN_ELSEWHERE.contains(&name.as_str()));
        Self {
            id: row.id,
            tenant: slug.to_owned(),
            customer: row.contact_id,
            direction: row.direction,
            channel: row.channel,
            from,
            to,
            body: row.body,
            status: row.status,
            provider_sid: row.provider_sid,
            error_code: row.error_code,
            at: Timestamp::from_unix_us(row.at_us),
            due_at: None,
            late: row.late,
            repeats: row.repeats,
            reason,
            segments: Some(row.segments),
            origin: row.origin,
            more,
        }
    }

    /// A send that has not left: its `status` is the send's state. A damaged payload is shown by its kind.
    pub fn from_send(slug: &str, send: action::Model, now: Timestamp) -> Self {
        let waits = send.state == ActionState::Planned.as_str();
        let mut more = BTreeMap::new();
        let body = match parsed::<Action>(&send.payload) {
            Ok(Action::Send(payload)) => match payload.body {
                body @ (SendBody::Text(_) | SendBody::Email(_) | SendBody::Call(_)) => body.summary(),
                SendBody::Template(template) => {
                    let content = template.content.clone();
                    more.insert("template".to_owned(), serde_json::to_value(template).unwrap_or_default());
                    content
                }
            },
            Ok(Action::Unaddressed(payload)) => payload.body.summary(),
            Ok(other) => other.kind().to_owned(),
            Err(_) => send.kind,
        };
        Self {
            id: send.id,
            tenant: slug.to_owned(),
            customer: send.contact_id,
            direction: "out".to_owned(),
            channel: send.channel.unwrap_or_default(),
            from: send.sender.unwrap_or_default(),
            to: send.recipient.unwrap_or_default(),
            body,
            status: send.state,
            provider_sid: send.provider_sid,
            error_code: send.error_code,
            at: Timestamp::from_unix_us(send.planned_us),
            due_at: (waits && send.due_us > now.unix_us()).then(|| Timestamp::from_unix_us(send.due_us)),
            late: false,
            repeats: 0,
            reason: send.reason,
            segments: None,
            origin: send.origin,
            more,
        }
    }
}

/// The ids of outbound messages: their sends have reasons.
pub fn outbound_ids(listed: &[Listed]) -> Vec<Uuid> {
    let ids = listed.iter().filter_map(|one| match one {
        Listed::Message(message) if message.direction == "out" => Some(message.id),
        _ => None,
    });
    ids.collect()
}
