//! Two queues of wake-ups. Each tenant stands in one of them at a time.
//!
//! The queue that receives a tenant holds it until [`FastSlowQueues::done`], and keeps its wake-ups until then. So a tenant's
//! events are never decided in both queues at once, and the events of one contact stay in order when it changes queues.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{Bus, LocalBus};
use crate::domain::{TenantId, Timestamp};

/// The speed of a tenant's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    Fast,
    Slow,
}

/// The two queues.
#[derive(Default)]
pub struct FastSlowQueues {
    fast: LocalBus<TenantId>,
    slow: LocalBus<TenantId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Tenants in the slow queue, and until when.
    slow: HashMap<TenantId, Timestamp>,
    /// Tenants that are being decided, and whether a wake-up came meanwhile.
    taken: HashMap<TenantId, bool>,
}

impl FastSlowQueues {
    /// Publishes a tenant that has events waiting. Never waits.
    pub fn publish(&self, tenant: TenantId, now: Timestamp) {
        let mut state = self.state.lock();
        match state.taken.get_mut(&tenant) {
            Some(again) => *again = true,
            None => self.bus(state.speed(tenant, now)).publish(tenant),
        }
    }

    /// Waits until the queue has tenants, and takes them. The queue holds them until [`FastSlowQueues::done`].
    pub async fn receive(&self, speed: Speed, now: impl Fn() -> Timestamp) -> Vec<TenantId> {
        loop {
            let mut tenants = self.bus(speed).receive().await;
            tenants.retain(|tenant| self.take(*tenant, speed, now()));
            if !tenants.is_empty() {
                return tenants;
            }
        }
    }

    /// Gives tenants back whose events the queue has decided.
    pub fn done(&self, tenants: &[TenantId], now: Timestamp) {
        let mut state = self.state.lock();
        for tenant in tenants {
            if state.taken.remove(tenant) == Some(true) {
                self.bus(state.speed(*tenant, now)).publish(*tenant);
            }
        }
    }

    /// Puts the tenant into the slow queue from its next round on, until `until`.
    pub fn slow_down(&self, tenant: TenantId, until: Timestamp) {
        self.state.lock().slow.insert(tenant, until);
    }

    /// The queue in which the tenant stands.
    pub fn speed(&self, tenant: TenantId, now: Timestamp) -> Speed {
        self.state.lock().speed(tenant, now)
    }

    fn take(&self, tenant: TenantId, speed: Speed, now: Timestamp) -> bool {
        let mut state = self.state.lock();
        if let Some(again) = state.taken.get_mut(&tenant) {
            *again = true;
            return false;
        }
        // The wake-up came before the tenant changed queues.
        let proper = state.speed(tenant, now);
        if proper != speed {
            self.bus(proper).publish(tenant);
            return false;
        }
        state.taken.insert(tenant, false);
        true
    }

    const fn bus(&self, speed: Speed) -> &LocalBus<TenantId> {
        match speed {
            Speed::Fast => &self.fast,
            Speed::Slow => &self.slow,
        }
    }
}

impl State {
    fn speed(&mut self, tenant: TenantId, now: Timestamp) -> Speed {
        if self.slow.get(&tenant).is_some_and(|until| *until > now) {
            return Speed::Slow;
        }
        self.slow.remove(&tenant);
        Speed::Fast
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures_util::FutureExt;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_us(s * 1_000_000)
    }

    /// The tenants that a queue gives without waiting.
    fn given(receive: impl Future<Output = Vec<TenantId>>) -> Vec<TenantId> {
        receive.now_or_never().unwrap_or_default()
    }

    #[test]
    fn a_tenant_that_changes_its_speed_is_never_in_both_queues() {
        let queues = FastSlowQueues::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(7));
        let take = |speed, s| given(queues.receive(speed, move || at(s)));
        queues.publish(tenant, at(0));
        assert_eq!(take(Speed::Fast, 0), [tenant]);
        // Its rules overrun while more comes.
        queues.publish(tenant, at(0));
        queues.slow_down(tenant, at(60));
        queues.publish(tenant, at(1));
        assert_eq!(take(Speed::Slow, 1), [], "the fast queue's round has not ended");
        assert_eq!(take(Speed::Fast, 1), []);
        queues.done(&[tenant], at(1));
        assert_eq!(take(Speed::Fast, 1), []);
        assert_eq!(take(Speed::Slow, 1), [tenant]);
        queues.done(&[tenant], at(1));
        assert_eq!(take(Speed::Slow, 1), [], "nothing has come meanwhile");
    }

    #[test]
    fn who_was_woken_before_the_change_is_sent_on() {
        let queues = FastSlowQueues::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(7));
        let take = |speed, s| given(queues.receive(speed, move || at(s)));
        queues.publish(tenant, at(0));
        queues.slow_down(tenant, at(60));
        assert_eq!(take(Speed::Fast, 1), []);
        assert_eq!(take(Speed::Slow, 1), [tenant]);
        queues.done(&[tenant], at(1));
        queues.publish(tenant, at(61));
        assert_eq!(take(Speed::Fast, 61), [tenant], "back after a while");
    }
}
