//! Decisions: stored once, with their effects.

use recado::domain::{Effect, EventKind};
use serde_json::json;

use super::{ANA, on_both};

#[tokio::test]
async fn an_event_is_decided_once() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let note = Effect::Note { text: "called".to_owned() };
        let emit = Effect::Emit { kind: EventKind::parse("vip_came").unwrap(), data: json!({"n": 1}) };
        let actions = || {
            vec![
                bench.send(event, contact, 0, ANA, "hola"),
                bench.effect(event, contact, 1, note.clone()),
                bench.effect(event, contact, 2, emit.clone()),
            ]
        };
        let first = bench.decided(event, contact, actions());
        let second = bench.decided(event, contact, actions());
        let receipt = bench.store.writer().decided(vec![first]).await.unwrap();
        assert_eq!((receipt.sends, receipt.emitted), (1, 1));
        let receipt = bench.store.writer().decided(vec![second]).await.unwrap();
        assert_eq!((receipt.sends, receipt.emitted), (0, 0), "another node had decided it");
        assert_eq!(bench.event_kinds().await, ["inbound_sms", "vip_came"]);
        assert_eq!(bench.store.actions_of(bench.tenant, event).await.unwrap().len(), 3);
        let (stored, handled) = bench.store.event(bench.tenant, event).await.unwrap().unwrap();
        assert!(handled.is_some() && stored.id == event);
        assert_eq!(bench.store.trace(bench.tenant, event).await.unwrap().unwrap().1, "{}");
    })
    .await;
}

#[tokio::test]
async fn a_second_decision_by_another_node_changes_nothing() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        bench.decide(event, contact, vec![]).await;
        let late = vec![
            bench.send(event, contact, 0, ANA, "hola"),
            bench.effect(event, contact, 1, Effect::Tag { tag: "vip".to_owned() }),
        ];
        bench.decide(event, contact, late).await;
        assert!(bench.store.actions_of(bench.tenant, event).await.unwrap().is_empty());
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert!(facts[&contact].tags.is_empty());
    })
    .await;
}

#[tokio::test]
async fn emitted_events_are_deeper_and_keep_their_customer() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let emit = Effect::Emit { kind: EventKind::parse("vip_came").unwrap(), data: json!({"n": [1, 2]}) };
        bench.decide(event, contact, vec![bench.effect(event, contact, 0, emit)]).await;
        let pending = bench.store.pending_events(bench.tenant, 10).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].event.depth, pending[0].event.contact), (1, Some(contact)));
        assert_eq!(pending[0].event.data, json!({"n": [1, 2]}));
    })
    .await;
}

#[tokio::test]
async fn effects_change_the_customer() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let field = |field: &str, value| Effect::SetField { field: field.to_owned(), value };
        let effects = [
            Effect::Tag { tag: "vip".to_owned() },
            Effect::Tag { tag: "old".to_owned() },
            Effect::Untag { tag: "old".to_owned() },
            field("size", json!({"chest": 4})),
            field("name", json!("Ana García")),
            field("gone", json!(1)),
            field("gone", json!(null)),
        ];
        let actions = effects
            .into_iter()
            .enumerate()
            .map(|(index, effect)| bench.effect(event, contact, index, effect))
            .collect();
        bench.decide(event, contact, actions).await;
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        let facts = &facts[&contact];
        assert_eq!(facts.tags.iter().collect::<Vec<_>>(), ["vip"]);
        assert_eq!(facts.fields["size"], json!({"chest": 4}));
        assert!(!facts.fields.contains_key("gone"));
        assert_eq!(facts.name, "Ana García");
    })
    .await;
}

#[tokio::test]
async fn no_effect_reaches_another_tenants_customer() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let (_, theirs) = other.received("SM1", ANA, "hola").await;
        let (event, contact) = bench.received("SM2", ANA, "hola").await;
        let tag = bench.effect(event, theirs, 0, Effect::Tag { tag: "vip".to_owned() });
        bench.decide(event, contact, vec![tag]).await;
        let (facts, _) = other.store.contact_facts(other.tenant, &[theirs], None).await.unwrap();
        assert!(facts[&theirs].tags.is_empty());
    })
    .await;
}
