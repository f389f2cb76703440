//! A promise for the future: a row with its due time, which becomes an event when it falls due.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::id::{Id, noun};
use super::{ContactId, TenantId, Timestamp};

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
#[derive(Clone, Debug, PartialEq)]
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
    /// What the event will have as `data`, when it fires.
    pub payload: Value,
}

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
