//! The facts of a customer at an earlier moment.

use recado::domain::opt_out::OptOutWord;
use recado::domain::{Channel, Effect};
use recado::store::OptOutKeyword;
use serde_json::json;

use super::{ANA, on_both};

#[tokio::test]
async fn facts_can_be_wound_back() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let field = |value| Effect::SetField { field: "size".to_owned(), value };
        bench.decide(event, contact, vec![bench.effect(event, contact, 0, field(json!(4)))]).await;
        bench.pass(60);
        let then = bench.now();
        bench.pass(60);
        let (event, _) = bench.received("SM2", ANA, "hola").await;
        let later = [field(json!(5)), Effect::Tag { tag: "vip".to_owned() }, field(json!(6))];
        let later = later.into_iter().enumerate().map(|(n, effect)| bench.effect(event, contact, n, effect)).collect();
        bench.decide(event, contact, later).await;
        bench.wished("SM3", ANA, wish(OptOutWord::Stop)).await;

        let (now, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        let now = &now[&contact];
        assert_eq!((now.fields["size"].clone(), now.inbound_count), (json!(6), 3));
        assert!(now.tags.contains("vip") && now.opted_out.contains(&Channel::Sms));

        let (old, unsure) = bench.store.contact_facts(bench.tenant, &[contact], Some(then)).await.unwrap();
        let old = &old[&contact];
        assert_eq!((old.fields["size"].clone(), old.inbound_count), (json!(4), 1));
        assert!(old.tags.is_empty() && old.opted_out.is_empty());
        assert_eq!(old.last_inbound_at[&Channel::Sms], super::START);
        assert_eq!(unsure.len(), 1, "{unsure:?}");
    })
    .await;
}

#[tokio::test]
async fn opt_outs_are_wound_back_step_by_step() {
    on_both(|bench| async move {
        let (_, contact) = bench.received("SM1", ANA, "hola").await;
        let mut moments = vec![(bench.now(), false)];
        for (sid, word, out) in
            [("SM2", OptOutWord::Stop, true), ("SM3", OptOutWord::Start, false), ("SM4", OptOutWord::Stop, true)]
        {
            bench.pass(60);
            bench.wished(sid, ANA, wish(word)).await;
            moments.push((bench.now(), out));
        }
        bench.pass(60);
        for (at, out) in moments {
            let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], Some(at)).await.unwrap();
            assert_eq!(facts[&contact].opted_out.contains(&Channel::Sms), out, "{at}");
        }
    })
    .await;
}

#[tokio::test]
async fn stop_and_start_are_events_and_hold_from_the_commit_on() {
    on_both(|bench| async move {
        let (_, contact) = bench.received("SM1", ANA, "hola").await;
        let out = || async {
            let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
            !facts[&contact].opted_out.is_empty()
        };
        // A START of a customer who has not opted out is an ordinary message.
        bench.wished("SM2", ANA, wish(OptOutWord::Start)).await;
        assert!(!out().await);
        bench.wished("SM3", ANA, wish(OptOutWord::Stop)).await;
        assert!(out().await);
        bench.wished("SM4", ANA, wish(OptOutWord::Start)).await;
        assert!(!out().await);
        let kinds = bench.event_kinds().await;
        let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
        assert_eq!((count("inbound_sms"), count("opted_out"), count("opted_in")), (4, 1, 1));
    })
    .await;
}

fn wish(word: OptOutWord) -> OptOutKeyword {
    OptOutKeyword { word, text: "palabra".to_owned(), only_if_opted_out: false, confirmation: None }
}
