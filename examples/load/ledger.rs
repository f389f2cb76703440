//! The outcome of each message of a phase: one slot for each message, written without locks by both ends.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The first sender. Message `n` of a run comes from this number plus `n`.
const FIRST_SENDER: u64 = 34_600_000_000;

pub struct Ledger {
    start: Instant,
    /// The number of the phase's first message in the run.
    first: usize,
    slots: Vec<Slot>,
    refused: AtomicUsize,
    /// The status of the last refusal, 0 without an answer.
    refusal: AtomicU16,
    strange: AtomicUsize,
    delivered: AtomicUsize,
    /// Callbacks that the provider has to make, has made, and those that were refused.
    callbacks_due: AtomicUsize,
    callbacks_made: AtomicUsize,
    callbacks_refused: AtomicUsize,
}

/// Nanoseconds since the start of the phase; 0 is never.
#[derive(Default)]
struct Slot {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    arrived: AtomicU64,
    arrivals: AtomicU32,
}

/// A phase in numbers.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub acknowledged: usize,
    /// Messages without an answer 2xx.
    pub refused: usize,
    /// The status of the last refusal, 0 without an answer.
    pub refusal: u16,
    pub acknowledged_per_s: f64,
    pub acknowledge: Spread,
    pub delivered: usize,
    /// Time from the first webhook to the last provider call.
    pub delivered_in: Duration,
    pub delivered_per_s: f64,
    pub whole_way: Spread,
    /// Messages that were acknowledged and never reached the provider.
    pub lost: usize,
    /// Messages that reached the provider more than once.
    pub doubled: usize,
    /// Provider calls that belong to no message of the phase.
    pub strange: usize,
    /// Delivery callbacks that the provider made, and those of them without an answer 2xx.
    pub callbacks: usize,
    pub callbacks_refused: usize,
}

/// Latencies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Ledger {
    pub fn new(first: usize, count: usize) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(count).collect();
        let zero = || AtomicUsize::new(0);
        let refusal = AtomicU16::new(0);
        Self {
            start: Instant::now(),
            first,
            slots,
            refused: zero(),
            refusal,
            strange: zero(),
            delivered: zero(),
            callbacks_due: zero(),
            callbacks_made: zero(),
            callbacks_refused: zero(),
        }
    }

    /// The number of the phase's first message in the run.
    pub const fn first_number(&self) -> usize {
        self.first
    }

    pub fn callbacks_due(&self, count: usize) {
        self.callbacks_due.fetch_add(count, Relaxed);
    }

    /// Records a callback, and whether it was answered 2xx.
    pub fn called_back(&self, well: bool) {
        self.callbacks_refused.fetch_add(usize::from(!well), Relaxed);
        self.callbacks_made.fetch_add(1, Relaxed);
    }

    /// Callbacks that were made, and those that are still to be made.
    pub fn callbacks(&self) -> (usize, usize) {
        let made = self.callbacks_made.load(Relaxed);
        (made, self.callbacks_due.load(Relaxed).saturating_sub(made))
    }

    pub fn sender(number: usize) -> String {
        format!("+{}", FIRST_SENDER + number as u64)
    }

    pub fn sent(&self, index: usize, at: Instant) {
        self.slots[index].sent.store(self.ns(at), Relaxed);
    }

    pub fn acknowledged(&self, index: usize) {
        self.slots[index].acknowledged.store(self.ns(Instant::now()), Relaxed);
    }

    /// Records an answer with this status; 0 is no answer.
    pub fn refused(&self, status: u16) {
        self.refusal.store(status, Relaxed);
        self.refused.fetch_add(1, Relaxed);
    }

    /// Records a provider call to `recipient`, the digits of E.164.
    pub fn arrived(&self, recipient: &str, answer_is_right: bool) {
        let index = recipient
            .parse()
            .ok()
            .and_then(|digits: u64| usize::try_from(digits.checked_sub(FIRST_SENDER)?).ok()?.checked_sub(self.first));
        let Some(slot) = index.and_then(|index| self.slots.get(index)).filter(|_| answer_is_right) else {
            self.strange.fetch_add(1, Relaxed);
            return;
        };
        if slot.arrivals.fetch_add(1, Relaxed) == 0 {
            slot.arrived.store(self.ns(Instant::now()), Relaxed);
            self.delivered.fetch_add(1, Relaxed);
        }
    }

    /// Messages that have reached the provider so far.
    pub fn delivered(&self) -> usize {
        self.delivered.load(Relaxed)
    }

    pub fn acknowledged_count(&self) -> usize {
        self.slots.iter().filter(|slot| slot.acknowledged.load(Relaxed) > 0).count()
    }

    pub fn summary(&self) -> Summary {
        let (mut acknowledge, mut whole_way) = (Vec::new(), Vec::new());
        let (mut first_sent, mut last_acknowledged, mut last_arrived) = (u64::MAX, 0, 0);
        let mut summary = Summary {
            refused: self.refused.load(Relaxed),
            refusal: self.refusal.load(Relaxed),
            strange: self.strange.load(Relaxed),
            delivered: self.delivered(),
            callbacks: self.callbacks_made.load(Relaxed),
            callbacks_refused: self.callbacks_refused.load(Relaxed),
            ..Summary::default()
        };
        for slot in &self.slots {
            let (sent, acknowledged, arrived) =
                (slot.sent.load(Relaxed), slot.acknowledged.load(Relaxed), slot.arrived.load(Relaxed));
            if sent > 0 {
                first_sent = first_sent.min(sent);
            }
            if acknowledged > 0 {
                acknowledge.push(acknowledged.saturating_sub(sent));
                last_acknowledged = last_acknowledged.max(acknowledged);
            }
            if arrived > 0 {
                whole_way.push(arrived.saturating_sub(sent));
                last_arrived = last_arrived.max(arrived);
            }
            summary.lost += usize::from(acknowledged > 0 && arrived == 0);
            summary.doubled += usize::from(slot.arrivals.load(Relaxed) > 1);
        }
        summary.acknowledged = acknowledge.len();
        let acknowledged_in = Duration::from_nanos(last_acknowledged.saturating_sub(first_sent));
        summary.acknowledged_per_s = per_s(acknowledge.len(), acknowledged_in);
        summary.delivered_in = Duration::from_nanos(last_arrived.saturating_sub(first_sent));
        summary.delivered_per_s = per_s(whole_way.len(), summary.delivered_in);
        summary.acknowledge = spread(acknowledge);
        summary.whole_way = spread(whole_way);
        summary
    }

    /// The times from the request to the provider of the messages that `keep` chooses by their index.
    pub fn whole_way(&self, keep: impl Fn(usize) -> bool) -> Spread {
        let chosen = self.slots.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, slot)| slot);
        let times = chosen.filter_map(|slot| {
            let arrived = slot.arrived.load(Relaxed);
            (arrived > 0).then(|| arrived.saturating_sub(slot.sent.load(Relaxed)))
        });
        spread(times.collect())
    }

    fn ns(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.start).as_nanos() as u64).max(1)
    }
}

pub fn per_s(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

pub fn spread(mut ns: Vec<u64>) -> Spread {
    ns.sort_unstable();
    let at = |percent: usize| {
        let index = (ns.len() * percent).div_ceil(100).saturating_sub(1);
        Duration::from_nanos(ns.get(index).copied().unwrap_or(0))
    };
    Spread { p50: at(50), p99: at(99), max: at(100) }
}
