//! Capacity for sends: how many may be in flight to an account, and which queue goes next.
//!
//! The tenants that want capacity of an account share it. A tenant alone may use all of it. Among others, each has an equal
//! share, and they are served first in, first out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::Mutex;

use super::circuit::IN_FLIGHT_MAX;
use crate::domain::SendQueue;

/// Sends in flight by account and queue, and the queues that wait to send more.
#[derive(Default)]
pub struct SendCapacity(Mutex<State>);

#[derive(Default)]
struct State {
    accounts: HashMap<String, AccountCapacity>,
    /// Sends in flight to all accounts.
    in_flight: usize,
    /// Accounts with capacity of their own that got none, because all capacity of the process was in use.
    starved: VecDeque<String>,
    /// Queues whose next send waits for the end of another one with its ordering key, with their account. Tenants that send
    /// from one number share its ordering keys.
    ordered: HashMap<SendQueue, (String, OrderedWait)>,
    next_ticket: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OrderedWait {
    /// A claim is under way. `released` tells whether an ordering key was released since it began.
    Claiming { released: bool },
    /// The queue has more that is due, and waits for an ordering key.
    Waits,
}

#[derive(Default)]
struct AccountCapacity {
    in_flight: HashMap<SendQueue, usize>,
    taken: usize,
    /// The waiting queues: a ticket for each, and the queues in the order of their tickets.
    tickets: HashMap<SendQueue, u64>,
    waiting: BTreeMap<u64, SendQueue>,
}

impl SendCapacity {
    /// Acquires capacity for at most `wanted` more sends of the queue, where `max` may be in flight to its account. The
    /// capacity stays acquired until [`SendCapacity::release`]. A queue that gets some moves to the end of the waiting queues. A queue
    /// that gets none keeps its place, until [`SendCapacity::remove_waiting`].
    pub fn acquire(&self, queue: &SendQueue, account: &str, wanted: usize, max: usize) -> usize {
        let mut state = self.0.lock();
        let free = IN_FLIGHT_MAX.saturating_sub(state.in_flight);
        let max = max.min(state.account_share());
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        let pool = state.accounts.entry(account.to_owned()).or_default();
        let given = wanted.min(free).min(pool.available_to(queue, max));
        if given > 0 {
            pool.taken += given;
            *pool.in_flight.entry(queue.clone()).or_default() += given;
            pool.remove_waiting(queue);
        }
        if let Entry::Vacant(place) = pool.tickets.entry(queue.clone()) {
            place.insert(ticket);
            pool.waiting.insert(ticket, queue.clone());
        }
        state.in_flight += given;
        if free == 0 && !state.starved.iter().any(|starved| starved == account) {
            state.starved.push_back(account.to_owned());
        }
        given
    }

    /// Removes the queue from the waiting ones: it has nothing more to send.
    pub fn remove_waiting(&self, queue: &SendQueue, account: &str) {
        if let Some(pool) = self.0.lock().accounts.get_mut(account) {
            pool.remove_waiting(queue);
        }
    }

    /// Releases capacity. Gives the queues that may acquire some now, where `max` may be in flight to the account.
    pub fn release(&self, queue: &SendQueue, account: &str, count: usize, max: usize) -> Vec<SendQueue> {
        let mut state = self.0.lock();
        state.in_flight = state.in_flight.saturating_sub(count);
        if let Some(pool) = state.accounts.get_mut(account) {
            pool.taken = pool.taken.saturating_sub(count);
            let own = pool.in_flight.entry(queue.clone()).or_default();
            *own = own.saturating_sub(count);
            if *own == 0 {
                pool.in_flight.remove(queue);
            }
        }
        let share = state.account_share();
        let mut next = state.accounts.get(account).map(|pool| pool.next(max.min(share))).unwrap_or_default();
        // One other account, which waited only for sends of others to end.
        if let Some(other) = state.starved.pop_front() {
            next.extend(state.accounts.get(&other).map(|pool| pool.next(share)).unwrap_or_default());
        }
        state.accounts.retain(|_, pool| pool.taken > 0 || !pool.waiting.is_empty());
        next
    }

    /// A claim of the queue begins. Call it before the claim, so that no release of an ordering key is missed.
    pub fn claim_begins(&self, queue: &SendQueue, account: &str) {
        self.0.lock().ordered.insert(queue.clone(), (account.to_owned(), OrderedWait::Claiming { released: false }));
    }

    /// A claim of the queue has ended, and `waits` tells whether the queue has more that is due. Gives whether it must claim
    /// again at once, because an ordering key was released meanwhile.
    pub fn claim_ends(&self, queue: &SendQueue, waits: bool) -> bool {
        let mut state = self.0.lock();
        let Some((_, wait)) = state.ordered.get_mut(queue).filter(|_| waits) else {
            state.ordered.remove(queue);
            return false;
        };
        let released = *wait == OrderedWait::Claiming { released: true };
        *wait = OrderedWait::Waits;
        released
    }

    /// A send has ended and released its ordering key. Gives the queues of the account that wait for one.
    pub fn ordering_key_released(&self, account: &str) -> Vec<SendQueue> {
        let mut waiting = Vec::new();
        for (queue, (of, wait)) in &mut self.0.lock().ordered {
            match wait {
                _ if of != account => {}
                OrderedWait::Claiming { released } => *released = true,
                OrderedWait::Waits => waiting.push(queue.clone()),
            }
        }
        waiting
    }

    /// Removes all waiting queues: accounts have changed, and the rows tell which queues to wake.
    pub fn clear_waiting(&self) {
        for pool in self.0.lock().accounts.values_mut() {
            pool.tickets.clear();
            pool.waiting.clear();
        }
    }
}

impl State {
    /// Returns an account's equal share of all sends in flight, at least one.
    fn account_share(&self) -> usize {
        (IN_FLIGHT_MAX / self.accounts.len().max(1)).max(1)
    }
}

impl AccountCapacity {
    /// Returns how many more sends of the queue may be in flight now.
    fn available_to(&self, queue: &SendQueue, max: usize) -> usize {
        let others = self.waiting.len() - usize::from(self.tickets.contains_key(queue));
        let share = (max / (others + 1)).max(1);
        let free = max.saturating_sub(self.taken);
        let before = self.tickets.get(queue).copied().unwrap_or(u64::MAX);
        let ahead =
            self.waiting.range(..before).filter(|(_, other)| self.in_flight_of(other) < share).take(free).count();
        (free - ahead).min(share.saturating_sub(self.in_flight_of(queue)))
    }

    /// Returns the first waiting queues for which there is capacity.
    fn next(&self, max: usize) -> Vec<SendQueue> {
        let share = (max / self.waiting.len().max(1)).max(1);
        let free = max.saturating_sub(self.taken);
        self.waiting.values().filter(|queue| self.in_flight_of(queue) < share).take(free).cloned().collect()
    }

    fn in_flight_of(&self, queue: &SendQueue) -> usize {
        self.in_flight.get(queue).copied().unwrap_or_default()
    }

    fn remove_waiting(&mut self, queue: &SendQueue) {
        if let Some(ticket) = self.tickets.remove(queue) {
            self.waiting.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Route, TenantId};

    const MAX: usize = 128;

    fn queue(n: u128) -> SendQueue {
        SendQueue::new(TenantId::new(uuid::Uuid::from_u128(n)), Route::Twilio)
    }

    #[test]
    fn a_queue_alone_uses_all_capacity_and_a_second_gets_half() {
        let capacity = SendCapacity::default();
        let (a, b) = (&queue(1), &queue(2));
        assert_eq!(capacity.acquire(a, "AC1", 1_000, MAX), MAX);
        assert_eq!(capacity.acquire(a, "AC1", 1_000, MAX), 0);
        assert_eq!(capacity.acquire(b, "AC1", 1_000, MAX), 0);
        assert_eq!(capacity.acquire(b, "AC2", 10, MAX), 10, "another account has capacity of its own");
        for n in 1..=MAX / 2 {
            // The second queue gets what the first releases, though the first asks before it.
            assert_eq!(capacity.release(a, "AC1", 1, MAX), std::slice::from_ref(b), "{n}");
            assert_eq!(capacity.acquire(a, "AC1", 1_000, MAX), 0, "{n}");
            assert_eq!(capacity.acquire(b, "AC1", 1, MAX), 1, "{n}");
        }
        capacity.clear_waiting();
        assert_eq!(capacity.release(b, "AC1", MAX / 2, MAX), []);
        assert_eq!(capacity.acquire(a, "AC1", 1_000, MAX), MAX / 2, "alone again");
    }

    #[test]
    fn every_one_of_many_queues_has_its_turn() {
        const MANY: u128 = 1_000;
        let capacity = SendCapacity::default();
        let mut served = HashMap::new();
        let mut in_flight = VecDeque::new();
        let mut ready: BTreeSet<SendQueue> = (0..MANY).map(queue).collect();
        for _ in 0..3 * MANY {
            for one in std::mem::take(&mut ready) {
                let given = capacity.acquire(&one, "AC1", 10, MAX);
                in_flight.extend(std::iter::repeat_n(one.clone(), given));
                *served.entry(one).or_insert(0) += given;
            }
            let ended = in_flight.pop_front().unwrap();
            // The queue whose send has ended asks too, and comes first by its id.
            ready.extend(capacity.release(&ended, "AC1", 1, MAX));
            ready.insert(ended);
        }
        let least = (0..MANY).map(|n| served[&queue(n)]).min().unwrap();
        assert!(least >= 2, "{least}");
    }

    #[test]
    fn there_is_one_probe_however_many_wait() {
        let capacity = SendCapacity::default();
        assert_eq!(capacity.acquire(&queue(1), "AC1", 10, 0), 0, "the circuit is open");
        assert_eq!(capacity.acquire(&queue(2), "AC1", 10, 0), 0);
        assert_eq!(capacity.acquire(&queue(2), "AC1", 10, 1), 0, "the other queue came first");
        assert_eq!(capacity.acquire(&queue(1), "AC1", 10, 1), 1);
        assert_eq!(capacity.acquire(&queue(2), "AC1", 10, 1), 0, "one probe only");
        assert_eq!(capacity.release(&queue(1), "AC1", 1, 1), [queue(2)]);
    }

    #[test]
    fn accounts_share_the_capacity_of_the_process() {
        let capacity = SendCapacity::default();
        let account = |n: u128| format!("AC{n}");
        for n in 0..4 {
            assert_eq!(capacity.acquire(&queue(n), &account(n), MAX, MAX), MAX);
        }
        assert_eq!(capacity.acquire(&queue(4), &account(4), MAX, MAX), 0);
        assert_eq!(capacity.release(&queue(0), &account(0), 1, MAX), [queue(4)], "woken by another account's end");
        assert_eq!(capacity.acquire(&queue(0), &account(0), 1, MAX), 0, "it has more than its share");
        assert_eq!(capacity.acquire(&queue(4), &account(4), MAX, MAX), 1);
    }

    #[test]
    fn a_released_ordering_key_wakes_the_waiting_queues_of_its_account() {
        let capacity = SendCapacity::default();
        let (a, b, c) = (&queue(1), &queue(2), &queue(3));
        capacity.claim_begins(a, "AC1");
        assert!(!capacity.claim_ends(a, true));
        capacity.claim_begins(c, "AC2");
        assert!(!capacity.claim_ends(c, true), "of another account");
        capacity.claim_begins(b, "AC1");
        assert_eq!(
            capacity.ordering_key_released("AC1"),
            std::slice::from_ref(a),
            "the other is claiming and will be told"
        );
        assert!(capacity.claim_ends(b, true), "released during its claim");
        capacity.claim_begins(b, "AC1");
        capacity.ordering_key_released("AC1");
        assert!(!capacity.claim_ends(b, false), "it has nothing more");
        assert_eq!(capacity.ordering_key_released("AC1"), std::slice::from_ref(a));
    }
}
