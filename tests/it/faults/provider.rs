//! Faults of the provider: callbacks too early, 429, 500, 503, no answer, an answer that trickles.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use recado::emulators::twilio::{Fault, FaultKind};
use recado::store::rows::attempt;

use super::rig::{self, A, B, Look, OURS, Provider, customer, percentile};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// The provider's deadline, and some time to write the outcome down.
const DEADLINE_US: i64 = 15_000_000 + 3_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_before_the_answer_are_joined() {
    const TEXTS: usize = 60;
    let provider = Provider::start(3).await;
    provider.order(Fault::always(FaultKind::CallbacksBeforeAnswer));
    let server = Server::start(rig::options(&provider.url)).await;
    post_all(&server, TEXTS).await;
    let look = Look::into(server.folder()).await;
    provider.wait_taken(TEXTS as u64).await;
    // The first callback settles a send. The second may still be in flight.
    let all_told = || async {
        let statuses = look.count("events WHERE kind = 'message_status'").await;
        if statuses < 2 * TEXTS as i64 { Err(format!("{statuses} statuses")) } else { look.open().await }
    };
    eventually(SETTLED_WITHIN, all_told).await;
    let sids: HashMap<_, _> = provider.sent().into_iter().map(|message| (message.body, message.sid)).collect();
    let messages = look.messages().await;
    let out: Vec<_> = messages.iter().filter(|message| message.direction == "out").collect();
    assert_eq!((out.len(), sids.len()), (TEXTS, TEXTS));
    for message in out {
        assert_eq!(message.provider_sid.as_ref(), sids.get(&message.body), "{message:?}");
        assert_eq!(message.status, "delivered", "{message:?}");
    }
    let events = look.count("events WHERE kind = 'message_status'").await;
    assert_eq!(events, 2 * TEXTS as i64, "sent and delivered, once each");
    assert!(!server.log().contains("does not have"), "a callback did not find its send");
}

/// Posts texts to the demo tenant side by side, each from another customer.
async fn post_all(server: &Server, texts: usize) {
    let twilio = rig::twilio(server);
    let posts = (0..texts).map(|number| {
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, &format!("t{number}."));
        let twilio = &twilio;
        async move { rig::post(twilio, &form).await }
    });
    assert!(join_all(posts).await.into_iter().all(|status| status == Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_throttled_backs_off_and_others_go_on() {
    const TEXTS: usize = 20;
    const THROTTLED: Duration = Duration::from_secs(12);
    let (provider, mut server) = rig::two_tenants(rig::options).await;
    server.start_again().await;
    let (a, b) = (A.twilio(&server.url()), B.twilio(&server.url()));
    let alone = rig::round_trips(&provider, &B, &b, 1_000..1_060).await;
    provider.order_for(&A, FaultKind::Throttle);
    for number in 0..TEXTS {
        assert_eq!(A.post(&a, number as u128, &customer(number), "hola").await, Some(200));
    }
    let started = std::time::Instant::now();
    let mut beside = Vec::new();
    let mut next = 2_000;
    while started.elapsed() < THROTTLED {
        beside.extend(rig::round_trips(&provider, &B, &b, next..next + 5).await);
        next += 5;
    }
    beside.sort();
    provider.carrier.clear_faults();
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;

    for number in 0..TEXTS {
        assert_eq!(provider.carrier.count_to(&customer(number)), 1, "none is lost, none is doubled");
    }
    let attempts = look.attempts().await;
    let mut refused: Vec<i64> =
        attempts.iter().filter(|attempt| attempt.http_status == Some(429)).map(|attempt| attempt.started_us).collect();
    refused.sort_unstable();
    // The first sends may all be in flight at once. Then one probe goes a second, as the provider asks.
    let probes = THROTTLED.as_secs() as usize + 3;
    assert!(refused.len() <= TEXTS + probes, "{} calls while throttled", refused.len());
    let gaps: Vec<i64> = refused.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 500_000).collect();
    assert!(gaps.len() >= 3 && gaps.iter().all(|gap| *gap >= 950_000), "probes keep apart: {gaps:?}");
    let different: std::collections::BTreeSet<i64> = gaps.iter().map(|gap| gap / 5_000).collect();
    assert!(different.len() > 1, "there is jitter: {gaps:?}");
    compare("429 for another account", &alone, &beside);
}

/// The other tenant's latencies, alone and beside the fault.
fn compare(fault: &str, alone: &[Duration], beside: &[Duration]) {
    let figures = |sorted: &[Duration]| (percentile(sorted, 50), percentile(sorted, 99));
    let (alone, beside) = (figures(alone), figures(beside));
    eprintln!("{fault}: p50 and p99 alone {alone:?}, beside it {beside:?}");
    // Generous, because other tests run beside this one. A tenant that waits for another waits for seconds.
    assert!(beside.0 < alone.0 * 5 + Duration::from_millis(250), "alone {alone:?}, beside it {beside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_500_it_is_looked_for_and_after_503_tried_again() {
    const TEXTS: usize = 40;
    let provider = Provider::start(8).await;
    provider.order(Fault { percent: 50, ..Fault::always(FaultKind::CallbacksLost) });
    for (fault, percent) in
        [(FaultKind::Error500AfterAccept, 25), (FaultKind::Error500, 25), (FaultKind::Unavailable503, 40)]
    {
        provider.order(Fault { percent, ..Fault::times(fault, 15) });
    }
    let server = Server::start(rig::options(&provider.url)).await;
    post_all(&server, TEXTS).await;
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    check_each_once(&provider, &look, TEXTS).await;
    let attempts = by_action(look.attempts().await);
    let mut outcomes: HashMap<String, usize> = HashMap::new();
    for tries in attempts.values() {
        let (last, earlier) = tries.split_last().expect("it was tried");
        // A callback settled the sends that stayed unknown.
        assert!(["sent", "adopted", "unknown"].contains(&last.outcome.as_deref().unwrap_or_default()), "{tries:?}");
        for attempt in earlier {
            let outcome = attempt.outcome.clone().unwrap_or_default();
            let allowed = match attempt.http_status {
                Some(503) => outcome == "retry",
                // After a 500, nothing is sent before the provider's list was read.
                _ => outcome == "never_taken",
            };
            assert!(allowed, "{tries:?}");
        }
        for attempt in tries {
            *outcomes.entry(attempt.outcome.clone().unwrap_or_default()).or_default() += 1;
        }
    }
    eprintln!("500 and 503 mixed: {outcomes:?}");
    assert!(["retry", "never_taken", "adopted"].iter().all(|outcome| outcomes.contains_key(*outcome)), "{outcomes:?}");
}

/// Two answers to one customer in the very same words: the list shows the first while the second is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_known_is_not_taken_for_the_one_that_is_looked_for() {
    let provider = Provider::start(2).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    let server = Server::start(rig::options(&provider.url)).await;
    let twilio = rig::twilio(&server);
    let look = Look::into(server.folder()).await;
    let faults = [None, Some(FaultKind::DropBeforeAccept), Some(FaultKind::DropAfterAccept), None];
    for (number, fault) in faults.into_iter().enumerate() {
        fault.iter().for_each(|fault| provider.order(Fault::times(*fault, 1)));
        let form = twilio.inbound(&message_sid(number as u128), &customer(1), OURS, "hola");
        assert_eq!(rig::post(&twilio, &form).await, Some(200));
        provider.wait_taken(number as u64 + 1).await;
        eventually(SETTLED_WITHIN, || look.open()).await;
        assert_eq!(provider.carrier.taken(), number as u64 + 1, "{fault:?}");
    }
    let mut taken: Vec<_> = provider.sent().into_iter().map(|message| Some(message.sid)).collect();
    let mut known: Vec<_> = look.actions().await.into_iter().map(|action| action.provider_sid).collect();
    taken.sort();
    known.sort();
    assert_eq!(known, taken, "each send has a message of its own");
}

async fn check_each_once(provider: &Provider, look: &Look, texts: usize) {
    let sent = provider.sent();
    for number in 0..texts {
        let text = format!("re t{number}.");
        assert_eq!(sent.iter().filter(|message| message.body == text).count(), 1, "{text}");
    }
    assert_eq!(look.count("actions WHERE state = 'sent'").await, texts as i64);
}

/// An action's attempts, the first one first.
fn by_action(mut attempts: Vec<attempt::Model>) -> HashMap<uuid::Uuid, Vec<attempt::Model>> {
    attempts.sort_by_key(|attempt| attempt.n);
    let mut by_action: HashMap<_, Vec<_>> = HashMap::new();
    for attempt in attempts {
        by_action.entry(attempt.action_id).or_default().push(attempt);
    }
    by_action
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_costs_its_own_account_fifteen_seconds() {
    hangs(FaultKind::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_by_the_drop_is_given_up_too() {
    hangs(FaultKind::Drip).await;
}

/// More texts than one account may have in flight meet a provider that never finishes.
async fn hangs(fault: FaultKind) {
    const TEXTS: usize = 140;
    let (provider, mut server) = rig::two_tenants(rig::options).await;
    server.start_again().await;
    let (a, b) = (A.twilio(&server.url()), B.twilio(&server.url()));
    let alone = rig::round_trips(&provider, &B, &b, 1_000..1_060).await;
    provider.order_for(&A, fault);
    let posts = (0..TEXTS).map(|number| {
        let a = &a;
        async move { A.post(a, number as u128, &customer(number), "hola").await }
    });
    assert!(join_all(posts).await.into_iter().all(|status| status == Some(200)));
    let beside = rig::round_trips(&provider, &B, &b, 2_000..2_100).await;
    let look = Look::into(server.folder()).await;
    let given_up = || async {
        let ended = look.count("attempts WHERE finished_us IS NOT NULL AND finished_us > started_us + 10000000").await;
        if ended > 0 { Ok(()) } else { Err("no attempt has been given up yet") }
    };
    eventually(Duration::from_secs(40), given_up).await;
    provider.carrier.clear_faults();
    eventually(SETTLED_WITHIN, || look.open()).await;
    for number in 0..TEXTS {
        assert_eq!(provider.carrier.count_to(&customer(number)), 1, "text {number}: none is lost, none is doubled");
    }
    for attempt in look.attempts().await {
        let took = attempt.finished_us.map(|finished| finished - attempt.started_us);
        assert!(
            took.is_some_and(|took| took < DEADLINE_US)
                || attempt.outcome.as_deref() == Some("never_taken")
                || attempt.outcome.as_deref() == Some("adopted"),
            "{attempt:?}"
        );
    }
    compare(&format!("{fault:?} for another account"), &alone, &beside);
}
