//! Events kept at hand with what is known of their customers: never what has been overtaken.
//!
//! On PostgreSQL other processes change customers too, so there nothing is known of them before it is read.

use recado::domain::contact::ContactFacts;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{ContactId, DeliveryStatus, Effect, EventId, EventKind};
use recado::store::{AttemptResult, Claimed, OPTED_OUT_CODE, OptOutKeyword, Pending, Settled, StatusReport};
use serde_json::json;

use super::{ANA, Bench, LUIS, on_both};

/// What waits; from here on, what is committed is kept at hand.
async fn waiting(bench: &Bench) -> Vec<Pending> {
    bench.store.pending_events(bench.tenant, 100).await.unwrap()
}

/// The customer as the rows have them.
async fn read(bench: &Bench, contact: ContactId) -> ContactFacts {
    let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
    facts[&contact].clone()
}

/// What is at hand of the customer of one of the events that wait.
fn of(waiting: &[Pending], event: EventId) -> Option<ContactFacts> {
    let found = waiting.iter().find(|pending| pending.event.id == event);
    found.expect("it waits").customer.clone()
}

async fn assert_known(bench: &Bench, pending: &Pending) {
    let row = read(bench, pending.event.contact.expect("it is a customer's")).await;
    assert_eq!(pending.customer, bench.store.is_sqlite().then_some(row), "{:?}", pending.event.kind);
}

fn wish(word: OptOutWord) -> OptOutKeyword {
    OptOutKeyword { word, text: "palabra".to_owned(), only_if_opted_out: false, confirmation: None }
}

fn tag(tag: &str) -> Effect {
    Effect::Tag { tag: tag.to_owned() }
}

#[tokio::test]
async fn the_customer_at_hand_is_the_one_in_the_rows() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let size = Effect::SetField { field: "size".to_owned(), value: json!({"chest": 4}) };
        let name = Effect::SetField { field: "name".to_owned(), value: json!("Ana García") };
        let effects = [tag("vip"), size, name].into_iter().enumerate();
        let actions = effects.map(|(index, effect)| bench.effect(event, contact, index, effect)).collect();
        bench.decide(event, contact, actions).await;
        bench.wished("SM2", ANA, wish(OptOutWord::Stop)).await;
        assert!(waiting(&bench).await.iter().all(|pending| pending.customer.is_none()), "those were read");
        bench.pass(60);
        let (of_ana, _) = bench.received("SM3", ANA, "hola").await;
        let (of_luis, _) = bench.received("SM4", LUIS, "hola").await;
        let waiting = waiting(&bench).await;
        assert_eq!(waiting.iter().map(|pending| pending.event.id).collect::<Vec<_>>(), [of_ana, of_luis]);
        for pending in &waiting {
            assert_known(&bench, pending).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_event_emits_comes_with_the_customer_it_leaves() {
    on_both(|bench| async move {
        waiting(&bench).await;
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        waiting(&bench).await;
        let emit = Effect::Emit { kind: EventKind::parse("vip_came").unwrap(), data: json!({}) };
        let actions = [tag("vip"), emit].into_iter().enumerate();
        let actions = actions.map(|(index, effect)| bench.effect(event, contact, index, effect)).collect();
        bench.decide(event, contact, actions).await;
        let waiting = waiting(&bench).await;
        let [emitted] = waiting.as_slice() else { panic!("{waiting:?}") };
        assert_known(&bench, emitted).await;
        assert!(read(&bench, contact).await.tags.contains("vip"));
    })
    .await;
}

/// Two events wait; the first one is decided with `effects`. What is then at hand of the second one's customer.
async fn after(bench: &Bench, effects: Vec<Effect>) -> Option<ContactFacts> {
    waiting(bench).await;
    let (first, contact) = bench.received("SM1", ANA, "hola").await;
    let (second, _) = bench.received("SM2", ANA, "hola").await;
    let taken = bench.store.pending_events(bench.tenant, 1).await.unwrap();
    assert_eq!(taken[0].event.id, first);
    let effects = effects.into_iter().enumerate();
    let actions = effects.map(|(index, effect)| bench.effect(first, contact, index, effect)).collect();
    bench.decide(first, contact, actions).await;
    of(&waiting(bench).await, second)
}

/// Else the tests below would hold of a store that keeps nothing.
#[tokio::test]
async fn a_decision_that_changes_nobody_leaves_what_is_known() {
    on_both(|bench| async move {
        assert_eq!(after(&bench, vec![]).await.is_some(), bench.store.is_sqlite());
    })
    .await;
}

#[tokio::test]
async fn after_an_effect_nothing_older_is_known() {
    let field = Effect::SetField { field: "size".to_owned(), value: json!(4) };
    for effect in [tag("vip"), Effect::Untag { tag: "vip".to_owned() }, field] {
        on_both(|bench| {
            let effect = effect.clone();
            async move { assert_eq!(after(&bench, vec![effect]).await, None) }
        })
        .await;
    }
}

#[tokio::test]
async fn after_stop_and_start_nothing_older_is_known() {
    on_both(|bench| async move {
        for (round, word) in [OptOutWord::Stop, OptOutWord::Start].into_iter().enumerate() {
            waiting(&bench).await;
            let (before, _) = bench.received(&format!("SM{round}a"), ANA, "hola").await;
            let (wished, contact) = bench.wished(&format!("SM{round}b"), ANA, wish(word)).await;
            let waiting = waiting(&bench).await;
            assert_eq!(of(&waiting, before), None, "{word:?}");
            let with_it: Vec<_> = waiting.iter().filter(|pending| pending.event.id >= wished).collect();
            assert_eq!(with_it.len(), 2, "the message, and what it says of the customer");
            for pending in with_it {
                assert_known(&bench, pending).await;
            }
            assert_eq!(read(&bench, contact).await.opted_out.is_empty(), word == OptOutWord::Start);
        }
    })
    .await;
}

/// A send is under way to a customer who writes meanwhile.
async fn sending(bench: &Bench) -> (Claimed, EventId) {
    waiting(bench).await;
    let claimed = bench.under_way("SM1", ANA).await;
    let (event, _) = bench.received("SM2", ANA, "hola").await;
    (claimed, event)
}

#[tokio::test]
async fn after_a_refusal_for_an_opt_out_nothing_older_is_known() {
    for (code, keeps) in [(OPTED_OUT_CODE, false), (30_003, true)] {
        on_both(|bench| async move {
            let (claimed, event) = sending(&bench).await;
            assert!(bench.end(&claimed, AttemptResult::Failed, Some(code)).await);
            assert_eq!(of(&waiting(&bench).await, event).is_some(), keeps && bench.store.is_sqlite(), "{code}");
        })
        .await;
    }
}

#[tokio::test]
async fn after_a_callback_for_an_opt_out_nothing_older_is_known() {
    for (code, keeps) in [(OPTED_OUT_CODE, false), (30_003, true)] {
        on_both(|bench| async move {
            let (claimed, event) = sending(&bench).await;
            let report = StatusReport {
                tenant: bench.tenant,
                action: claimed.send.id,
                sid: "SMx".to_owned(),
                status: DeliveryStatus::Undelivered,
                error_code: Some(code),
                unmatched: false,
                at: bench.now(),
            };
            assert_eq!(bench.store.writer().settle(report).await.unwrap(), Settled::Advanced);
            assert_eq!(of(&waiting(&bench).await, event).is_some(), keeps && bench.store.is_sqlite(), "{code}");
        })
        .await;
    }
}
