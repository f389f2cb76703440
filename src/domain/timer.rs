//! A promise for the future: a row with its due time, which becomes an event when it falls due.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::id::{Id, noun};
use super::{Channel, ContactId, Event, EventId, EventKind, TenantId, Timestamp};

pub type TimerId = Id<noun::Timer>;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// `.after("2h")`: so long after the event that the rule listens to.
    After,
    /// `.before("24h", "appointment.starts_at")`: so long before what its subject says.
    Before,
    /// `.cron("0 9 * * MON")`: the next time of a schedule; when it fires, the one after it takes its place.
    Cron,
    /// `.for_each("contacts", …)` under way: the next page, with its cursor.
    Page,
    /// `ask(…)`: nobody has answered.
    Silence,
}

impl Purpose {
    pub const ALL: [Self; 5] = [Self::After, Self::Before, Self::Cron, Self::Page, Self::Silence];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Before => "before",
            Self::Cron => "cron",
            Self::Page => "page",
            Self::Silence => "silence",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no purpose of a timer")]
pub struct UnknownPurpose(String);

impl FromStr for Purpose {
    type Err = UnknownPurpose;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or_else(|| UnknownPurpose(text.to_owned()))
    }
}

/// A timer to be written down. Planned twice, it is there once: its row is known by its due time and its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTimer {
    pub id: TimerId,
    pub due: Timestamp,
    pub tenant: TenantId,
    pub purpose: Purpose,
    pub rule: String,
    /// Of what the rule says of time: where that changes, its pending timers are planned anew.
    pub timing: String,
    pub contact: Option<ContactId>,
    /// What it moves and dies with, such as an appointment.
    pub subject: Option<Uuid>,
    /// What the event will have as `data`, when it fires: a JSON object.
    pub payload: Value,
}

/// What a timer hangs on, kept in its payload as `anchor`: the event that planned it, as rules are to see it again.
///
/// ```json
/// {"event": "0199…", "kind": "inbound_sms", "channel": "sms", "depth": 0, "at": "2026-12-01T09:00:00Z"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    pub event: EventId,
    pub kind: EventKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    #[serde(default)]
    pub depth: u8,
    /// When it occurred.
    pub at: Timestamp,
    /// The moment that the timer comes before, such as an appointment's start: what it leads to is of no use after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Anchor {
    pub fn of(event: &Event) -> Self {
        Self {
            event: event.id,
            kind: event.kind.clone(),
            channel: event.channel,
            depth: event.depth,
            at: event.occurred_at,
            until: None,
        }
    }

    /// The anchor in a payload; `None` where it hangs on no event, as a schedule does.
    pub fn in_data(data: &Value) -> Option<Self> {
        Self::deserialize(data.get(ANCHOR)?).ok()
    }

    /// Puts the anchor into the data of its event; what was there under its name gives way.
    pub fn into_data(&self, mut data: Value) -> Value {
        if let (Value::Object(fields), Ok(anchor)) = (&mut data, serde_json::to_value(self)) {
            fields.insert(ANCHOR.to_owned(), anchor);
        }
        data
    }
}

/// What a timer's event says of the timer, as `data.timer`.
///
/// ```json
/// {"rule": "thanks", "purpose": "after", "due": "2026-12-01T11:00:00Z"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    pub rule: String,
    pub purpose: Purpose,
    pub due: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
}

impl Fired {
    /// What the event of a timer says; `None` for events of other kinds.
    pub fn of(event: &Event) -> Option<Self> {
        if event.kind != EventKind::TIMER {
            return None;
        }
        Self::deserialize(event.data.get(TIMER)?).ok()
    }

    /// Puts it into a payload, which makes that the data of the timer's event.
    pub fn into_data(&self, mut payload: Value) -> Value {
        if let (Value::Object(fields), Ok(fired)) = (&mut payload, serde_json::to_value(self)) {
            fields.insert(TIMER.to_owned(), fired);
        }
        payload
    }
}

const ANCHOR: &str = "anchor";
const TIMER: &str = "timer";

impl TimerId {
    /// Who has promised what about whom: (tenant, rule, anchor), where the anchor is the event it hangs on, the subject, or
    /// the contact. With the due time it is the identity of a firing, never with the rule's version.
    pub fn of(tenant: TenantId, rule: &str, anchor: Uuid) -> Self {
        let mut hash = Sha256::new();
        hash.update(tenant.uuid().as_bytes());
        hash.update(rule.as_bytes());
        hash.update([0]);
        hash.update(anchor.as_bytes());
        let mut id = [0u8; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self::new(uuid::Builder::from_custom_bytes(id).into_uuid())
    }
}
