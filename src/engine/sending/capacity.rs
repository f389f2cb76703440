//! Who waits for what before a send can be claimed: for room at the account, for a lane, or for a time.
//!
//! An account's room is shared by the tenants that want some: alone, one may use all of it; among others, each has an
//! equal part, and they are served in the order in which they came.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::circuit::IN_FLIGHT_MAX;
use crate::domain::{Clock, SendQueue, Timestamp};

/// Times that are kept at most, the soonest; what falls due beyond them, the sweep finds.
const ALARMS_MAX: usize = 100_000;

/// Sends in flight, by account and tenant, and who waits to send more.
#[derive(Default)]
pub struct SendCapacity(Mutex<State>);

#[derive(Default)]
struct State {
    accounts: HashMap<String, Room>,
    /// Sends in flight altogether.
    in_flight: usize,
    /// Accounts that had room of their own when there was none altogether.
    short: VecDeque<String>,
    /// Tenants whose next send waits for another to end, with their account: who send from one number share its lanes.
    lanes: HashMap<SendQueue, (String, ForLane)>,
    next_ticket: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ForLane {
    /// Being asked for; whether a lane has become free since.
    Asking {
        freed: bool,
    },
    Waits,
}

#[derive(Default)]
struct Room {
    in_flight: HashMap<SendQueue, usize>,
    taken: usize,
    tickets: HashMap<SendQueue, u64>,
    queue: BTreeMap<u64, SendQueue>,
}

impl SendCapacity {
    /// Room for at most `wanted` more sends of the tenant, where `max` may be in flight to its account; it is taken
    /// until [`SendCapacity::leave`]. Who gets some goes to the end of the queue, who gets none keeps their place, until
    /// [`SendCapacity::satisfied`].
    pub fn enter(&self, queue: &SendQueue, account: &str, wanted: usize, max: usize) -> usize {
        let mut state = self.lock();
        let free = IN_FLIGHT_MAX.saturating_sub(state.in_flight);
        let max = max.min(state.share_of_all());
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        let room = state.accounts.entry(account.to_owned()).or_default();
        let given = wanted.min(free).min(room.open_to(queue, max));
        if given > 0 {
            room.taken += given;
            *room.in_flight.entry(queue.clone()).or_default() += given;
            room.unqueue(queue);
        }
        if let Entry::Vacant(place) = room.tickets.entry(queue.clone()) {
            place.insert(ticket);
            room.queue.insert(ticket, queue.clone());
        }
        state.in_flight += given;
        if free == 0 && !state.short.iter().any(|short| short == account) {
            state.short.push_back(account.to_owned());
        }
        given
    }

    /// The tenant has nothing more for which it wants room.
    pub fn satisfied(&self, queue: &SendQueue, account: &str) {
        if let Some(room) = self.lock().accounts.get_mut(account) {
            room.unqueue(queue);
        }
    }

    /// Gives room back. Gives the tenants that may enter now, where `max` may be in flight to the account.
    pub fn leave(&self, queue: &SendQueue, account: &str, count: usize, max: usize) -> Vec<SendQueue> {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(count);
        if let Some(room) = state.accounts.get_mut(account) {
            room.taken = room.taken.saturating_sub(count);
            let own = room.in_flight.entry(queue.clone()).or_default();
            *own = own.saturating_sub(count);
            if *own == 0 {
                room.in_flight.remove(queue);
            }
        }
        let share = state.share_of_all();
        let mut next = state.accounts.get(account).map(|room| room.next(max.min(share))).unwrap_or_default();
        // One other account that had nothing to wait for but the end of others' sends.
        if let Some(other) = state.short.pop_front() {
            next.extend(state.accounts.get(&other).map(|room| room.next(share)).unwrap_or_default());
        }
        state.accounts.retain(|_, room| room.taken > 0 || !room.queue.is_empty());
        next
    }

    /// The tenant asks now for what is due: before the claim, so that no lane becomes free unseen.
    pub fn asks(&self, queue: &SendQueue, account: &str) {
        self.lock().lanes.insert(queue.clone(), (account.to_owned(), ForLane::Asking { freed: false }));
    }

    /// The tenant has asked, and `waits` says whether it has more that is due. Gives whether it is to ask again at once,
    /// as a lane has become free meanwhile.
    pub fn asked(&self, queue: &SendQueue, waits: bool) -> bool {
        let mut state = self.lock();
        let Some((_, lane)) = state.lanes.get_mut(queue).filter(|_| waits) else {
            state.lanes.remove(queue);
            return false;
        };
        let freed = *lane == ForLane::Asking { freed: true };
        *lane = ForLane::Waits;
        freed
    }

    /// A send has ended, and another may go along its lane. Gives the tenants of the account that wait for one.
    pub fn lane_freed(&self, account: &str) -> Vec<SendQueue> {
        let mut waiting = Vec::new();
        for (queue, (of, lane)) in &mut self.lock().lanes {
            match lane {
                _ if of != account => {}
                ForLane::Asking { freed } => *freed = true,
                ForLane::Waits => waiting.push(queue.clone()),
            }
        }
        waiting
    }

    /// Who waits stands in no queue any more: accounts have changed, and the rows say who is to be woken.
    pub fn forget_queues(&self) {
        for room in self.lock().accounts.values_mut() {
            room.tickets.clear();
            room.queue.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock holds counts, which are good whatever happened.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    /// What one account may have of all that may be in flight: an equal part, at least one.
    fn share_of_all(&self) -> usize {
        (IN_FLIGHT_MAX / self.accounts.len().max(1)).max(1)
    }
}

impl Room {
    /// How many more sends of the tenant may go out, were it to ask now.
    fn open_to(&self, queue: &SendQueue, max: usize) -> usize {
        let others = self.queue.len() - usize::from(self.tickets.contains_key(queue));
        let share = (max / (others + 1)).max(1);
        let free = max.saturating_sub(self.taken);
        let before = self.tickets.get(queue).copied().unwrap_or(u64::MAX);
        let ahead = self.queue.range(..before).filter(|(_, other)| self.own(other) < share).take(free).count();
        (free - ahead).min(share.saturating_sub(self.own(queue)))
    }

    /// The first in the queue for whom there is room.
    fn next(&self, max: usize) -> Vec<SendQueue> {
        let share = (max / self.queue.len().max(1)).max(1);
        let free = max.saturating_sub(self.taken);
        self.queue.values().filter(|queue| self.own(queue) < share).take(free).cloned().collect()
    }

    fn own(&self, queue: &SendQueue) -> usize {
        self.in_flight.get(queue).copied().unwrap_or_default()
    }

    fn unqueue(&mut self, queue: &SendQueue) {
        if let Some(ticket) = self.tickets.remove(queue) {
            self.queue.remove(&ticket);
        }
    }
}

/// When tenants' postponed sends fall due.
#[derive(Default)]
pub struct Alarms {
    times: Mutex<BTreeSet<(Timestamp, SendQueue)>>,
    sooner: Notify,
}

impl Alarms {
    /// Notes that the tenant has something due at this time.
    pub fn set(&self, at: Timestamp, queue: SendQueue) {
        let mut times = self.lock();
        let sooner = times.first().is_none_or(|(first, _)| at < *first);
        times.insert((at, queue));
        if times.len() > ALARMS_MAX {
            // The last one is furthest off; the sweep finds it.
            times.pop_last();
        }
        drop(times);
        if sooner {
            self.sooner.notify_one();
        }
    }

    /// Waits for the next time to come, then gives the tenants whose time has.
    pub async fn ring(&self, clock: &Clock) -> Vec<SendQueue> {
        loop {
            let due = self.take(clock.now());
            if !due.is_empty() {
                return due;
            }
            let first = self.lock().first().map(|(at, _)| *at);
            let wait = async {
                match first {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    fn take(&self, now: Timestamp) -> Vec<SendQueue> {
        let mut times = self.lock();
        let mut due = BTreeSet::new();
        while let Some((_, queue)) = times.first().filter(|(at, _)| *at <= now).cloned() {
            times.pop_first();
            due.insert(queue);
        }
        due.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, SendQueue)>> {
        // A poisoned lock holds plain times, which are good whatever happened.
        self.times.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Route, TenantId};

    const MAX: usize = 128;

    fn queue(n: u128) -> SendQueue {
        SendQueue::new(TenantId::new(uuid::Uuid::from_u128(n)), Route::Twilio)
    }

    #[test]
    fn one_alone_uses_all_the_room_and_a_second_gets_half() {
        let waiting = SendCapacity::default();
        let (a, b) = (&queue(1), &queue(2));
        assert_eq!(waiting.enter(a, "AC1", 1_000, MAX), MAX);
        assert_eq!(waiting.enter(a, "AC1", 1_000, MAX), 0);
        assert_eq!(waiting.enter(b, "AC1", 1_000, MAX), 0);
        assert_eq!(waiting.enter(b, "AC2", 10, MAX), 10, "another account has room of its own");
        for n in 1..=MAX / 2 {
            // What the first gives up, the second gets, though the first asks before.
            assert_eq!(waiting.leave(a, "AC1", 1, MAX), std::slice::from_ref(b), "{n}");
            assert_eq!(waiting.enter(a, "AC1", 1_000, MAX), 0, "{n}");
            assert_eq!(waiting.enter(b, "AC1", 1, MAX), 1, "{n}");
        }
        waiting.forget_queues();
        assert_eq!(waiting.leave(b, "AC1", MAX / 2, MAX), []);
        assert_eq!(waiting.enter(a, "AC1", 1_000, MAX), MAX / 2, "alone again");
    }

    #[test]
    fn of_many_each_has_its_turn() {
        const MANY: u128 = 1_000;
        let waiting = SendCapacity::default();
        let mut served = HashMap::new();
        let mut in_flight = VecDeque::new();
        let mut ready: BTreeSet<SendQueue> = (0..MANY).map(queue).collect();
        for _ in 0..3 * MANY {
            for one in std::mem::take(&mut ready) {
                let given = waiting.enter(&one, "AC1", 10, MAX);
                in_flight.extend(std::iter::repeat_n(one.clone(), given));
                *served.entry(one).or_insert(0) += given;
            }
            let ended = in_flight.pop_front().unwrap();
            // The one whose send has ended asks too, and comes first by its id.
            ready.extend(waiting.leave(&ended, "AC1", 1, MAX));
            ready.insert(ended);
        }
        let least = (0..MANY).map(|n| served[&queue(n)]).min().unwrap();
        assert!(least >= 2, "{least}");
    }

    #[test]
    fn a_probe_is_one_whoever_waits() {
        let waiting = SendCapacity::default();
        assert_eq!(waiting.enter(&queue(1), "AC1", 10, 0), 0, "the circuit is open");
        assert_eq!(waiting.enter(&queue(2), "AC1", 10, 0), 0);
        assert_eq!(waiting.enter(&queue(2), "AC1", 10, 1), 0, "the other came first");
        assert_eq!(waiting.enter(&queue(1), "AC1", 10, 1), 1);
        assert_eq!(waiting.enter(&queue(2), "AC1", 10, 1), 0, "one probe only");
        assert_eq!(waiting.leave(&queue(1), "AC1", 1, 1), [queue(2)]);
    }

    #[test]
    fn accounts_share_what_may_be_in_flight_altogether() {
        let waiting = SendCapacity::default();
        let account = |n: u128| format!("AC{n}");
        for n in 0..4 {
            assert_eq!(waiting.enter(&queue(n), &account(n), MAX, MAX), MAX);
        }
        assert_eq!(waiting.enter(&queue(4), &account(4), MAX, MAX), 0);
        assert_eq!(waiting.leave(&queue(0), &account(0), 1, MAX), [queue(4)], "woken by another account's end");
        assert_eq!(waiting.enter(&queue(0), &account(0), 1, MAX), 0, "it has more than its part");
        assert_eq!(waiting.enter(&queue(4), &account(4), MAX, MAX), 1);
    }

    #[test]
    fn whoever_waits_for_a_lane_of_the_account_is_woken_by_anybodys_end() {
        let waiting = SendCapacity::default();
        let (a, b, c) = (&queue(1), &queue(2), &queue(3));
        waiting.asks(a, "AC1");
        assert!(!waiting.asked(a, true));
        waiting.asks(c, "AC2");
        assert!(!waiting.asked(c, true), "of another account");
        waiting.asks(b, "AC1");
        assert_eq!(waiting.lane_freed("AC1"), std::slice::from_ref(a), "the other is asking and will hear of it");
        assert!(waiting.asked(b, true), "freed while it asked");
        waiting.asks(b, "AC1");
        waiting.lane_freed("AC1");
        assert!(!waiting.asked(b, false), "it has nothing more");
        assert_eq!(waiting.lane_freed("AC1"), std::slice::from_ref(a));
    }

    #[tokio::test]
    async fn alarms_ring_when_their_time_comes_and_the_soonest_first() {
        let at = |ms: i64| Timestamp::from_unix_us(ms * 1_000);
        let clock = Clock::simulated(at(0));
        let alarms = Alarms::default();
        alarms.set(at(200), queue(2));
        let (rung, ()) = tokio::join!(alarms.ring(&clock), async {
            tokio::task::yield_now().await;
            alarms.set(at(100), queue(1));
            tokio::task::yield_now().await;
            clock.set(at(100));
        });
        assert_eq!(rung, [queue(1)]);
        clock.set(at(300));
        assert_eq!(alarms.ring(&clock).await, [queue(2)]);
    }
}
