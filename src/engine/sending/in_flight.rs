//! The attempts that this process is making. However old such an attempt is, it is no orphan: its outcome is still to come.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ActionId;

/// The sends of this process's attempts, from the claim until the outcome is written.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<ActionId>>>);

/// An attempt under way, until it is dropped.
#[derive(Debug)]
pub struct Attempt {
    action: ActionId,
    all: InFlight,
}

impl InFlight {
    /// Notes an attempt of a send that was claimed.
    pub fn begin(&self, action: ActionId) -> Attempt {
        self.0.lock().insert(action);
        Attempt { action, all: self.clone() }
    }

    /// The sends under way.
    pub fn actions(&self) -> HashSet<ActionId> {
        self.0.lock().clone()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.action);
    }
}
