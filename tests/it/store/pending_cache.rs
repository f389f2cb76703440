//! The cache of pending events never gives stale facts of a customer.
//!
//! On PostgreSQL other processes change customers too, so the cache gives no facts there.

use recado::domain::contact::ContactFacts;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{ContactId, DeliveryStatus, Effect, EventId, EventKind};
use recado::store::{AttemptResult, Claimed, OPTED_OUT_CODE, OptOutKeyword, Pending, Settled, StatusReport};
use serde_json::json;

use super::{ANA, Bench, LUIS, on_both};

/// Reads the pending events. From then on the cache takes new ones.
async fn pending_events(bench: &Bench) -> Vec<Pending> {
    bench.store.pending_events(bench.tenant, 100).await.unwrap()
}

/// The facts of the customer in the rows.
async fn read(bench: &Bench, contact: ContactId) -> ContactFacts {
    let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
    facts[&contact].clone()
}

/// The cached facts of an event's customer.
fn cached_facts(pending_events: &[Pending], event: EventId) -> Option<ContactFacts> {
    let found = pending_events.iter().find(|pending| pending.event.id == event);
    found.expect("it waits").customer.clone()
}

async fn assert_known(bench: &Bench, pending: &Pending) {
    let row = read(bench, pending.event.contact.expect("it is a customer's")).await;
    assert_eq!(pending.customer, bench.store.is_sqlite().then_some(row), "{:?}", pending.event.kind);
}

fn keyword(word: OptOutWord) -> OptOutKeyword {
    OptOutKeyword { word, text: "palabra".to_owned(), only_if_opted_out: false, confirmation: None }
}

fn tag(tag: &str) -> Effect {
    Effect::Tag { tag: tag.to_owned() }
}

#[tokio::test]
async fn cached_customers_are_those_in_the_rows() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let size = Effect::SetField { field: "size".to_owned(), value: json!({"chest": 4}) };
        let name = Effect::SetField { field: "name".to_owned(), value: json!("Ana García") };
        let effects = [tag("vip"), size, name].into_iter().enumerate();
        let actions = effects.map(|(index, effect)| bench.effect(event, contact, index, effect)).collect();
        bench.decide(event, contact, actions).await;
        bench.wished("SM2", ANA, keyword(OptOutWord::Stop)).await;
        assert!(pending_events(&bench).await.iter().all(|pending| pending.customer.is_none()), "those were read");
        bench.pass(60);
        let (of_ana, _) = bench.received("SM3", ANA, "hola").await;
        let (of_luis, _) = bench.received("SM4", LUIS, "hola").await;
        let pending_events = pending_events(&bench).await;
        assert_eq!(pending_events.iter().map(|pending| pending.event.id).collect::<Vec<_>>(), [of_ana, of_luis]);
        for pending in &pending_events {
            assert_known(&bench, pending).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_emitted_event_has_the_customer_after_the_decision() {
    on_both(|bench| async move {
        pending_events(&bench).await;
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        pending_events(&bench).await;
        let emit = Effect::Emit { kind: EventKind::parse("vip_came").unwrap(), data: json!({}) };
        let actions = [tag("vip"), emit].into_iter().enumerate();
        let actions = actions.map(|(index, effect)| bench.effect(event, contact, index, effect)).collect();
        bench.decide(event, contact, actions).await;
        let pending_events = pending_events(&bench).await;
        let [emitted] = pending_events.as_slice() else { panic!("{pending_events:?}") };
        assert_known(&bench, emitted).await;
        assert!(read(&bench, contact).await.tags.contains("vip"));
    })
    .await;
}

/// Decides the first of two pending events with `effects`. Gives the cached facts of the second one's customer.
async fn after(bench: &Bench, effects: Vec<Effect>) -> Option<ContactFacts> {
    pending_events(bench).await;
    let (first, contact) = bench.received("SM1", ANA, "hola").await;
    let (second, _) = bench.received("SM2", ANA, "hola").await;
    let taken = bench.store.pending_events(bench.tenant, 1).await.unwrap();
    assert_eq!(taken[0].event.id, first);
    let effects = effects.into_iter().enumerate();
    let actions = effects.map(|(index, effect)| bench.effect(first, contact, index, effect)).collect();
    bench.decide(first, contact, actions).await;
    cached_facts(&pending_events(bench).await, second)
}

/// Without this test, the tests below would hold for a cache that is always empty.
#[tokio::test]
async fn a_decision_without_effects_keeps_cached_facts() {
    on_both(|bench| async move {
        assert_eq!(after(&bench, vec![]).await.is_some(), bench.store.is_sqlite());
    })
    .await;
}

#[tokio::test]
async fn an_effect_makes_cached_facts_stale() {
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
async fn stop_and_start_make_cached_facts_stale() {
    on_both(|bench| async move {
        for (round, word) in [OptOutWord::Stop, OptOutWord::Start].into_iter().enumerate() {
            pending_events(&bench).await;
            let (before, _) = bench.received(&format!("SM{round}a"), ANA, "hola").await;
            let (wished, contact) = bench.wished(&format!("SM{round}b"), ANA, keyword(word)).await;
            let pending_events = pending_events(&bench).await;
            assert_eq!(cached_facts(&pending_events, before), None, "{word:?}");
            let with_it: Vec<_> = pending_events.iter().filter(|pending| pending.event.id >= wished).collect();
            assert_eq!(with_it.len(), 2, "the message, and what it says of the customer");
            for pending in with_it {
                assert_known(&bench, pending).await;
            }
            assert_eq!(read(&bench, contact).await.opted_out.is_empty(), word == OptOutWord::Start);
        }
    })
    .await;
}

/// A send is in progress, and its customer writes meanwhile.
async fn sending(bench: &Bench) -> (Claimed, EventId) {
    pending_events(bench).await;
    let claimed = bench.under_way("SM1", ANA).await;
    let (event, _) = bench.received("SM2", ANA, "hola").await;
    (claimed, event)
}

#[tokio::test]
async fn a_refusal_for_an_opt_out_makes_cached_facts_stale() {
    for (code, keeps) in [(OPTED_OUT_CODE, false), (30_003, true)] {
        on_both(|bench| async move {
            let (claimed, event) = sending(&bench).await;
            assert!(bench.end(&claimed, AttemptResult::Failed, Some(code)).await);
            assert_eq!(
                cached_facts(&pending_events(&bench).await, event).is_some(),
                keeps && bench.store.is_sqlite(),
                "{code}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_callback_for_an_opt_out_makes_cached_facts_stale() {
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
            assert_eq!(
                cached_facts(&pending_events(&bench).await, event).is_some(),
                keeps && bench.store.is_sqlite(),
                "{code}"
            );
        })
        .await;
    }
}
