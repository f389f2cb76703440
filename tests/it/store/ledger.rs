//! The life of a send, from its claim to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use recado::domain::opt_out::OptOutWord;
use recado::domain::{ActionId, DeliveryStatus, Origin, Route, SendQueue};
use recado::store::{
    AttemptResult, Confirmation, Gate, OPTED_OUT_CODE, OptOutKeyword, SEND_WITHIN, Settled, StatusReport,
};

use super::{ACCOUNT, ANA, Bench, LUIS, OURS, on_both};

fn sent(sid: &str) -> AttemptResult {
    AttemptResult::Sent { sid: sid.to_owned(), status: DeliveryStatus::Queued }
}

#[tokio::test]
async fn a_send_is_claimed_once_with_its_attempt_and_sent() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let id = claimed.send.id;
        assert_eq!((claimed.attempt, claimed.not_after), (1, bench.now().plus(SEND_WITHIN)));
        assert_eq!(bench.state(id).await, "sending");
        let attempts = bench.store.attempts_of(bench.tenant, id).await.unwrap();
        assert_eq!((attempts.len(), attempts[0].finished_us), (1, None));
        assert!(bench.claim().await.is_empty(), "it is under way");

        assert!(bench.end(&claimed, sent("SMx"), None).await);
        let row = bench.row(id).await;
        assert_eq!((row.state.as_str(), row.provider_sid.as_deref()), ("sent", Some("SMx")));
        let message = bench.message(id).await.unwrap();
        assert_eq!((message.direction.as_str(), message.status.as_str()), ("out", "queued"));
        let attempts = bench.store.attempts_of(bench.tenant, id).await.unwrap();
        assert_eq!(attempts[0].outcome.as_deref(), Some("sent"));
        assert_eq!(bench.store.known_sids(&["SMx".to_owned(), "SMy".to_owned()]).await.unwrap(), ["SMx"]);
        assert!(bench.claim().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_send_that_was_not_taken_is_tried_again_when_due() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let id = claimed.send.id;
        let first_try_at = bench.now();
        let at = bench.now().plus(Duration::from_secs(30));
        assert!(bench.end(&claimed, AttemptResult::Retry { at }, None).await);
        assert_eq!(bench.state(id).await, "planned");
        assert!(bench.claim().await.is_empty());
        assert!(bench.store.due_queues().await.unwrap().is_empty());
        bench.pass(30);
        assert_eq!(bench.store.due_queues().await.unwrap(), [SendQueue::new(bench.tenant, Route::Twilio)]);
        let again = bench.claim().await;
        assert_eq!((again.len(), again[0].attempt), (1, 2));
        assert_eq!(again[0].send.first_try_at, Some(first_try_at));
        assert_eq!(bench.store.attempts_of(bench.tenant, id).await.unwrap().len(), 2);
        // A late outcome of the first attempt changes nothing.
        assert!(!bench.end(&claimed, AttemptResult::Failed, None).await);
        assert_eq!(bench.state(id).await, "sending");
    })
    .await;
}

#[tokio::test]
async fn a_send_that_is_refused_for_good_has_failed() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        assert!(bench.end(&claimed, AttemptResult::Failed, Some(21211)).await);
        let row = bench.row(claimed.send.id).await;
        assert_eq!((row.state.as_str(), row.error_code), ("failed", Some(21211)));
        assert!(row.reason.is_some());
        let message = bench.message(claimed.send.id).await.unwrap();
        assert_eq!((message.status.as_str(), message.error_code), ("failed", Some(21211)));
        let next = bench.under_way("SM2", ANA).await;
        assert!(!next.facts.opted_out, "the ordering key is free, and the customer has not opted out");
    })
    .await;
}

/// Twilio's 21610: the customer has opted out of this one sender.
#[tokio::test]
async fn an_opt_out_at_the_provider_is_stored_for_its_sender() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        assert!(bench.end(&claimed, AttemptResult::Failed, Some(OPTED_OUT_CODE)).await);
        assert!(bench.under_way("SM2", ANA).await.facts.opted_out);
        assert!(!bench.under_way("SM3", LUIS).await.facts.opted_out);
        // Another sender may still write to the customer.
        let (event, contact) = bench.received("SM4", ANA, "hola").await;
        let mut send = bench.send(event, contact, 0, ANA, "hola");
        send.sender = Some("+34922222222".to_owned());
        bench.decide(event, contact, vec![send]).await;
        let claimed = bench.claim().await;
        assert_eq!(claimed.len(), 1);
        assert!(!claimed[0].facts.opted_out);
    })
    .await;
}

async fn unknown(bench: &Bench, sid: &str) -> ActionId {
    let claimed = bench.under_way(sid, ANA).await;
    let look_at = bench.now().plus(Duration::from_secs(60));
    assert!(bench.end(&claimed, AttemptResult::Unknown { look_at }, None).await);
    assert_eq!(bench.state(claimed.send.id).await, "unknown");
    assert!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().is_empty(), "not before the grace is over");
    bench.pass(60);
    claimed.send.id
}

/// Reconciles the one unknown send.
async fn reconcile(bench: &Bench, end: AttemptResult) -> bool {
    let unknowns = bench.store.unknowns(&Route::Twilio, 10).await.unwrap();
    let [unknown] = unknowns.as_slice() else { panic!("{unknowns:?}") };
    assert_eq!(unknown.account_sid, ACCOUNT, "the claim has written it down");
    let send = unknown.send.clone();
    let attempt = send.tries;
    let verdict = recado::store::AttemptOutcome {
        send,
        attempt,
        result: end,
        http_status: None,
        error_code: None,
        detail: "looked for".to_owned(),
    };
    bench.store.writer().outcome(verdict).await.unwrap()
}

#[tokio::test]
async fn an_unknown_send_is_adopted() {
    on_both(|bench| async move {
        let id = unknown(&bench, "SM1").await;
        assert!(
            reconcile(&bench, AttemptResult::Adopted { sid: "SMx".to_owned(), status: DeliveryStatus::Delivered })
                .await
        );
        let row = bench.row(id).await;
        assert_eq!((row.state.as_str(), row.provider_sid.as_deref()), ("sent", Some("SMx")));
        assert_eq!(bench.message(id).await.unwrap().status, "delivered");
        assert!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_unknown_send_that_was_never_taken_goes_again() {
    on_both(|bench| async move {
        let id = unknown(&bench, "SM1").await;
        assert!(reconcile(&bench, AttemptResult::NeverTaken).await);
        let again = bench.claim().await;
        assert_eq!((again.len(), again[0].attempt, again[0].send.id), (1, 2, id));
    })
    .await;
}

#[tokio::test]
async fn a_send_that_stays_unknown_is_looked_for_later() {
    on_both(|bench| async move {
        let id = unknown(&bench, "SM1").await;
        let look_at = bench.now().plus(Duration::from_secs(5));
        assert!(reconcile(&bench, AttemptResult::StillUnknown { look_at }).await);
        assert!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().is_empty());
        bench.pass(5);
        assert_eq!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().len(), 1);
        let row = bench.row(id).await;
        assert_eq!((row.state.as_str(), row.reason.as_deref()), ("unknown", Some("looked for")));
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_comes_first_settles_the_send() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let id = claimed.send.id;
        let report = StatusReport {
            tenant: bench.tenant,
            action: id,
            sid: "SMx".to_owned(),
            status: DeliveryStatus::Delivered,
            error_code: None,
            unmatched: false,
            at: bench.now(),
        };
        assert_eq!(bench.store.writer().settle(report).await.unwrap(), Settled::Advanced);
        assert_eq!(bench.state(id).await, "sent");
        assert!(!bench.end(&claimed, sent("SMx"), None).await, "the action has moved on");
        let message = bench.message(id).await.unwrap();
        assert_eq!((message.status.as_str(), message.provider_sid.as_deref()), ("delivered", Some("SMx")));
        let attempts = bench.store.attempts_of(bench.tenant, id).await.unwrap();
        assert_eq!(attempts[0].outcome.as_deref(), Some("sent"), "the attempt is closed all the same");
    })
    .await;
}

#[tokio::test]
async fn a_callback_settles_an_unknown_send() {
    on_both(|bench| async move {
        let id = unknown(&bench, "SM1").await;
        let report = StatusReport {
            tenant: bench.tenant,
            action: id,
            sid: "SMx".to_owned(),
            status: DeliveryStatus::Sent,
            error_code: None,
            unmatched: false,
            at: bench.now(),
        };
        assert_eq!(bench.store.writer().settle(report).await.unwrap(), Settled::Advanced);
        assert_eq!(bench.state(id).await, "sent");
        assert!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().is_empty());
        assert!(bench.claim().await.is_empty(), "nothing is sent again");
    })
    .await;
}

#[tokio::test]
async fn attempts_of_a_dead_process_become_unknown() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let alive = bench.under_way("SM3", "+34600111333").await;
        bench.pass(30);
        let other = bench.under_way("SM2", LUIS).await;
        let in_flight = HashSet::from([alive.send.id]);
        let before = bench.now().minus(Duration::from_secs(10));
        let orphans = bench.store.orphans_to_unknown(before, bench.now(), &in_flight).await;
        assert_eq!(orphans.unwrap(), 1);
        assert_eq!(bench.state(claimed.send.id).await, "unknown");
        assert_eq!(bench.state(other.send.id).await, "sending");
        assert_eq!(bench.state(alive.send.id).await, "sending", "this process is still at it");
        assert_eq!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().len(), 1);
    })
    .await;
}

/// Another process took a living one for dead, and its outcome comes late.
#[tokio::test]
async fn a_late_outcome_of_the_same_attempt_still_counts() {
    on_both(|bench| async move {
        let orphaned = async |number: usize| {
            let claimed = bench.under_way(&format!("SM{number}"), &format!("+3460011144{number}")).await;
            let soon = bench.now().plus(Duration::from_secs(1));
            assert_eq!(bench.store.orphans_to_unknown(soon, bench.now(), &HashSet::new()).await.unwrap(), 1);
            claimed
        };
        let (taken, refused, later) = (orphaned(1).await, orphaned(2).await, orphaned(3).await);
        assert!(bench.end(&taken, sent("SMlate"), None).await);
        assert_eq!(bench.row(taken.send.id).await.provider_sid.as_deref(), Some("SMlate"));
        assert!(bench.end(&refused, AttemptResult::Failed, None).await);
        let at = bench.now().plus(Duration::from_secs(60));
        assert!(bench.end(&later, AttemptResult::Retry { at }, None).await);
        let mut states = Vec::new();
        for one in [&taken, &refused, &later] {
            states.push(bench.state(one.send.id).await);
        }
        assert_eq!(states, ["sent", "failed", "planned"]);
        // The list did not show it yet, and it is about to be sent again.
        let hidden = orphaned(4).await;
        reconcile(&bench, AttemptResult::NeverTaken).await;
        assert_eq!(bench.state(hidden.send.id).await, "planned");
        assert!(bench.end(&hidden, sent("SMhidden"), None).await);
        assert_eq!(bench.state(hidden.send.id).await, "sent", "the provider has taken it");
        // An outcome of an earlier attempt says nothing of the one that is under way.
        bench.pass(60);
        let again = bench.claim().await;
        assert_eq!((again.len(), again[0].send.id, again[0].attempt), (1, later.send.id, 2));
        assert!(!bench.end(&later, AttemptResult::Failed, None).await);
        assert_eq!(bench.state(later.send.id).await, "sending");
    })
    .await;
}

#[tokio::test]
async fn sends_with_one_ordering_key_leave_one_at_a_time_in_order() {
    on_both(|bench| async move {
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(bench.planned(&format!("SM{n}"), ANA, &format!("número {n}")).await);
        }
        let elsewhere = bench.planned("SM9", LUIS, "hola").await;
        let claimed = bench.claim().await;
        let mut of_them: Vec<ActionId> = claimed.iter().map(|one| one.send.id).collect();
        of_them.sort();
        let mut expect = vec![ids[0], elsewhere];
        expect.sort();
        assert_eq!(of_them, expect, "the first of each ordering key");
        let first = claimed.iter().find(|one| one.send.id == ids[0]).unwrap();

        // A postponed send still holds back the next one.
        let at = bench.now().plus(Duration::from_secs(60));
        bench.end(first, AttemptResult::Retry { at }, None).await;
        assert!(bench.claim().await.is_empty());
        bench.pass(60);
        let first = bench.claim().await;
        assert_eq!(first[0].send.id, ids[0]);

        // An unknown send does, too.
        bench.end(&first[0], AttemptResult::Unknown { look_at: bench.now() }, None).await;
        assert!(bench.claim().await.is_empty());
        reconcile(&bench, AttemptResult::Adopted { sid: "SMx".to_owned(), status: DeliveryStatus::Sent }).await;
        let second = bench.claim().await;
        assert_eq!((second.len(), second[0].send.id), (1, ids[1]));
        bench.end(&second[0], sent("SMy"), None).await;
        assert_eq!(bench.claim().await[0].send.id, ids[2]);
    })
    .await;
}

#[tokio::test]
async fn the_gates_answer_is_stored_with_its_reason() {
    on_both(|bench| async move {
        for (n, (gate, state)) in [
            (Gate::Block("opted out".to_owned()), "blocked"),
            (Gate::Hold("a loop".to_owned()), "held"),
            (Gate::Postpone(bench.now().plus(Duration::from_secs(60)), "too fast".to_owned()), "planned"),
        ]
        .into_iter()
        .enumerate()
        {
            let id = bench.planned(&format!("SM{n}"), &format!("+3460011122{n}"), "hola").await;
            let says = gate.clone();
            assert!(bench.claim_if(Arc::new(move |_, _| says.clone())).await.is_empty());
            let row = bench.row(id).await;
            assert_eq!((row.state.as_str(), row.tries), (state, 0), "{gate:?}");
            assert!(row.reason.is_some(), "{gate:?}");
            assert!(bench.store.attempts_of(bench.tenant, id).await.unwrap().is_empty());
            let shown = bench.message(id).await.map(|message| message.status);
            assert_eq!(shown.as_deref(), (state == "blocked").then_some("blocked"), "people see what was stopped");
        }
        assert!(bench.claim().await.is_empty());
        bench.pass(60);
        assert_eq!(bench.claim().await.len(), 1, "what was put off");
    })
    .await;
}

/// Otherwise a customer who has opted out would delay later sends, one sweep for each send.
#[tokio::test]
async fn a_send_that_the_gate_stops_frees_its_ordering_key_at_once() {
    on_both(|bench| async move {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(bench.planned(&format!("SM{n}"), ANA, "hola").await);
        }
        let last = ids.pop().unwrap();
        let judge = move |candidate: &recado::store::Candidate, _| {
            if candidate.send.id == last { Gate::Pass } else { Gate::Block("not this one".to_owned()) }
        };
        let claimed = bench.claim_if(Arc::new(judge)).await;
        assert_eq!((claimed.len(), claimed[0].send.id), (1, last));
        for id in ids {
            assert_eq!(bench.state(id).await, "blocked");
        }
    })
    .await;
}

#[tokio::test]
async fn the_gate_gets_opt_outs_and_recent_messages() {
    on_both(|bench| async move {
        let first = bench.under_way("SM1", ANA).await;
        assert_eq!(first.facts.recent, 0);
        bench.end(&first, sent("SMx"), None).await;
        let second = bench.under_way("SM2", ANA).await;
        assert_eq!((second.facts.recent, second.facts.started), (1, 0));
        bench.end(&second, sent("SMy"), None).await;
        bench.pass(601);
        assert_eq!(bench.under_way("SM3", ANA).await.facts.recent, 0, "the window is over");
        let stop = OptOutKeyword {
            word: OptOutWord::Stop,
            text: "baja".to_owned(),
            only_if_opted_out: false,
            confirmation: None,
        };
        bench.wished("SM4", LUIS, stop).await;
        assert!(bench.under_way("SM5", LUIS).await.facts.opted_out);
    })
    .await;
}

#[tokio::test]
async fn a_stop_is_confirmed_once_by_the_system() {
    on_both(|bench| async move {
        let confirmation = Some(Confirmation { sender: OURS.to_owned(), text: "baja confirmada".to_owned() });
        let stop =
            OptOutKeyword { word: OptOutWord::Stop, text: "baja".to_owned(), only_if_opted_out: false, confirmation };
        bench.wished("SM1", ANA, stop).await;
        let claimed = bench.claim().await;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].send.origin, Origin::System);
        assert!(claimed[0].facts.opted_out);
    })
    .await;
}

/// The catch-up may bring a STOP or START that is older than the customer's last one.
#[tokio::test]
async fn a_late_keyword_does_not_undo_a_newer_one() {
    on_both(|bench| async move {
        let confirmation = || Some(Confirmation { sender: OURS.to_owned(), text: "como desee".to_owned() });
        let wish =
            |word, confirmation| OptOutKeyword { word, text: "x".to_owned(), only_if_opted_out: false, confirmation };
        let late = |sid: &str, from: &str, at, word| {
            let mut inbound = bench.text(sid, from, "x");
            (inbound.at, inbound.data.late) = (at, true);
            inbound.opt_out_keyword = Some(wish(word, confirmation()));
            inbound
        };
        let before = bench.now();
        bench.pass(60);
        bench.wished("SM1", ANA, wish(OptOutWord::Stop, None)).await;
        bench.wished("SM2", LUIS, wish(OptOutWord::Stop, None)).await;
        bench.pass(60);
        bench.wished("SM3", LUIS, wish(OptOutWord::Start, None)).await;
        bench.take_in(late("SM4", ANA, before, OptOutWord::Start)).await;
        bench.take_in(late("SM5", LUIS, before, OptOutWord::Stop)).await;
        assert!(bench.claim().await.is_empty(), "nothing is confirmed");
        let ana = bench.under_way("SM6", ANA).await;
        let luis = bench.under_way("SM7", LUIS).await;
        assert_eq!((ana.facts.opted_out, luis.facts.opted_out), (true, false));
        bench.end(&ana, sent("SMx"), None).await;
        // The newest keyword counts, in any order of arrival.
        bench.take_in(late("SM8", ANA, bench.now(), OptOutWord::Start)).await;
        assert!(bench.claim().await.iter().all(|one| !one.facts.opted_out));
    })
    .await;
}
