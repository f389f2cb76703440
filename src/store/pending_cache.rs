//! A cache of events that were just committed, with the facts of their customers, so that deciding them needs no reads.
//!
//! The rows stay the truth. The cache holds either *all* pending events of a tenant, in the order of their commits, or
//! none. It holds none if too many came, if another process wrote, or if the program has just started; the rows are
//! read then. The facts of a customer are valid until any customer is changed by more than their own messages.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Event, EventId, TenantId};

/// The most events in the cache, of all tenants together. Further events are read from their rows.
const CACHED_MAX: usize = 4_096;

/// The events and customers that a transaction adds to the cache when it is committed.
#[derive(Default)]
pub(super) struct Committed {
    /// Events to be decided.
    pub events: Vec<Event>,
    /// The customers of the events at the end of the transaction, as far as they were read.
    pub customers: HashMap<ContactId, ContactFacts>,
    /// A decision changed a customer, or a customer opted out or in.
    pub changed_customers: bool,
}

/// An undecided event.
#[derive(Clone, Debug)]
pub struct Pending {
    pub event: Event,
    /// The facts of the event's customer; `None` if they must be read.
    pub customer: Option<ContactFacts>,
}

#[derive(Default)]
pub(super) struct PendingCache(Mutex<State>);

#[derive(Default)]
struct State {
    /// The tenants whose pending events are all cached. A missing tenant may have other rows.
    cached: HashMap<TenantId, VecDeque<CachedEvent>>,
    /// The oldest pending row of each tenant at the last look.
    oldest_seen: HashMap<TenantId, EventId>,
    count: usize,
    /// Counts the commits that changed customers. Facts that were read before the last of them are stale.
    changes: u64,
}

struct CachedEvent {
    pending: Pending,
    known_at: u64,
}

/// The source of a tenant's oldest events.
pub(super) enum Oldest {
    Cached(Vec<Pending>),
    /// Read the rows. If more events wait than were read, call [`PendingCache::forget`].
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
                queue.push_back(CachedEvent { pending: Pending { event, customer }, known_at });
                state.count += 1;
            }
        }
    }

    /// Whether events of this tenant will be cached, so that their customers should be read.
    pub fn keeps(&self, tenant: TenantId) -> bool {
        let state = self.lock();
        state.count < CACHED_MAX && state.cached.contains_key(&tenant)
    }

    /// Drops a tenant that has rows that are not cached.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().forget(tenant);
    }

    /// Notes a tenant's oldest pending row. If the cache has none of the tenant, or the same row was the oldest the last
    /// time and is not in the cache, then another process wrote it, and the rows must be read.
    pub fn waits(&self, tenant: TenantId, oldest: EventId) {
        let mut state = self.lock();
        let lasts = state.oldest_seen.insert(tenant, oldest) == Some(oldest);
        let Some(queue) = state.cached.get(&tenant) else { return };
        if queue.is_empty() || (lasts && !queue.iter().any(|cached| cached.pending.event.id == oldest)) {
            state.forget(tenant);
        }
    }

    pub fn oldest(&self, tenant: TenantId, limit: usize) -> Oldest {
        let mut state = self.lock();
        let Some(queue) = state.cached.get_mut(&tenant) else {
            // From now on the cache gets all events; the caller reads those that were committed before.
            state.cached.insert(tenant, VecDeque::new());
            return Oldest::Read;
        };
        let count = limit.min(queue.len());
        let taken: Vec<CachedEvent> = queue.drain(..count).collect();
        state.count -= count;
        let changes = state.changes;
        let pending = |cached: CachedEvent| {
            let customer = cached.pending.customer.filter(|_| cached.known_at == changes);
            Pending { customer, ..cached.pending }
        };
        Oldest::Cached(taken.into_iter().map(pending).collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The lock is poisoned and the cache may be incomplete, so it starts empty.
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{EventKind, Timestamp};

    fn event(number: u128) -> Event {
        Event {
            id: EventId::new(Uuid::from_u128(number)),
            tenant: TenantId::new(Uuid::from_u128(1)),
            kind: EventKind::INBOUND_SMS,
            channel: None,
            contact: None,
            occurred_at: Timestamp::from_unix_us(1),
            dedupe_key: None,
            depth: 0,
            data: serde_json::Value::Null,
        }
    }

    /// A busy tenant's cache is never empty, and still another process's event is found.
    #[test]
    fn a_row_that_is_not_cached_is_read_after_two_looks() {
        let (cache, own, foreign) = (PendingCache::default(), event(2), event(3));
        let tenant = own.tenant;
        let push = |event: &Event| cache.push(Committed { events: vec![event.clone()], ..Committed::default() });
        assert!(matches!(cache.oldest(tenant, 1), Oldest::Read));
        push(&own);
        cache.waits(tenant, foreign.id);
        assert!(cache.keeps(tenant), "it may be on its way into the cache, or out of it");
        cache.waits(tenant, foreign.id);
        assert!(!cache.keeps(tenant));

        assert!(matches!(cache.oldest(tenant, 1), Oldest::Read));
        push(&own);
        for _ in 0..3 {
            cache.waits(tenant, own.id);
        }
        assert!(cache.keeps(tenant), "its own event may wait as long as it must");
    }
}
