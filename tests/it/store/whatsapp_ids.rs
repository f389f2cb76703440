//! Customers who hide their number on WhatsApp: one customer under the number and the id, whichever comes first.

use recado::domain::opt_out::OptOutWord;
use recado::domain::{Channel, ContactId, Phone, WhatsAppId};
use recado::store::{NewInbound, OptOutKeyword};

use super::{ANA, Bench, LUIS, on_both};

const ID: &str = "ES.13491208655302741918";

/// A WhatsApp message from an address, with the id that the provider names beside it.
fn written(bench: &Bench, sid: &str, from: &str, beside: Option<&str>) -> NewInbound {
    let id = WhatsAppId::parse(from).ok().or_else(|| WhatsAppId::parse(beside?).ok());
    let from_address = Phone::parse(from).ok().map(Into::into).or_else(|| id.clone().map(Into::into));
    NewInbound { channel: Channel::WhatsApp, from: from_address, whatsapp_id: id, ..bench.text(sid, from, "hola") }
}

fn stop(inbound: NewInbound) -> NewInbound {
    let keyword =
        OptOutKeyword { word: OptOutWord::Stop, text: "stop".to_owned(), only_if_opted_out: false, confirmation: None };
    NewInbound { opt_out_keyword: Some(keyword), ..inbound }
}

/// The customer's number, id, number of messages, and whether WhatsApp is opted out of.
async fn known(bench: &Bench, contact: ContactId) -> (Option<String>, Option<String>, i64, bool) {
    let (mut facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
    let facts = facts.remove(&contact).expect("the customer is there");
    let out = facts.opted_out.contains(&Channel::WhatsApp);
    (facts.phone.map(|phone| phone.to_string()), facts.whatsapp_id.map(|id| id.to_string()), facts.inbound_count, out)
}

#[tokio::test]
async fn an_id_alone_is_a_customer() {
    on_both(|bench| async move {
        let (_, contact) = bench.take_in(written(&bench, "SM1", ID, None)).await;
        let (_, again) = bench.take_in(written(&bench, "SM2", ID, None)).await;
        assert_eq!(contact, again);
        assert_eq!(known(&bench, contact).await, (None, Some(ID.to_owned()), 2, false));
        assert_eq!(bench.store.contact_by_key(bench.tenant, ID).await.unwrap(), Some(contact));
        let (_, other) = bench.take_in(written(&bench, "SM3", "ES.2", None)).await;
        assert_ne!(contact, other);
    })
    .await;
}

#[tokio::test]
async fn who_hides_a_known_number_stays_the_same_customer() {
    on_both(|bench| async move {
        let (_, ana) = bench.take_in(written(&bench, "SM1", ANA, Some(ID))).await;
        let (_, hidden) = bench.take_in(written(&bench, "SM2", ID, None)).await;
        assert_eq!(ana, hidden);
        assert_eq!(known(&bench, ana).await, (Some(ANA.to_owned()), Some(ID.to_owned()), 2, false));
        // A STOP from behind the id holds for the number, and the other way round.
        bench.take_in(stop(written(&bench, "SM3", ID, None))).await;
        assert!(known(&bench, ana).await.3);
    })
    .await;
}

#[tokio::test]
async fn an_id_that_gets_its_number_keeps_its_customer_and_its_stop() {
    on_both(|bench| async move {
        let (_, hidden) = bench.take_in(stop(written(&bench, "SM1", ID, None))).await;
        let (_, ana) = bench.take_in(written(&bench, "SM2", ANA, Some(ID))).await;
        assert_eq!(hidden, ana);
        assert_eq!(known(&bench, ana).await, (Some(ANA.to_owned()), Some(ID.to_owned()), 2, true));
    })
    .await;
}

#[tokio::test]
async fn an_id_that_turns_out_to_be_a_customer_with_a_number_is_that_customer_from_then_on() {
    on_both(|bench| async move {
        let (_, ana) = bench.received("SM1", ANA, "hola").await;
        let (_, hidden) = bench.take_in(stop(written(&bench, "SM2", ID, None))).await;
        assert_ne!(ana, hidden, "nobody has said yet that they are one");
        let (_, both) = bench.take_in(written(&bench, "SM3", ANA, Some(ID))).await;
        assert_eq!(both, ana);
        assert_eq!(known(&bench, ana).await, (Some(ANA.to_owned()), Some(ID.to_owned()), 2, true));
        let (_, later) = bench.take_in(written(&bench, "SM4", ID, None)).await;
        assert_eq!(later, ana);
    })
    .await;
}

#[tokio::test]
async fn one_batch_may_have_all_addresses_of_a_customer() {
    on_both(|bench| async move {
        let all = [
            written(&bench, "SM1", ID, None),
            written(&bench, "SM2", ANA, Some(ID)),
            written(&bench, "SM3", ANA, None),
            written(&bench, "SM4", LUIS, None),
        ];
        let writer = bench.store.writer();
        for ingested in futures_util::future::join_all(all.map(|inbound| writer.ingest(inbound))).await {
            assert!(!ingested.unwrap().duplicate);
        }
        let ana = bench.store.contact_by_key(bench.tenant, ANA).await.unwrap().expect("a customer");
        assert_eq!(bench.store.contact_by_key(bench.tenant, ID).await.unwrap(), Some(ana));
        assert_eq!(known(&bench, ana).await, (Some(ANA.to_owned()), Some(ID.to_owned()), 3, false));
    })
    .await;
}

#[tokio::test]
async fn a_stop_of_the_past_is_explained_under_both_addresses() {
    on_both(|bench| async move {
        let (_, hidden) = bench.take_in(stop(written(&bench, "SM1", ID, None))).await;
        bench.take_in(written(&bench, "SM2", ANA, Some(ID))).await;
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[hidden], Some(bench.now())).await.unwrap();
        assert!(facts[&hidden].opted_out.contains(&Channel::WhatsApp));
    })
    .await;
}

#[tokio::test]
async fn an_erased_customer_is_gone_under_the_id_too() {
    on_both(|bench| async move {
        bench.take_in(written(&bench, "SM1", ANA, Some(ID))).await;
        let erased = bench.store.erase_contact(bench.tenant, ID).await.unwrap();
        assert_eq!((erased.customers, erased.messages), (1, 1));
        assert_eq!(bench.store.contact_by_key(bench.tenant, ANA).await.unwrap(), None);
    })
    .await;
}
