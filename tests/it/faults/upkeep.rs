//! Retention and erasure beside webhooks: nobody who writes meanwhile is refused.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use recado::app;
use recado::domain::{Clock, Phone, Timestamp};

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{ACCOUNT, OURS, TOKEN, customer};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const WITHIN: Duration = Duration::from_secs(60);
const OLD: usize = 2_000;
const ERASED: usize = 50;
const PATH: &str = "/api/twilio/demo/sms";

async fn post(inside: &Inside, number: usize) -> u16 {
    let twilio = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN);
    let form = twilio.inbound(&message_sid(number as u128), &customer(number % 1_000), OURS, "hola");
    let signature = sign(TOKEN, &format!("{PUBLIC_URL}{PATH}"), &form);
    inside.answer(posted(PATH, encode(&form), Some(&signature))).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_and_erasure_refuse_no_webhook() {
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let inside = Inside::at("http://127.0.0.1:1", clock.clone(), "").await;
    let _loops = app::start_loops(&inside.engine);
    let tenant = inside.directory.now().by_slug("demo").expect("it is made").id;
    for number in 0..OLD {
        assert_eq!(post(&inside, number).await, 200);
    }
    eventually(WITHIN, || async {
        let backlog = inside.store.backlog(10).await.expect("it can be counted");
        if backlog.events == 0 { Ok(()) } else { Err(backlog.events) }
    })
    .await;
    clock.advance(Duration::from_secs(40 * 86_400));
    let (over, before) = (AtomicBool::new(false), clock.now());
    let upkeep = async {
        let (mut after, mut removed) = (None, 0);
        loop {
            let step = inside.store.remove_old(tenant, before, after, false).await.expect("it goes on");
            removed += step.removed.events;
            match step.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        for number in 0..ERASED {
            let phone = Phone::parse(&customer(number)).expect("it is a number");
            inside.store.erase_contact(tenant, &phone.key()).await.expect("it goes on");
        }
        over.store(true, SeqCst);
        removed
    };
    let posts = async {
        let mut number = 10_000;
        while !over.load(SeqCst) {
            assert_eq!(post(&inside, number).await, 200);
            number += 1;
        }
        number - 10_000
    };
    let (removed, taken) = tokio::join!(upkeep, posts);
    assert!(removed >= OLD as u64 && taken > 0, "{removed} {taken}");
}
