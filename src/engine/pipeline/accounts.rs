//! Tenants whose account changes while the program runs.

use super::Pipeline;
use crate::domain::Route;
use crate::engine::sending::transports;
use crate::tenants::{Snapshot, Tenant};

impl Pipeline {
    /// Retries the sends of tenants whose account has changed since `before`.
    pub(super) fn follow_accounts(&self, before: &Snapshot) {
        let snapshot = self.directory.now();
        if std::ptr::eq(before, &*snapshot) {
            return;
        }
        self.capacity.clear_waiting();
        for tenant in before.tenants().filter(|tenant| self.account_has_changed(tenant, &Route::Twilio)) {
            if let Some(now) = snapshot.by_id(tenant.id) {
                self.circuits.reset(&now.account.sid);
            }
        }
    }

    /// Whether the tenant's sends by a route go through another account now, or with another token.
    pub(super) fn account_has_changed(&self, tenant: &Tenant, route: &Route) -> bool {
        let snapshot = self.directory.now();
        let now = snapshot.by_id(tenant.id);
        now.is_none_or(|now| transports::has_changed(route, &tenant.account, &now.account))
    }
}
