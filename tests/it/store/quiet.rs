//! Quiet hours: the facts that the gate gets, and a send that waits for their end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use recado::domain::{Effect, Origin};
use recado::store::{Candidate, Gate};

use super::{ANA, Bench, on_both};

/// The candidate that the gate gets for the one due send.
async fn shown(bench: &Bench) -> Candidate {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let judge = move |candidate: &Candidate, now: recado::domain::Timestamp| {
        sees.lock().unwrap().push(candidate.clone());
        Gate::Postpone(now, "only looked at".to_owned())
    };
    bench.claim_if(Arc::new(judge)).await;
    let seen = seen.lock().unwrap();
    let [one] = seen.as_slice() else { panic!("{seen:?}") };
    one.clone()
}

#[tokio::test]
async fn the_gate_learns_the_customers_zone_where_quiet_hours_may_hold() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let field = Effect::SetField { field: "zone".to_owned(), value: "America/New_York".into() };
        let asked_at = bench.now();
        let mut actions = vec![bench.effect(event, contact, 0, field), bench.send(event, contact, 1, ANA, "hola")];
        bench.decide(event, contact, actions.clone()).await;
        let fresh = shown(&bench).await;
        assert_eq!((fresh.facts.zone, fresh.facts.last_inbound_at), (None, None), "an answer costs what it did");
        bench.pass(3_601);
        let late = shown(&bench).await;
        assert_eq!(late.facts.zone, Some(chrono_tz::Tz::America__New_York));
        assert_eq!(late.facts.last_inbound_at, Some(asked_at));
        bench.claim().await;

        let (event, contact) = bench.received("SM2", "+34600111333", "hola").await;
        let mut send = bench.send(event, contact, 0, "+34600111333", "oferta");
        send.origin = Origin::Business;
        send.expires = Some(bench.now().plus(Duration::from_secs(60)));
        let expires = send.expires;
        let field = Effect::SetField { field: "zone".to_owned(), value: "Europe/Madrid".into() };
        actions = vec![bench.effect(event, contact, 1, field), send];
        bench.decide(event, contact, actions).await;
        let begun = shown(&bench).await;
        assert_eq!((begun.facts.last_inbound_at, begun.send.expires_at), (None, expires));
        assert_eq!(
            begun.facts.zone,
            Some(chrono_tz::Tz::Europe__Madrid),
            "quiet hours hold for what the business starts"
        );
    })
    .await;
}

#[tokio::test]
async fn sends_that_wait_for_the_morning_let_answers_pass_in_order() {
    on_both(|bench| async move {
        let mut waiting = Vec::new();
        for n in 0..3 {
            let (event, contact) = bench.received(&format!("SM{n}"), ANA, "hola").await;
            let mut send = bench.send(event, contact, 0, ANA, "oferta");
            send.origin = Origin::Business;
            waiting.push(send.id);
            bench.decide(event, contact, vec![send]).await;
        }
        let answer = bench.planned("SM9", ANA, "a la pregunta").await;
        let morning = bench.now().plus(Duration::from_secs(8 * 3_600));
        let judge = move |candidate: &Candidate, now| match candidate.send.origin {
            Origin::Business if now < morning => Gate::Replan(morning, "quiet hours".to_owned()),
            _ => Gate::Pass,
        };
        let by_night = bench.claim_if(Arc::new(judge)).await;
        assert_eq!(by_night.len(), 1);
        assert_eq!(by_night[0].send.id, answer, "though it was planned last");
        for (place, id) in waiting.iter().enumerate() {
            let row = bench.row(*id).await;
            assert_eq!((row.state.as_str(), row.due_us), ("planned", morning.unix_us()));
            assert_eq!(row.planned_us, morning.unix_us() + place as i64);
            assert_eq!((row.reason.as_deref(), row.tries), (Some("quiet hours"), 0));
        }
        bench.end(&by_night[0], recado::store::AttemptResult::Failed, None).await;
        assert!(bench.claim_if(Arc::new(judge)).await.is_empty(), "it is night yet");
        bench.pass(8 * 3_600);
        for id in waiting {
            let claimed = bench.claim_if(Arc::new(judge)).await;
            assert_eq!(claimed.len(), 1, "one at a time leaves with an ordering key");
            assert_eq!(claimed[0].send.id, id);
            bench.end(&claimed[0], recado::store::AttemptResult::Failed, None).await;
        }
    })
    .await;
}
