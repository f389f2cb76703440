//! Timers: each fires once, in order, whatever else is due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use recado::domain::timer::Fired;
use recado::domain::{Change, NewTimer, Purpose, TimerId, Timestamp};
use recado::store::{FireRequest, Firing, RETRY_AFTER, Replanned, TRIES_MAX};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ANA, Bench, START, on_both};

const HOUR: Duration = Duration::from_secs(3_600);

impl Bench {
    pub fn timer(&self, number: u128, due: Timestamp) -> NewTimer {
        let rule = format!("rule {number}");
        NewTimer {
            id: TimerId::of(self.tenant, &rule, Uuid::from_u128(number)),
            due,
            tenant: self.tenant,
            purpose: Purpose::After,
            rule,
            timing: "after 1h".to_owned(),
            contact: None,
            subject: None,
            payload: json!({"number": number}),
        }
    }

    pub async fn plan(&self, timers: &[NewTimer]) {
        self.store.plan_timers(timers).await.expect("they can be written");
    }

    pub async fn fire(&self, limit: usize) -> Firing {
        let next = Arc::new(|_: &recado::store::DueTimer, _| None);
        self.store.writer().fire(FireRequest { limit, next }).await.expect("they can be fired")
    }

    /// The rules of the fired timers, in order.
    async fn fired(&self) -> Vec<String> {
        let events = self.store.pending_events(self.tenant, 1_000).await.expect("they can be read");
        self.store.give_back(self.tenant);
        events.iter().map(|pending| Fired::of(&pending.event).expect("a timer's").rule).collect()
    }
}

#[tokio::test]
async fn due_timers_fire_once_in_order() {
    on_both(|bench| async move {
        let at = |minutes: u64| START.plus(Duration::from_secs(60 * minutes));
        let timers: Vec<NewTimer> = [5, 1, 4, 2, 3, 90].map(|n| bench.timer(n, at(n as u64))).into();
        bench.plan(&timers).await;
        bench.plan(&timers[..2]).await;
        assert_eq!(bench.store.next_timer().await.unwrap(), Some(at(1)));
        assert_eq!(bench.fire(10).await.taken, 0, "nothing is due yet");
        bench.pass(3_600);
        assert_eq!(bench.fire(2).await, Firing { taken: 2, set_aside: 0, tenants: vec![bench.tenant] });
        assert_eq!(bench.fire(10).await.taken, 3);
        assert_eq!(bench.fire(10).await.taken, 0);
        assert_eq!(bench.fired().await, ["rule 1", "rule 2", "rule 3", "rule 4", "rule 5"]);
        let [last] = &bench.store.timers(Some(bench.tenant), 10).await.unwrap()[..] else { panic!("one is left") };
        assert_eq!((last.due, last.rule.as_str()), (at(90), "rule 90"));
        let event = bench.store.pending_events(bench.tenant, 1).await.unwrap().remove(0).event;
        let timer = json!({"rule": "rule 1", "purpose": "after", "due": "2027-01-15T08:01:00Z"});
        assert_eq!((event.kind.as_str(), event.data), ("timer", json!({"number": 1, "timer": timer})));
    })
    .await;
}

#[tokio::test]
async fn a_fired_timer_that_is_planned_again_does_not_fire_again() {
    on_both(|bench| async move {
        let timer = bench.timer(1, START);
        for _ in 0..2 {
            bench.plan(std::slice::from_ref(&timer)).await;
            assert_eq!(bench.fire(10).await.taken, 1);
        }
        assert_eq!(bench.fired().await, ["rule 1"]);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_is_set_loses_nothing_and_doubles_nothing() {
    on_both(|bench| async move {
        let timers: Vec<NewTimer> = (0..6).map(|n| bench.timer(n, START.plus(HOUR / 2 * n as u32))).collect();
        bench.plan(&timers).await;
        bench.pass(3_600);
        assert_eq!(bench.fire(10).await.taken, 3, "clocks were set forward: what that passed over fires");
        bench.store.clock().set(START);
        assert_eq!(bench.fire(10).await.taken, 0, "set back: it does not fire again");
        bench.pass(3 * 3_600);
        assert_eq!(bench.fire(10).await.taken, 3);
        let fired: BTreeSet<String> = bench.fired().await.into_iter().collect();
        assert_eq!(fired.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_broken_timer_is_set_aside_and_harms_no_other() {
    on_both(|bench| async move {
        let bad = NewTimer { payload: Value::String("bad".to_owned()), ..bench.timer(2, START) };
        bench.plan(&[bench.timer(1, START), bad, bench.timer(3, START)]).await;
        let firing = bench.fire(10).await;
        assert_eq!((firing.taken, firing.set_aside), (3, 1));
        assert_eq!(bench.fired().await.into_iter().collect::<BTreeSet<_>>().len(), 2);
        for tries in 1..TRIES_MAX {
            let [aside] = &bench.store.timers_set_aside(bench.tenant, 10).await.unwrap()[..] else { panic!("one") };
            assert_eq!((aside.tries, aside.timer.rule.as_str()), (tries, "rule 2"));
            assert_eq!(bench.store.next_timer().await.unwrap(), Some(bench.now().plus(RETRY_AFTER)));
            assert_eq!(bench.fire(10).await.taken, 0, "not before its time");
            bench.pass(RETRY_AFTER.as_secs());
            assert_eq!(bench.fire(10).await.set_aside, 1);
        }
        assert_eq!(bench.store.next_timer().await.unwrap(), None, "it waits for a person now");
        bench.pass(24 * 3_600);
        assert_eq!(bench.fire(10).await.taken, 0);
        let other = bench.other().await;
        assert_eq!(bench.store.redrive_timers(other.tenant, None).await.unwrap(), 0, "another tenant's");
        assert_eq!(bench.store.redrive_timers(bench.tenant, None).await.unwrap(), 1);
        assert_eq!(bench.fire(10).await.set_aside, 1, "it is tried again, and is as bad as before");
        assert_eq!(bench.store.timers_set_aside(bench.tenant, 10).await.unwrap()[0].tries, 1);
    })
    .await;
}

#[tokio::test]
async fn a_nearer_timer_ends_the_sleep() {
    on_both(|bench| async move {
        bench.plan(&[bench.timer(1, START.plus(2 * HOUR))]).await;
        // A timer that was planned before the query does not wake.
        assert!(bench.store.next_timer().await.unwrap().is_some());
        let mut woken = polled(bench.store.timer_wake());
        if woken.poll() {
            assert!(bench.store.next_timer().await.unwrap().is_some());
            woken = polled(bench.store.timer_wake());
        }
        bench.plan(&[bench.timer(2, START.plus(3 * HOUR))]).await;
        assert!(!woken.poll(), "a later one lets it sleep");
        bench.plan(&[bench.timer(3, START.plus(HOUR))]).await;
        assert!(woken.poll());
    })
    .await;
}

#[tokio::test]
async fn a_fired_timer_gets_no_successor() {
    on_both(|bench| async move {
        bench.plan(&[bench.timer(1, START), bench.timer(2, START.plus(HOUR))]).await;
        let replanned = |number| {
            let timer = bench.timer(number, START.plus(HOUR * (number as u32 - 1)));
            let by = Some(NewTimer { due: START.plus(2 * HOUR), ..timer.clone() });
            Replanned { due: timer.due, id: timer.id, tenant: bench.tenant, by }
        };
        let both = [replanned(1), replanned(2)];
        assert_eq!(bench.fire(10).await.taken, 1);
        assert_eq!(bench.store.replan_timers(&both).await.unwrap(), 1);
        let [left] = &bench.store.timers(None, 10).await.unwrap()[..] else { panic!("one is left") };
        assert_eq!((left.due, left.rule.as_str()), (START.plus(2 * HOUR), "rule 2"));
    })
    .await;
}

/// A future that the test polls itself.
struct Polled<F>(std::pin::Pin<Box<F>>);

fn polled<F: Future<Output = ()>>(future: F) -> Polled<F> {
    Polled(Box::pin(future))
}

impl<F: Future<Output = ()>> Polled<F> {
    fn poll(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        self.0.as_mut().poll(&mut context).is_ready()
    }
}

#[tokio::test]
async fn timers_end_with_their_subject_and_fired_ones_are_cleaned_up() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let booked = bench.store.book(&bench.with("Marta", ANA, "2027-06-01 10:00")).await.unwrap();
        let hangs = |number: u128, minutes: u64| NewTimer {
            subject: Some(booked.id.uuid()),
            ..bench.timer(number, START.plus(Duration::from_secs(60 * minutes)))
        };
        bench.plan(&[hangs(1, 1), hangs(2, 2), hangs(3, 90), bench.timer(4, START.plus(2 * HOUR))]).await;
        bench.pass(3_600);
        assert_eq!(bench.fire(10).await.taken, 2);
        let other = bench.other().await;
        assert_eq!(other.store.remove_fired_notes(other.tenant, bench.now()).await.unwrap(), 0, "another tenant's");
        assert_eq!(bench.store.remove_fired_notes(bench.tenant, bench.now()).await.unwrap(), 2);
        assert_eq!(bench.store.remove_fired_notes(bench.tenant, bench.now()).await.unwrap(), 0);
        bench.store.change_appointment(&bench.order(booked.id, Change::Cancel)).await.unwrap();
        let left = bench.store.timers(Some(bench.tenant), 10).await.unwrap();
        assert_eq!(left.iter().map(|timer| timer.rule.as_str()).collect::<Vec<_>>(), ["rule 4"]);
        assert_eq!(bench.store.remove_fired_notes(bench.tenant, START.plus(100 * HOUR)).await.unwrap(), 0);
    })
    .await;
}
