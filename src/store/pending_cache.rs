//! A cache of events that were just committed, with the facts of their customers, so that deciding them needs no reads.
//!
//! The rows stay the truth. The cache holds either *all* pending events of a tenant, in the order of their commits, or
//! none, and then the rows are read: too many came, another process wrote, or the program has just started. The facts of
//! a customer are good until any customer is changed by more than their own messages.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Event, TenantId};

/// Events in the cache, of all tenants together; further ones are read from their rows.
const CACHED_MAX: usize = 4_096;

/// What a transaction adds to the cache once it is committed.
#[derive(Default)]
pub(super) struct Committed {
    /// Events that are to be decided.
    pub events: Vec<Event>,
    /// Their customers as the transaction leaves them, as far as they were read.
    pub customers: HashMap<ContactId, ContactFacts>,
    /// A customer was changed by a decision, or has opted out or in.
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
    /// Tenants all of whose pending events are cached. A tenant that is missing has rows that were not seen.
    cached: HashMap<TenantId, VecDeque<Waiting>>,
    count: usize,
    /// Counts the commits that changed customers: facts read before them are stale.
    changes: u64,
}

struct Waiting {
    pending: Pending,
    known_at: u64,
}

/// Where a tenant's oldest events are.
pub(super) enum Oldest {
    Cached(Vec<Pending>),
    /// Read the rows; if they are not all that waits, say so with [`PendingCache::forget`].
    Read,
}

impl PendingCache {
    /// Adds events in the order of their commits. The writer calls it before it sends any reply.
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

    /// Whether events of this tenant will be cached, so that reading their customers is worthwhile.
    pub fn keeps(&self, tenant: TenantId) -> bool {
        let state = self.lock();
        state.count < CACHED_MAX && state.cached.contains_key(&tenant)
    }

    /// Drops a tenant: it has rows that are not cached.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().forget(tenant);
    }

    /// Rows of this tenant are pending. Where the cache has none, another process wrote them, and they must be read.
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
        // A poisoned lock: the cache may be incomplete, so it starts empty.
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
