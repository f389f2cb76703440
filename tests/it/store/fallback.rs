//! Fallbacks: a failed message with a fallback makes one event, whichever way it failed.

use std::sync::Arc;

use recado::domain::{Action, DeliveryStatus, EventKind};
use recado::store::{AttemptResult, Candidate, Gate, StatusReport};
use serde_json::Value;

use super::{ANA, on_both};

#[tokio::test]
async fn a_failed_message_makes_one_fallback_event() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let wanted = ["refused", "blocked", "lost", "arrived", ""];
        let send = |(index, fallback): (usize, &&str)| {
            let mut planned = bench.send(event, contact, index, ANA, "hola");
            if let Action::Send(send) = &mut planned.action {
                send.fallback = (!fallback.is_empty()).then(|| (*fallback).to_owned());
            }
            planned
        };
        bench.decide(event, contact, wanted.iter().enumerate().map(send).collect()).await;
        let judge = |candidate: &Candidate, _| match candidate
            .send
            .message()
            .is_ok_and(|send| send.fallback.as_deref() == Some("blocked"))
        {
            true => Gate::Block("not now".to_owned()),
            false => Gate::Pass,
        };
        // One after another, because they share an ordering key.
        for end in wanted.into_iter().filter(|wanted| *wanted != "blocked") {
            let claimed = bench.claim_if(Arc::new(judge)).await;
            let [one] = &claimed[..] else { panic!("{end}: {claimed:?}") };
            let action = one.send.id;
            let sid = format!("SM{action}").replace('-', "");
            let taken = AttemptResult::Sent { sid: sid.clone(), status: DeliveryStatus::Queued };
            let (end, statuses) = match end {
                "lost" => (taken, [DeliveryStatus::Sent, DeliveryStatus::Undelivered, DeliveryStatus::Failed]),
                "arrived" => (taken, [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Read]),
                _ => (AttemptResult::Failed, [DeliveryStatus::Failed; 3]),
            };
            assert!(bench.end(one, end, None).await);
            for status in statuses {
                let (tenant, at, sid) = (bench.tenant, bench.now(), sid.clone());
                let report = StatusReport { tenant, action, sid, status, error_code: None, unmatched: true, at };
                bench.store.writer().settle(report).await.expect("it can be written");
            }
        }
        let events = bench.store.events(bench.tenant, 100).await.expect("they can be read");
        let fallbacks = events.iter().rev().filter(|event| event.kind == EventKind::FALLBACK_WANTED.as_str());
        let fallbacks = fallbacks.map(|event| {
            assert_eq!((event.contact_id, event.handled_us), (Some(contact.uuid()), None));
            serde_json::from_str::<Value>(&event.data).expect("JSON")["text"].as_str().expect("a text").to_owned()
        });
        assert_eq!(fallbacks.collect::<Vec<_>>(), ["refused", "blocked", "lost"]);
    })
    .await;
}
