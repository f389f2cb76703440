//! The way of a message, in four stages: [`Pipeline::ingest`], [`Pipeline::dispatch`], [`Pipeline::perform`] and
//! [`Pipeline::settle`]. Each stage ends in a commit, and a wake-up tells the next one. A sweep finds the rows whose wake-up
//! was lost. A process that is killed anywhere goes on from its rows.
//!
//! This file tells the story; each stage has a file with its steps. Calls take a way of their own through the second stage:
//! see [`call_turn`].

mod accounts;
mod attempt;
pub mod call_turn;
mod dispatch;
pub mod fan_out;
mod ingest;
mod isolate;
mod lifecycle;
mod perform;
mod round;
mod settle;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};

pub use self::perform::SendTarget;
use crate::domain::clock::Random;
use crate::domain::{Clock, Route, SendQueue};
use crate::engine::sending::capacity::SendCapacity;
use crate::engine::sending::circuit::Circuits;
use crate::engine::sending::delayed::DelayedQueues;
use crate::engine::sending::gate::SendGate;
use crate::engine::sending::in_flight::InFlight;
use crate::engine::sending::recent_opt_outs::RecentOptOuts;
use crate::engine::sending::transports::Transports;
use crate::engine::wakeups::{FastSlowQueues, LocalBus, Speed};
use crate::rules::{Evaluator, RuleSet};
use crate::store::{Ingested, NewInbound, Settled, StatusReport, Store, StoreError};
use crate::tenants::Directory;

/// A webhook is answered within this time, or with 503. Twilio waits 15 s, and a lock on the database may last.
const INGEST_TIMEOUT: Duration = Duration::from_secs(8);
/// The pause before a database that was away is tried again.
const DATABASE_RETRY: Duration = Duration::from_millis(500);

/// Moves messages from stage to stage. The loops share one in an `Arc`.
pub struct Pipeline {
    store: Store,
    /// The readers of calls, where somebody waits.
    calls: Store,
    directory: Arc<Directory>,
    transports: Arc<Transports>,
    clock: Clock,
    random: Arc<Random>,
    circuits: Arc<Circuits>,
    gate: SendGate,
    reconcile_after: Duration,
    rules: RwLock<Arc<RuleSet>>,
    recent_opt_outs: RecentOptOuts,
    /// Tenants with events to decide. Tenants whose rules overrun stand in the slow queue, so that they hold up only each
    /// other.
    to_decide: Arc<FastSlowQueues>,
    fast: Evaluator,
    slow: Evaluator,
    /// The same two speeds for calls, where a caller waits.
    fast_calls: Evaluator,
    slow_calls: Evaluator,
    to_send: LocalBus<SendQueue>,
    capacity: SendCapacity,
    delayed: DelayedQueues,
    /// A permit for each send in flight.
    permits: Arc<Semaphore>,
    in_flight: InFlight,
    /// Held by the loop that claims sends.
    claiming: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
}

impl Pipeline {
    // ── 1. ingest ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Stores a verified message with its contact and its event. When this returns, they are durable.
    pub async fn ingest(&self, mut inbound: NewInbound) -> Result<Ingested, StoreError> {
        let tenant = inbound.tenant;
        self.match_inbound(&mut inbound);
        // Before the commit, so that no send that was claimed earlier leaves after it.
        self.note_opt_out(&inbound);
        let ingested = self.store_inbound(inbound).await?;
        self.wake_after_ingest(tenant, &ingested);
        Ok(ingested)
    }

    // ── 2. dispatch ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Decides events as they come, those of one contact in order. Runs until the future is dropped.
    pub async fn dispatch(&self, speed: Speed) {
        loop {
            let (rounds, events_per_tenant) = self.next_rounds(speed).await;
            for round in rounds {
                let mut decided = self.decide_round(&round.tenants, events_per_tenant, speed).await;
                if let Err(error) = &decided
                    && error.is_refusal()
                {
                    decided = self.isolate(&round.tenants, events_per_tenant, speed, error).await;
                }
                if let Err(error) = decided {
                    self.put_back(&round.tenants, error).await;
                }
                round.finish();
            }
        }
    }

    // ── 3. perform ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Claims sends that are due and sends them, until [`Pipeline::stop_claiming`]. Sends in flight go on by themselves.
    pub async fn perform(self: &Arc<Self>) {
        let _claiming = self.claiming.lock().await;
        while let Some(queues) = self.next_queues().await {
            self.claim_and_send(queues).await;
        }
    }

    // ── 4. settle ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Applies a delivery report from the provider of `route`.
    pub async fn settle(&self, route: Route, mut report: StatusReport) -> Result<Settled, StoreError> {
        let tenant = report.tenant;
        self.match_report(&mut report);
        let settled = self.store_report(report).await?;
        self.wake_after_settle(SendQueue::new(tenant, route), settled);
        Ok(settled)
    }
}
