//! Tenants whose events are being decided.

use super::Pipeline;
use crate::domain::TenantId;

/// A lane's tenants, until what they had waiting is decided. Dropped before, as when a server stops, they may be taken
/// again, and what was handed out for them is read anew.
pub struct Round<'p> {
    pipeline: &'p Pipeline,
    pub tenants: Vec<TenantId>,
    decided: bool,
}

impl<'p> Round<'p> {
    pub const fn of(pipeline: &'p Pipeline, tenants: Vec<TenantId>) -> Self {
        Self { pipeline, tenants, decided: false }
    }

    pub fn ends(mut self) {
        self.decided = true;
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if !self.decided {
            self.tenants.iter().for_each(|tenant| self.pipeline.store.give_back(*tenant));
        }
        self.pipeline.to_decide.done(&self.tenants, self.pipeline.clock.now());
    }
}
