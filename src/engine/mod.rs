//! From an event to a delivered message: the pipeline, facts, sending, timers, reconciliation, wake-ups.

pub mod availability;
pub mod catch_up;
pub mod decision;
pub mod facts;
pub mod inbound;
pub mod pipeline;
pub mod reconcile;
pub mod sending;
pub mod timers;
pub mod wakeups;

use std::sync::Arc;
use std::time::Duration;

use self::pipeline::Pipeline;
use self::sending::circuit::Circuits;
use self::sending::gate::SendGate;
use self::sending::transports::Transports;
use crate::domain::Clock;
use crate::domain::clock::Random;
use crate::rules::{EvaluatorError, RuleSet};
use crate::store::Store;
use crate::tenants::Directory;

/// The pipeline and the services that it shares with the loops, the routes and the features around it.
#[derive(Clone)]
pub struct Engine {
    pub pipeline: Arc<Pipeline>,
    pub store: Store,
    pub directory: Arc<Directory>,
    pub clock: Clock,
    pub random: Arc<Random>,
    pub transports: Arc<Transports>,
    pub circuits: Arc<Circuits>,
    /// How long a send of unknown outcome waits before it is looked for at the provider.
    pub reconcile_after: Duration,
}

/// The parts of an engine.
pub struct Parts {
    pub store: Store,
    pub directory: Arc<Directory>,
    pub transports: Transports,
    pub clock: Clock,
    pub random: Random,
    pub circuits: Circuits,
    pub gate: SendGate,
    pub reconcile_after: Duration,
    pub rules: Arc<RuleSet>,
}

impl Engine {
    /// Starts the threads that evaluate rules. `app::composition` starts the loops.
    pub fn new(parts: Parts) -> Result<Self, EvaluatorError> {
        Pipeline::start(parts)
    }
}
