//! Start and stop of a pipeline, and the exchange of its rules.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};

use super::Pipeline;
use crate::engine::sending::capacity::SendCapacity;
use crate::engine::sending::circuit::IN_FLIGHT_MAX;
use crate::engine::sending::delayed::DelayedQueues;
use crate::engine::sending::in_flight::InFlight;
use crate::engine::sending::recent_opt_outs::RecentOptOuts;
use crate::engine::wakeups::LocalBus;
use crate::engine::{Engine, Parts};
use crate::rules::{Evaluator, EvaluatorError, RuleSet};

impl Pipeline {
    /// Starts the threads that evaluate rules. `app.rs` starts the loops.
    pub(in crate::engine) fn start(parts: Parts) -> Result<Engine, EvaluatorError> {
        let Parts { store, directory, transports, clock, random, circuits, gate, reconcile_after, rules } = parts;
        let (transports, circuits, random) = (Arc::new(transports), Arc::new(circuits), Arc::new(random));
        let pipeline = Arc::new(Self {
            calls: store.for_calls(),
            store: store.clone(),
            directory: directory.clone(),
            transports: transports.clone(),
            clock: clock.clone(),
            random: random.clone(),
            circuits: circuits.clone(),
            gate,
            reconcile_after,
            rules: RwLock::new(rules),
            recent_opt_outs: RecentOptOuts::default(),
            to_decide: Arc::default(),
            fast: Evaluator::start(1)?,
            slow: Evaluator::start(1)?,
            fast_calls: Evaluator::start(1)?,
            slow_calls: Evaluator::start(1)?,
            to_send: LocalBus::default(),
            capacity: SendCapacity::default(),
            delayed: DelayedQueues::default(),
            permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            in_flight: InFlight::default(),
            claiming: tokio::sync::Mutex::default(),
            stopping: watch::Sender::new(false),
        });
        Ok(Engine { pipeline, store, directory, clock, random, transports, circuits, reconcile_after })
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.read().clone()
    }

    /// Puts other rules in force, from the next decision on.
    pub fn replace_rules(&self, rules: RuleSet) {
        *self.rules.write() = Arc::new(rules);
    }

    /// Stops claiming sends. Claimed sends still leave.
    pub fn stop_claiming(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until no send is claimed or in flight any more; `false` if that takes longer than `within`. Call
    /// [`Pipeline::stop_claiming`] first.
    pub async fn drained(&self, within: Duration) -> bool {
        let all = async {
            // The loop ends first: it needs permits for the sends that it has claimed.
            let _claiming = self.claiming.lock().await;
            self.permits.acquire_many(IN_FLIGHT_MAX as u32).await.is_ok()
        };
        tokio::time::timeout(within, all).await.unwrap_or(false)
    }
}
