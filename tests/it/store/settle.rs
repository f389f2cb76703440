//! Delivery statuses: each comes ten times, in every order, has one effect, and never moves back.

use futures_util::future::join_all;
use recado::domain::DeliveryStatus::{self, Delivered, Failed, Queued, Read, Sending, Sent, Undelivered};
use recado::domain::clock::Random;
use recado::domain::{ActionId, EventKind};
use recado::store::{AttemptResult, OPTED_OUT_CODE, Settled, StatusReport};

use super::{ANA, Bench, on_both};

fn report(bench: &Bench, action: ActionId, status: DeliveryStatus) -> StatusReport {
    let (tenant, at) = (bench.tenant, bench.now());
    let sid = format!("SM{action}").replace('-', "");
    StatusReport { tenant, action, sid, status, error_code: None, unmatched: false, at }
}

/// The statuses of the events, in their order.
async fn event_statuses(bench: &Bench, action: ActionId) -> Vec<String> {
    let mut events = bench.store.events(bench.tenant, 10_000).await.unwrap();
    events.reverse();
    let of_it = events.into_iter().filter(|event| event.kind == EventKind::MESSAGE_STATUS.as_str());
    let data = of_it.map(|event| serde_json::from_str::<serde_json::Value>(&event.data).unwrap());
    let statuses = data.filter(|data| data["message"] == action.to_string().as_str());
    statuses.map(|data| data["status"].as_str().unwrap().to_owned()).collect()
}

/// Sends to a new customer. The send is sent, or still in progress.
async fn send(bench: &Bench, number: usize, answered: bool) -> ActionId {
    let claimed = bench.under_way(&format!("SMin{number}"), &format!("+346{number:08}")).await;
    let action = claimed.send.id;
    if answered {
        let sid = format!("SM{action}").replace('-', "");
        assert!(bench.end(&claimed, AttemptResult::Sent { sid, status: Queued }, None).await);
    }
    action
}

#[tokio::test]
async fn each_callback_ten_times_in_all_orders_has_one_effect() {
    on_both(|bench| async move {
        let random = Random::seeded(11);
        let mut number = 0;
        let shuffle = |life: &mut Vec<DeliveryStatus>| {
            // Fisher and Yates.
            for last in (1..life.len()).rev() {
                life.swap(last, (random.next_u64() % (last as u64 + 1)) as usize);
            }
        };
        for end in [Delivered, Read, Undelivered, Failed] {
            for round in 0..6 {
                number += 1;
                let action = send(&bench, number, round % 2 == 0).await;
                let mut heard: Vec<DeliveryStatus> =
                    [Queued, Sending, Sent, end].into_iter().flat_map(|status| [status; 10]).collect();
                shuffle(&mut heard);
                let settled = settle_all(&bench, action, &heard, round % 3 == 0).await;
                check(&bench, action, &heard, &settled, round % 2 == 0).await;
            }
        }
    })
    .await;
}

/// Settles one after another, or in parallel so that many share a transaction.
async fn settle_all(bench: &Bench, action: ActionId, heard: &[DeliveryStatus], together: bool) -> Vec<Settled> {
    let reports = heard.iter().map(|status| bench.store.writer().settle(report(bench, action, *status)));
    if together {
        return join_all(reports).await.into_iter().map(|settled| settled.unwrap()).collect();
    }
    let mut settled = Vec::new();
    for report in reports {
        settled.push(report.await.unwrap());
    }
    settled
}

async fn check(bench: &Bench, action: ActionId, heard: &[DeliveryStatus], settled: &[Settled], answered: bool) {
    let mut status = answered.then_some(Queued);
    let mut expect = Vec::new();
    for one in heard {
        let after = status.map_or(*one, |status| status.advance(*one));
        if Some(after) != status {
            expect.push(after.to_string());
        }
        status = Some(after);
    }
    assert_eq!(event_statuses(bench, action).await, expect, "{heard:?}");
    let advanced = settled.iter().filter(|settled| **settled == Settled::Advanced).count();
    assert_eq!(advanced, expect.len(), "{heard:?}");
    let message = bench.message(action).await.unwrap();
    assert_eq!(Some(message.status), status.map(|status| status.to_string()), "{heard:?}");
    assert_eq!(bench.state(action).await, "sent");
}

#[tokio::test]
async fn nobody_settles_what_is_not_theirs() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let action = send(&bench, 1, true).await;
        let settled = other.store.writer().settle(report(&other, action, Delivered)).await.unwrap();
        assert_eq!(settled, Settled::UnknownAction);
        let nobodys = ActionId::new(uuid::Uuid::from_u128(1));
        let settled = bench.store.writer().settle(report(&bench, nobodys, Delivered)).await.unwrap();
        assert_eq!(settled, Settled::UnknownAction);
        assert_eq!(bench.message(action).await.unwrap().status, "queued");
        assert!(other.event_kinds().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_callback_may_tell_of_an_opt_out() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let mut undelivered = report(&bench, claimed.send.id, Failed);
        undelivered.error_code = Some(OPTED_OUT_CODE);
        assert_eq!(bench.store.writer().settle(undelivered).await.unwrap(), Settled::Advanced);
        assert!(bench.under_way("SM2", ANA).await.facts.opted_out);
    })
    .await;
}
