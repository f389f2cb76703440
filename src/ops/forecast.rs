//! Forecasts every planned send, by the same functions that will send it.
//!
//! A forecast walks through the time ahead on a clock of its own. Timers fire as on a server
//! ([`crate::store::PendingTimer::fired`]). The rules decide their events on today's facts ([`RuleSet::decide`]), and the
//! walk continues with the result. The gate judges each send at its instant ([`SendGate::judge`]). Events that wait to be
//! decided come first. Nothing is written.
//!
//! Running campaigns are foreseen as far as their pace and their windows tell (`forecast/campaigns.rs`).
//!
//! A forecast cannot know what customers and staff will do, how calls end, delivery reports, refusals of the provider, and
//! the ids in the links of a text. A rule counts as it is in its file now: [`crate::engine::timers::sync`] tells which
//! timers the server will plan when it starts with it.
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

/// Sends in a forecast at most, including those that will be stopped.
pub const FORECAST_MAX: usize = 10_000;
/// Events decided for a forecast at most.
pub const DECIDED_MAX: usize = 100_000;
/// The longest forecast.
pub const DAYS_MAX: u32 = 366;

/// The inputs of a forecast.
pub struct ForecastInputs<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
    pub rules: &'a RuleSet,
    /// A gate of its own, because a gate keeps the pace of senders.
    pub gate: SendGate,
    pub prices: &'a Prices,
}

/// The sends of a time ahead.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    pub from: Timestamp,
    pub until: Timestamp,
    /// The sends in the order in which they will leave.
    pub sends: Vec<ForecastSend>,
    /// The forecast is incomplete from here on, because [`FORECAST_MAX`] or [`DECIDED_MAX`] was reached.
    pub cut: Option<Timestamp>,
    /// Timers are not in step with the rules, tenants and quiet hours. The forecast holds once the server has been started,
    /// which plans them again.
    pub replanned: bool,
}

/// The outcome of a foreseen send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
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
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A foreseen send.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForecastSend {
    /// When it will leave, or be stopped.
    pub at: Timestamp,
    /// The tenant's slug.
    pub tenant: String,
    pub outcome: Outcome,
    pub channel: Channel,
    /// The sender; empty where there is none.
    pub from: String,
    pub to: String,
    pub text: String,
    pub rule: String,
    /// The cause of the send.
    pub reason: String,
    /// Why it will not leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// The original time of a postponed send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postponed_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postponed_because: Option<String>,
    /// The segments of a text message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

impl Forecast {
    /// The cost of all sends that will leave, as far as prices are known.
    pub fn total(&self) -> Cost {
        self.sends.iter().filter(|send| send.outcome == Outcome::Send).filter_map(|send| send.cost).sum()
    }
}

/// Forecasts the sends of one tenant, or of all tenants, from now until `until`.
pub async fn forecast(
    inputs: &ForecastInputs<'_>,
    tenant: Option<TenantId>,
    until: Timestamp,
) -> Result<Forecast, StoreError> {
    walk::Walk::new(inputs, tenant, until).run().await
}
