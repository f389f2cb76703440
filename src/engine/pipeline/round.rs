//! Tenants whose events are being decided.

use super::Pipeline;
use crate::domain::TenantId;

/// Tenants that one queue of [`crate::engine::wakeups::FastSlowQueues`] holds until their events are decided. Dropped
/// before, as when a server stops, it gives them back, and the events that were handed out for them are read again.
pub(super) struct Round<'p> {
    pipeline: &'p Pipeline,
    pub tenants: Vec<TenantId>,
    finished: bool,
}

impl<'p> Round<'p> {
    pub const fn new(pipeline: &'p Pipeline, tenants: Vec<TenantId>) -> Self {
        Self { pipeline, tenants, finished: false }
    }

    /// Marks the round as decided, so that nothing of it is read again.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.tenants.iter().for_each(|tenant| self.pipeline.store.give_back(*tenant));
        }
        self.pipeline.to_decide.done(&self.tenants, self.pipeline.clock.now());
    }
}
