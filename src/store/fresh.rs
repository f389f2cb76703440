//! Events that were just committed, kept at hand so that deciding them needs no reading.
//!
//! The rows stay the truth. What is at hand for a tenant is either *all* that waits, in the order of its commits, or
//! nothing is and the rows are read: too many came, another process wrote, or the program has just started.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::domain::{Event, TenantId};

/// Events kept at hand, of all tenants together; beyond it, they are read from their rows.
const AT_HAND_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct Fresh(Mutex<State>);

#[derive(Default)]
struct State {
    /// Tenants whose waiting events are all here. A tenant that is not here has rows that were not seen.
    at_hand: HashMap<TenantId, VecDeque<Event>>,
    count: usize,
}

/// What is to be done for a tenant's oldest events.
pub(super) enum Oldest {
    AtHand(Vec<Event>),
    /// Read the rows; if they are not all that waits, say so with [`Fresh::forget`].
    Read,
}

impl Fresh {
    /// Events in the order of their commit. Called by the writer, before anybody hears of the commit.
    pub fn push(&self, events: Vec<Event>) {
        let mut state = self.lock();
        for event in events {
            if state.count >= AT_HAND_MAX {
                state.forget(event.tenant);
            } else if let Some(queue) = state.at_hand.get_mut(&event.tenant) {
                queue.push_back(event);
                state.count += 1;
            }
        }
    }

    /// There are rows that are not at hand.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().forget(tenant);
    }

    /// Rows of this tenant wait. If none are at hand, they came from elsewhere and must be read; else they are in work.
    pub fn waits(&self, tenant: TenantId) {
        let mut state = self.lock();
        if state.at_hand.get(&tenant).is_some_and(VecDeque::is_empty) {
            state.forget(tenant);
        }
    }

    pub fn oldest(&self, tenant: TenantId, limit: usize) -> Oldest {
        let mut state = self.lock();
        let Some(queue) = state.at_hand.get_mut(&tenant) else {
            // From now on everything is seen; what was committed before, the caller reads.
            state.at_hand.insert(tenant, VecDeque::new());
            return Oldest::Read;
        };
        let count = limit.min(queue.len());
        let events: Vec<Event> = queue.drain(..count).collect();
        state.count -= count;
        Oldest::AtHand(events)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock: what is at hand may be incomplete, so nothing is.
        self.0.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            *state = State::default();
            state
        })
    }
}

impl State {
    fn forget(&mut self, tenant: TenantId) {
        if let Some(queue) = self.at_hand.remove(&tenant) {
            self.count -= queue.len();
        }
    }
}
