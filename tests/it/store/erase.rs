//! Erasure of a customer.

use recado::domain::opt_out::OptOutWord;
use recado::domain::{Channel, DeliveryStatus, Effect, Event, EventKind, NewTimer, Phone};
use recado::ops::export_import::export;
use recado::store::{AttemptResult, Erased, Settled, StatusReport};
use serde_json::json;

use super::{ANA, Bench, LUIS, OptOutKeyword, on_both};

const TEXT: &str = "zanahoria";

async fn erase(bench: &Bench, number: &str) -> Erased {
    let key = Phone::parse(number).unwrap().key();
    bench.store.erase_contact(bench.tenant, &key).await.expect("it can be erased")
}

/// The lines of an export of the tenant.
async fn known(bench: &Bench) -> Vec<String> {
    let mut bytes = Vec::new();
    export::export(&bench.store, "demo", &mut bytes).await.expect("it can be exported");
    String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn lines_with(known: &[String], word: &str) -> usize {
    known.iter().filter(|line| line.contains(word)).count()
}

/// Ana writes, gets answers and notes, and has sends in every state. Luis does the same and opts out.
async fn live(bench: &Bench) {
    let (event, contact) = bench.received("SM1", ANA, TEXT).await;
    let effects = [
        Effect::SetField { field: "name".to_owned(), value: json!(TEXT) },
        Effect::Tag { tag: TEXT.to_owned() },
        Effect::Note { text: TEXT.to_owned() },
    ];
    let mut actions: Vec<_> =
        effects.into_iter().enumerate().map(|(n, effect)| bench.effect(event, contact, n, effect)).collect();
    actions.push(bench.send(event, contact, 3, ANA, TEXT));
    let decided = recado::store::Decided {
        trace: Some(json!({"read": [TEXT, ANA]}).to_string()),
        ..bench.decided(event, contact, actions)
    };
    bench.store.writer().decided(vec![decided]).await.unwrap();
    let claimed = bench.claim().await;
    bench.end(&claimed[0], AttemptResult::Sent { sid: "SMout".to_owned(), status: DeliveryStatus::Queued }, None).await;
    let unknown = bench.under_way("SM2", ANA).await;
    bench.end(&unknown, AttemptResult::Unknown { look_at: bench.now() }, None).await;
    let stop =
        OptOutKeyword { word: OptOutWord::Stop, text: "baja".to_owned(), only_if_opted_out: false, confirmation: None };
    bench.wished("SM3", LUIS, stop).await;
    bench.received("SM4", LUIS, TEXT).await;
    // It waits behind the unknown send, with the same ordering key.
    bench.planned("SM5", ANA, TEXT).await;
    bench.received("SM6", ANA, TEXT).await;
    // Timers about her, valid and broken.
    let about = |number: u128| NewTimer {
        contact: Some(contact),
        payload: json!({"body": TEXT}),
        ..bench.timer(number, bench.now().plus(super::Duration::from_secs(3_600)))
    };
    let ill = NewTimer { due: bench.now(), payload: json!(TEXT), ..about(2) };
    bench.plan(&[about(1), ill]).await;
    assert_eq!(bench.fire(10).await.set_aside, 1);
    // A send by hand: its event has no customer.
    let event = Event {
        id: bench.store.ids().next(),
        tenant: bench.tenant,
        kind: EventKind::MANUAL,
        channel: Some(Channel::Sms),
        contact: None,
        occurred_at: bench.now(),
        dedupe_key: None,
        depth: 0,
        data: json!({"to": ANA}),
    };
    let send = bench.send(event.id, contact, 0, ANA, TEXT);
    bench.store.add_event(&event, vec![send], true).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_customer() {
    on_both(|bench| async move {
        live(&bench).await;
        let before = known(&bench).await;
        assert!(lines_with(&before, TEXT) > 8 && lines_with(&before, "34600111222") > 8, "{before:?}");
        let erased = erase(&bench, ANA).await;
        assert_eq!((erased.customers, erased.cancelled, erased.kept_opt_outs), (1, 3, 0), "{erased:?}");
        assert_eq!((erased.messages, erased.at_provider), (5, 5));
        let after = known(&bench).await;
        assert_eq!(lines_with(&after, "34600111222"), 0, "{after:?}");
        // Luis's own message and its event stay.
        assert_eq!(lines_with(&after, TEXT), 2, "{after:?}");
        assert_eq!(lines_with(&after, "SMout"), 2, "the skeletons of message and action stay");
        assert!(
            bench.claim().await.is_empty()
                && bench.store.unknowns(&recado::domain::Route::Twilio, 10).await.unwrap().is_empty()
        );
        assert_eq!(erase(&bench, ANA).await, Erased::default(), "a second time there is nothing");
        // The provider still reports on a message that it had taken.
        let sent = before.iter().find(|line| line.contains("SMout") && line.starts_with("{\"message")).unwrap();
        let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
        let report = StatusReport {
            tenant: bench.tenant,
            action: sent["message"]["id"].as_str().unwrap().parse().unwrap(),
            sid: "SMout".to_owned(),
            status: DeliveryStatus::Delivered,
            error_code: None,
            unmatched: false,
            at: bench.now(),
        };
        assert_eq!(bench.store.writer().settle(report).await.unwrap(), Settled::UnknownAction);
        // A repeat of the provider is still recognised.
        let again = bench.store.writer().ingest(bench.text("SM1", ANA, TEXT)).await.unwrap();
        assert!(again.duplicate);
    })
    .await;
}

#[tokio::test]
async fn an_opt_out_survives_erasure() {
    on_both(|bench| async move {
        live(&bench).await;
        let erased = erase(&bench, LUIS).await;
        assert_eq!((erased.customers, erased.kept_opt_outs), (1, 2), "{erased:?}");
        let left = known(&bench).await;
        let of_luis: Vec<_> = left.iter().filter(|line| line.contains("34600333444")).collect();
        assert!(of_luis.iter().all(|line| line.starts_with("{\"opt_out")), "{of_luis:?}");
        assert!(bench.under_way("SM9", LUIS).await.facts.opted_out);
    })
    .await;
}

#[tokio::test]
async fn a_send_in_progress_delays_erasure() {
    on_both(|bench| async move {
        let claimed = bench.under_way("SM1", ANA).await;
        let key = Phone::parse(ANA).unwrap().key();
        let refused = bench.store.erase_contact(bench.tenant, &key).await.unwrap_err().to_string();
        assert!(refused.contains("under way"), "{refused}");
        bench
            .end(&claimed, AttemptResult::Sent { sid: "SMout".to_owned(), status: DeliveryStatus::Queued }, None)
            .await;
        erase(&bench, ANA).await;
        assert_eq!(lines_with(&known(&bench).await, "34600111222"), 0);
    })
    .await;
}

#[tokio::test]
async fn another_tenants_customer_is_not_touched() {
    on_both(|bench| async move {
        let other = bench.other().await;
        let (_, theirs) = other.received("SM1", ANA, TEXT).await;
        bench.received("SM2", ANA, TEXT).await;
        erase(&bench, ANA).await;
        let (facts, _) = other.store.contact_facts(other.tenant, &[theirs], None).await.unwrap();
        assert_eq!(facts[&theirs].known_as(), ANA);
        assert_eq!(other.messages().await[0].body, TEXT);
    })
    .await;
}
