//! Wake-ups within one process.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Bus;
use super::Waker;

/// The set of names that have something waiting, and the task that waits for them.
pub struct LocalBus<K> {
    ready: Mutex<BTreeSet<K>>,
    woken: Notify,
}

impl<K> Default for LocalBus<K> {
    fn default() -> Self {
        Self { ready: Mutex::default(), woken: Notify::new() }
    }
}

impl<K: Waker> LocalBus<K> {
    fn take(&self) -> Vec<K> {
        std::mem::take(&mut *self.ready.lock()).into_iter().collect()
    }
}

impl<K: Waker> Bus<K> for LocalBus<K> {
    fn publish(&self, who: K) {
        self.ready.lock().insert(who);
        self.woken.notify_one();
    }

    async fn receive(&self) -> Vec<K> {
        loop {
            let ready = self.take();
            if !ready.is_empty() {
                return ready;
            }
            self.woken.notified().await;
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
