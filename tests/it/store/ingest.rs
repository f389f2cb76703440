//! Inbound messages: each is stored once, with its customer and its event.

use futures_util::future::join_all;
use recado::domain::Channel;
use recado::store::NewInbound;

use super::{ANA, Bench, on_both};

#[tokio::test]
async fn a_message_comes_with_its_customer_and_its_event() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "CITA").await;
        let pending = bench.store.pending_events(bench.tenant, 10).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].event.id, pending[0].event.contact), (event, Some(contact)));
        assert_eq!(pending[0].event.data["body"], "CITA");
        assert_eq!(bench.store.pending_tenants().await.unwrap(), [bench.tenant]);
        let messages = bench.messages().await;
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].body.as_str(), messages[0].repeats), ("CITA", 0));
        assert_eq!(messages[0].provider_sid.as_deref(), Some("SM1"));
    })
    .await;
}

#[tokio::test]
async fn a_repeat_is_counted_and_nothing_else() {
    on_both(|bench| async move {
        // In parallel, so that some share a transaction.
        let twins = join_all((0..10).map(|_| bench.store.writer().ingest(bench.text("SM1", ANA, "hola")))).await;
        let fresh = twins.into_iter().filter(|ingested| !ingested.as_ref().unwrap().duplicate).count();
        assert_eq!(fresh, 1);
        let again = bench.store.writer().ingest(bench.text("SM1", ANA, "hola")).await.unwrap();
        assert!(again.duplicate && again.event.is_none());
        let messages = bench.messages().await;
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].repeats, 10);
        assert_eq!(bench.event_kinds().await, ["inbound_sms"]);
        let contact = bench.store.contact_by_key(bench.tenant, ANA).await.unwrap().unwrap();
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert_eq!(facts[&contact].inbound_count, 1);
    })
    .await;
}

#[tokio::test]
async fn each_message_knows_which_of_its_customer_it_is() {
    on_both(|bench| async move {
        // In parallel, so that they share a transaction.
        let texts = ["SM1", "SM2", "SM3"].map(|sid| bench.store.writer().ingest(bench.text(sid, ANA, "hola")));
        join_all(texts).await;
        bench.received("SM4", ANA, "hola").await;
        let pending = bench.store.pending_events(bench.tenant, 10).await.unwrap();
        let mut nth: Vec<i64> = pending.iter().map(|one| one.event.data["nth"].as_i64().unwrap()).collect();
        nth.sort_unstable();
        assert_eq!(nth, [1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test]
async fn tenants_do_not_share_messages_or_customers() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let (_, one) = bench.received("SM1", ANA, "hola").await;
        let (_, two) = other.received("SM1", ANA, "hola").await;
        assert_ne!(one, two);
        assert_eq!((bench.messages().await.len(), other.messages().await.len()), (1, 1));
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[one, two], None).await.unwrap();
        assert_eq!(facts.keys().collect::<Vec<_>>(), [&one]);
    })
    .await;
}

#[tokio::test]
async fn the_ways_of_writing_a_mobile_are_one_customer() {
    on_both(|bench| async move {
        for (sid, one, other) in
            [("SMb", "+5511987654321", "+551187654321"), ("SMm", "+5215512345678", "+525512345678")]
        {
            let (_, first) = bench.received(&format!("{sid}1"), one, "oi").await;
            let (_, second) = bench.received(&format!("{sid}2"), other, "oi").await;
            assert_eq!(first, second, "{one} and {other}");
        }
        // Both in one transaction.
        let twins = [bench.text("SM3", "+5521987654321", "oi"), bench.text("SM4", "+552187654321", "oi")];
        for twin in join_all(twins.map(|twin| bench.store.writer().ingest(twin))).await {
            assert!(!twin.unwrap().duplicate);
        }
        let contact = bench.store.contact_by_key(bench.tenant, "+552187654321").await.unwrap().unwrap();
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert_eq!(facts[&contact].inbound_count, 2);
    })
    .await;
}

#[tokio::test]
async fn each_channel_remembers_its_last_message() {
    on_both(|bench| async move {
        let (_, contact) = bench.received("SM1", ANA, "hola").await;
        let sms_at = bench.now();
        bench.pass(60);
        let whatsapp = NewInbound { channel: Channel::WhatsApp, ..bench.text("SM2", ANA, "hola") };
        bench.take_in(whatsapp).await;
        // A late message does not set the time back.
        let late = NewInbound { at: super::START, ..bench.text("SM3", ANA, "hola") };
        bench.take_in(late).await;
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        let facts = &facts[&contact];
        assert_eq!(facts.inbound_count, 3);
        assert_eq!(facts.last_inbound_at[&Channel::Sms], sms_at);
        assert_eq!(facts.last_inbound_at[&Channel::WhatsApp], bench.now());
    })
    .await;
}

#[tokio::test]
async fn a_message_without_a_number_is_stored() {
    on_both(|bench| async move {
        let ingested = bench.store.writer().ingest(bench.text("SM1", "ES.1234567890", "hola")).await.unwrap();
        let (event, _) = bench.store.event(bench.tenant, ingested.event.unwrap()).await.unwrap().unwrap();
        assert_eq!(event.contact, None);
        assert_eq!(bench.messages().await[0].peer, "ES.1234567890");
    })
    .await;
}

/// Many rows in one transaction go through statements of many sizes.
#[tokio::test]
async fn a_burst_is_stored_whole() {
    on_both(|bench: Bench| async move {
        let burst = (0..700).map(|n| {
            let inbound = bench.text(&format!("SM{n}"), &format!("+346{:08}", n % 97), &format!("número {n}"));
            bench.store.writer().ingest(inbound)
        });
        for ingested in join_all(burst).await {
            assert!(!ingested.unwrap().duplicate);
        }
        let mut bodies: Vec<String> = bench.messages().await.into_iter().map(|message| message.body).collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 700);
        assert_eq!(bench.store.pending_events(bench.tenant, 1_000).await.unwrap().len(), 700);
    })
    .await;
}

/// The catch-up finds the tenant by the number, a webhook by its URL. The first one to bring a message stores it, once.
#[tokio::test]
async fn the_catch_up_brings_no_message_to_a_second_tenant() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let late = |bench: &Bench, sid: &str| {
            let mut inbound = bench.text(sid, ANA, "hola");
            inbound.data.late = true;
            inbound
        };
        for (first, second) in [
            (bench.text("SM1", ANA, "hola"), late(&other, "SM1")),
            (late(&other, "SM2"), bench.text("SM2", ANA, "hola")),
        ] {
            assert!(!bench.store.writer().ingest(first).await.unwrap().duplicate);
            assert!(bench.store.writer().ingest(second).await.unwrap().duplicate);
        }
        assert_eq!((bench.messages().await.len(), other.messages().await.len()), (1, 1));
    })
    .await;
}
