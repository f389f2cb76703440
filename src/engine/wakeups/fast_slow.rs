//! Two lanes of wake-ups, of which each tenant stands in one at a time.
//!
//! A tenant that is received is its lane's until [`FastSlowQueues::done`]; what wakes it meanwhile is kept until then. So its
//! events are never decided in both lanes at once, and those of one contact stay in order when it changes lanes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::{Bus, LocalBus};
use crate::domain::{TenantId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    Fast,
    Slow,
}

#[derive(Default)]
pub struct FastSlowQueues {
    fast: LocalBus<TenantId>,
    slow: LocalBus<TenantId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Tenants in the slow lane, and until when.
    slow: HashMap<TenantId, Timestamp>,
    /// Tenants that are being decided, and whether they have been woken meanwhile.
    taken: HashMap<TenantId, bool>,
}

impl FastSlowQueues {
    /// Says that the tenant has something waiting. Never waits.
    pub fn publish(&self, tenant: TenantId, now: Timestamp) {
        let mut state = self.lock();
        match state.taken.get_mut(&tenant) {
            Some(again) => *again = true,
            None => self.bus(state.speed(tenant, now)).publish(tenant),
        }
    }

    /// Waits until somebody has something waiting in this lane. Who is given is this lane's until [`FastSlowQueues::done`].
    pub async fn receive(&self, speed: Speed, now: impl Fn() -> Timestamp) -> Vec<TenantId> {
        loop {
            let mut tenants = self.bus(speed).receive().await;
            tenants.retain(|tenant| self.take(*tenant, speed, now()));
            if !tenants.is_empty() {
                return tenants;
            }
        }
    }

    /// The lane has decided what it took of these tenants.
    pub fn done(&self, tenants: &[TenantId], now: Timestamp) {
        let mut state = self.lock();
        for tenant in tenants {
            if state.taken.remove(tenant) == Some(true) {
                self.bus(state.speed(*tenant, now)).publish(*tenant);
            }
        }
    }

    /// From its next round on, the tenant stands in the slow lane, until `until`.
    pub fn slow_down(&self, tenant: TenantId, until: Timestamp) {
        self.lock().slow.insert(tenant, until);
    }

    /// The lane in which the tenant stands.
    pub fn speed(&self, tenant: TenantId, now: Timestamp) -> Speed {
        self.lock().speed(tenant, now)
    }

    fn take(&self, tenant: TenantId, speed: Speed, now: Timestamp) -> bool {
        let mut state = self.lock();
        if let Some(again) = state.taken.get_mut(&tenant) {
            *again = true;
            return false;
        }
        // It was woken before it changed lanes.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock holds plain sets, which are good whatever happened.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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

    /// What a lane gives without waiting.
    fn given(receive: impl Future<Output = Vec<TenantId>>) -> Vec<TenantId> {
        receive.now_or_never().unwrap_or_default()
    }

    #[test]
    fn a_tenant_that_changes_lanes_is_never_in_both() {
        let lanes = FastSlowQueues::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(7));
        let take = |speed, s| given(lanes.receive(speed, move || at(s)));
        lanes.publish(tenant, at(0));
        assert_eq!(take(Speed::Fast, 0), [tenant]);
        // Its rules overrun while more comes.
        lanes.publish(tenant, at(0));
        lanes.slow_down(tenant, at(60));
        lanes.publish(tenant, at(1));
        assert_eq!(take(Speed::Slow, 1), [], "the fast lane's round has not ended");
        assert_eq!(take(Speed::Fast, 1), []);
        lanes.done(&[tenant], at(1));
        assert_eq!(take(Speed::Fast, 1), []);
        assert_eq!(take(Speed::Slow, 1), [tenant]);
        lanes.done(&[tenant], at(1));
        assert_eq!(take(Speed::Slow, 1), [], "nothing has come meanwhile");
    }

    #[test]
    fn who_was_woken_before_the_change_is_sent_on() {
        let lanes = FastSlowQueues::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(7));
        let take = |speed, s| given(lanes.receive(speed, move || at(s)));
        lanes.publish(tenant, at(0));
        lanes.slow_down(tenant, at(60));
        assert_eq!(take(Speed::Fast, 1), []);
        assert_eq!(take(Speed::Slow, 1), [tenant]);
        lanes.done(&[tenant], at(1));
        lanes.publish(tenant, at(61));
        assert_eq!(take(Speed::Fast, 61), [tenant], "back after a while");
    }
}
