//! Queues whose next send falls due later.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::{Clock, SendQueue, Timestamp};

/// The most times in memory, the soonest ones. The sweep finds sends that fall due later.
const TIMES_MAX: usize = 100_000;

/// The times at which queues have something due: postponed sends, retries, planned sends.
#[derive(Default)]
pub struct DelayedQueues {
    times: Mutex<BTreeSet<(Timestamp, SendQueue)>>,
    sooner: Notify,
}

impl DelayedQueues {
    /// Notes that the queue has something due at `at`.
    pub fn schedule(&self, at: Timestamp, queue: SendQueue) {
        let mut times = self.times.lock();
        let sooner = times.first().is_none_or(|(first, _)| at < *first);
        times.insert((at, queue));
        if times.len() > TIMES_MAX {
            // The last one is furthest off; the sweep finds it.
            times.pop_last();
        }
        drop(times);
        if sooner {
            self.sooner.notify_one();
        }
    }

    /// Waits for the next time, then returns the queues that are due.
    pub async fn next_due(&self, clock: &Clock) -> Vec<SendQueue> {
        loop {
            let due = self.take(clock.now());
            if !due.is_empty() {
                return due;
            }
            let first = self.times.lock().first().map(|(at, _)| *at);
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
        let mut times = self.times.lock();
        let mut due = BTreeSet::new();
        while let Some((_, queue)) = times.first().filter(|(at, _)| *at <= now).cloned() {
            times.pop_first();
            due.insert(queue);
        }
        due.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Route, TenantId};

    fn queue(n: u128) -> SendQueue {
        SendQueue::new(TenantId::new(uuid::Uuid::from_u128(n)), Route::Twilio)
    }

    #[tokio::test]
    async fn queues_come_when_their_time_does_and_the_soonest_first() {
        let at = |ms: i64| Timestamp::from_unix_us(ms * 1_000);
        let clock = Clock::simulated(at(0));
        let delayed = DelayedQueues::default();
        delayed.schedule(at(200), queue(2));
        let (first, ()) = tokio::join!(delayed.next_due(&clock), async {
            tokio::task::yield_now().await;
            delayed.schedule(at(100), queue(1));
            tokio::task::yield_now().await;
            clock.set(at(100));
        });
        assert_eq!(first, [queue(1)]);
        clock.set(at(300));
        assert_eq!(delayed.next_due(&clock).await, [queue(2)]);
    }
}
