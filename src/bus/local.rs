//! Wake-ups within one process.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::Bus;
use crate::domain::TenantId;

/// A set of tenants, and somebody to tell.
#[derive(Default)]
pub struct LocalBus {
    ready: Mutex<BTreeSet<TenantId>>,
    told: Notify,
}

impl LocalBus {
    fn take(&self) -> Vec<TenantId> {
        // A poisoned lock holds a plain set, which is good whatever happened.
        let mut ready = self.ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *ready).into_iter().collect()
    }
}

impl Bus for LocalBus {
    fn publish(&self, tenant: TenantId) {
        self.ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(tenant);
        self.told.notify_one();
    }

    async fn receive(&self) -> Vec<TenantId> {
        loop {
            let ready = self.take();
            if !ready.is_empty() {
                return ready;
            }
            self.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TenantId;

    #[tokio::test]
    async fn a_wake_up_before_the_wait_is_kept_and_repeats_are_one() {
        let bus = LocalBus::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(7));
        bus.publish(tenant);
        bus.publish(tenant);
        assert_eq!(bus.receive().await, vec![tenant]);
        assert!(bus.take().is_empty());
    }
}
