//! Events that were just committed, kept at hand with what is known of their customers, so that deciding them needs no
//! reading.
//!
//! The rows stay the truth. What is at hand for a tenant is either *all* that waits, in the order of its commits, or
//! nothing is and the rows are read: too many came, another process wrote, or the program has just started. What was
//! known of a customer is at hand until any customer is changed by more than their own messages.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Event, TenantId};

/// Events kept at hand, of all tenants together; beyond it, they are read from their rows.
const CACHED_MAX: usize = 4_096;

/// What a transaction leaves to be taken up once it is committed.
#[derive(Default)]
pub(super) struct Committed {
    /// Events that are to be decided.
    pub events: Vec<Event>,
    /// Their customers as the transaction leaves them, as far as they were read.
    pub customers: HashMap<ContactId, ContactFacts>,
    /// Some customer was changed by a decision, or has opted out or in.
    pub changed_customers: bool,
}

/// An undecided event.
#[derive(Clone, Debug)]
pub struct Pending {
    pub event: Event,
    /// What is known of its customer; `None` where that is to be read.
    pub customer: Option<ContactFacts>,
}

#[derive(Default)]
pub(super) struct PendingCache(Mutex<State>);

#[derive(Default)]
struct State {
    /// Tenants whose waiting events are all here. A tenant that is not here has rows that were not seen.
    cached: HashMap<TenantId, VecDeque<Waiting>>,
    count: usize,
    /// Counts the commits that changed customers: what was known before them is no longer so.
    changes: u64,
}

struct Waiting {
    pending: Pending,
    known_at: u64,
}

/// What is to be done for a tenant's oldest events.
pub(super) enum Oldest {
    Cached(Vec<Pending>),
    /// Read the rows; if they are not all that waits, say so with [`PendingCache::forget`].
    Read,
}

impl PendingCache {
    /// Takes events up in the order of their commit. Called by the writer, before anybody hears of the commit.
    pub fn push(&self, committed: Committed) {
        let mut state = self.lock();
        state.changes += u64::from(committed.changed_customers);
        let known_at = state.changes;
        for event in committed.events {
            if state.count >= CACHED_MAX {
                state.forget(event.tenant);
            } else if let Some(queue) = state.cached.get_mut(&event.tenant) {
                let customer = event.contact.and_then(|contact| committed.customers.get(&contact).cloned());
                queue.push_back(Waiting { pending: Pending { event, customer }, known_at });
                state.count += 1;
            }
        }
    }

    /// Whether events of this tenant will be kept at hand, so that it is worth while to read their customers.
    pub fn keeps(&self, tenant: TenantId) -> bool {
        let state = self.lock();
        state.count < CACHED_MAX && state.cached.contains_key(&tenant)
    }

    /// There are rows that are not at hand.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().forget(tenant);
    }

    /// Rows of this tenant wait. If none are at hand, they came from elsewhere and must be read; else they are in work.
    pub fn waits(&self, tenant: TenantId) {
        let mut state = self.lock();
        if state.cached.get(&tenant).is_some_and(|queue| queue.is_empty()) {
            state.forget(tenant);
        }
    }

    pub fn oldest(&self, tenant: TenantId, limit: usize) -> Oldest {
        let mut state = self.lock();
        let Some(queue) = state.cached.get_mut(&tenant) else {
            // From now on everything is seen; what was committed before, the caller reads.
            state.cached.insert(tenant, VecDeque::new());
            return Oldest::Read;
        };
        let count = limit.min(queue.len());
        let taken: Vec<Waiting> = queue.drain(..count).collect();
        state.count -= count;
        let changes = state.changes;
        let still_so = |waiting: Waiting| {
            let customer = waiting.pending.customer.filter(|_| waiting.known_at == changes);
            Pending { customer, ..waiting.pending }
        };
        Oldest::Cached(taken.into_iter().map(still_so).collect())
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
        if let Some(queue) = self.cached.remove(&tenant) {
            self.count -= queue.len();
        }
    }
}
