//! What will be sent, foreseen: every send that is planned, found out by the same functions that will send it.
//!
//! A forecast walks through the time ahead on a clock of its own: timers fire as they will ([`PendingTimer::fired`]), their
//! events are decided by the rules on what is known today ([`RuleSet::decide`]), what that plans is walked through in turn,
//! and each send is put to the gate at its instant ([`SendGate::judge`]). Events that wait to be decided come first. Nothing
//! is written.
//!
//! Campaigns that run are foreseen as far as their pace and their windows tell (`forecast/campaigns.rs`).
//!
//! What it cannot know: what customers and staff will do, how calls end, delivery reports, refusals of the provider, and the ids that a
//! link in a text is made of. A rule that has been added or changed counts as it is in its file: what the server plans anew
//! when it starts with it is asked of the planner ([`crate::engine::timers::sync`]).
//!
//! ```text
//! timers, schedules ─▶ events ─▶ decide ─▶ sends ─▶ gate ─▶ foreseen
//!        ▲               ▲          │        ▲        │ │
//!        └─ timers, emits ──────────┘        └────────┘ │ postponed
//!                        └──────────────────────────────┘ what goes out instead of what is blocked
//! ```

mod begin;
pub mod calendar;
mod campaigns;
mod outlook;
mod walk;
mod why;

use serde::Serialize;

use crate::domain::{Channel, Cost, Prices, TenantId, Timestamp};
use crate::engine::sending::gate::SendGate;
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};
use crate::tenants::Directory;

/// Sends in a forecast, at most, those that will be stopped included.
pub const FORECAST_MAX: usize = 10_000;
/// Events that are decided for one, at most.
pub const DECIDED_MAX: usize = 100_000;
/// How far ahead one looks, at most.
pub const DAYS_MAX: u32 = 366;

/// What a forecast is made with.
pub struct Means<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
    pub rules: &'a RuleSet,
    /// One that nobody else uses: it keeps the pace of senders.
    pub gate: SendGate,
    pub prices: &'a Prices,
}

#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    pub from: Timestamp,
    pub until: Timestamp,
    /// In the order in which they will leave.
    pub sends: Vec<Foreseen>,
    /// From here on it is not complete, since [`FORECAST_MAX`] or [`DECIDED_MAX`] was reached.
    pub cut: Option<Timestamp>,
    /// Timers are not as these rules, tenants and quiet hours say: what is foreseen holds once the server, which plans them
    /// anew then, has been started.
    pub replanned: bool,
}

/// What will become of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It will leave.
    Send,
    /// It will be stopped for good.
    Blocked,
    /// The loop guard will hold it.
    Held,
    /// It cannot leave until something is put right.
    Waits,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Waits => "waits",
        }
    }
}

/// A send as it is foreseen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Foreseen {
    /// When it will leave, or be stopped.
    pub at: Timestamp,
    /// The tenant's slug.
    pub tenant: String,
    pub outcome: Outcome,
    pub channel: Channel,
    /// What it will leave from; empty where there is nothing.
    pub from: String,
    pub to: String,
    pub text: String,
    pub rule: String,
    /// What leads to it.
    pub reason: String,
    /// Why it will not leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// When it would have left but for what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postponed_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postponed_because: Option<String>,
    /// Of a text message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

impl Forecast {
    /// What all that will leave costs, as far as prices are known.
    pub fn total(&self) -> Cost {
        self.sends.iter().filter(|send| send.outcome == Outcome::Send).filter_map(|send| send.cost).sum()
    }
}

/// Foresees what will be sent from now until then: by one tenant, or by all for commands that say so.
pub async fn forecast(means: &Means<'_>, tenant: Option<TenantId>, until: Timestamp) -> Result<Forecast, StoreError> {
    walk::Walk::new(means, tenant, until).run().await
}
