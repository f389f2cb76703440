//! Decisions of people on sends, and sends along other routes than Twilio's.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::action::HttpMethod;
use recado::domain::{
    Action, ActionId, ActionState, Channel, EmailBody, HttpRequest, Origin, Route, Send, SendBody, SendQueue,
};
use recado::store::{AttemptResult, ClaimRequest, Claimed, Gate, NewAction, OperatorDecision, Resolution};

use super::{ACCOUNT, ANA, Bench, LUIS, OURS, on_both};

async fn resolve(bench: &Bench, id: ActionId, word: OperatorDecision) -> Resolution {
    bench.store.resolve(bench.tenant, id, &word).await.unwrap()
}

async fn unknown(bench: &Bench, sid: &str, to: &str) -> ActionId {
    let claimed = bench.under_way(sid, to).await;
    let look_at = bench.now().plus(Duration::from_secs(60));
    assert!(bench.end(&claimed, AttemptResult::Unknown { look_at }, None).await);
    claimed.send.id
}

#[tokio::test]
async fn a_person_settles_an_unknown_send() {
    on_both(|bench| async move {
        let taken = unknown(&bench, "SM1", ANA).await;
        assert_eq!(resolve(&bench, taken, OperatorDecision::Release).await, Resolution::Stands(ActionState::Unknown));
        let word = OperatorDecision::Sent { sid: Some("SMx".to_owned()) };
        assert_eq!(resolve(&bench, taken, word.clone()).await, Resolution::Now(ActionState::Sent));
        let message = bench.message(taken).await.unwrap();
        assert_eq!((message.status.as_str(), message.provider_sid.as_deref()), ("sent", Some("SMx")));
        assert_eq!(resolve(&bench, taken, word).await, Resolution::Stands(ActionState::Sent), "once");

        let lost = unknown(&bench, "SM2", ANA).await;
        assert!(bench.claim().await.is_empty());
        assert_eq!(resolve(&bench, lost, OperatorDecision::NotSent).await, Resolution::Now(ActionState::Planned));
        let again = bench.claim().await;
        assert_eq!((again.len(), again[0].attempt), (1, 2));
        assert_eq!(again[0].send.origin, Origin::Answer, "it is what it was");
        assert_eq!(
            resolve(&bench, lost, OperatorDecision::GiveUp).await,
            Resolution::Stands(ActionState::Sending),
            "it is on its way"
        );

        let dropped = unknown(&bench, "SM3", LUIS).await;
        assert_eq!(resolve(&bench, dropped, OperatorDecision::GiveUp).await, Resolution::Now(ActionState::Failed));
        assert_eq!(bench.message(dropped).await.unwrap().status, "failed");
        bench.under_way("SM4", LUIS).await;
    })
    .await;
}

#[tokio::test]
async fn a_person_releases_a_held_send() {
    on_both(|bench| async move {
        let held = bench.planned("SM1", ANA, "one").await;
        let hold = Arc::new(|_: &_, _| Gate::Hold("loop guard".to_owned()));
        assert!(bench.claim_if(hold.clone()).await.is_empty());
        assert_eq!(bench.state(held).await, "held");
        assert_eq!(resolve(&bench, held, OperatorDecision::NotSent).await, Resolution::Stands(ActionState::Held));
        assert_eq!(resolve(&bench, held, OperatorDecision::Release).await, Resolution::Now(ActionState::Planned));
        let claimed = bench.claim().await;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].send.origin, Origin::Manual, "the loop guard has had its say");

        let dropped = bench.planned("SM2", LUIS, "two").await;
        bench.claim_if(hold).await;
        assert_eq!(resolve(&bench, dropped, OperatorDecision::GiveUp).await, Resolution::Now(ActionState::Blocked));
        assert_eq!(bench.message(dropped).await.unwrap().status, "blocked");
    })
    .await;
}

#[tokio::test]
async fn no_decision_moves_another_tenants_send() {
    on_both(|bench| async move {
        let id = unknown(&bench, "SM1", ANA).await;
        let other = Bench::add_tenant(&bench.store, "other").await;
        assert_eq!(bench.store.resolve(other, id, &OperatorDecision::NotSent).await.unwrap(), Resolution::Unknown);
        assert_eq!(bench.state(id).await, "unknown");
    })
    .await;
}

async fn claim(bench: &Bench, route: Route) -> Vec<Claimed> {
    bench.pass(1);
    let request = ClaimRequest {
        queue: SendQueue::new(bench.tenant, route),
        account_sid: ACCOUNT.to_owned(),
        limit: 100,
        judge: Arc::new(|_, _| Gate::Pass),
        recent_within: Duration::from_secs(600),
        stop_ends_calls: false,
        has_budget: false,
    };
    bench.store.writer().claim(request).await.unwrap().sends
}

#[tokio::test]
async fn each_route_is_claimed_for_itself() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let sms = bench.send(event, contact, 0, ANA, "hola");
        let email = EmailBody { subject: "Hola".to_owned(), text: "Hola, Ana".to_owned(), html: None };
        let email = Send {
            channel: recado::domain::Channel::Email,
            to: recado::domain::Address::parse("Ana@example.com").unwrap(),
            reply: false,
            fallback: None,
            body: SendBody::Email(email),
        };
        let email = NewAction {
            route: Some(Route::Email),
            sender: Some("hola@clinica.example".to_owned()),
            contact: None,
            ..bench.action(event, contact, 1, Action::Send(email))
        };
        let request = HttpRequest {
            method: HttpMethod::Post,
            url: "https://me:secret@Example.com/hook?key=1".to_owned(),
            headers: Default::default(),
            body: None,
        };
        let request = NewAction {
            state: ActionState::Planned,
            route: Some(Route::Request),
            sender: Some("recado".to_owned()),
            ..bench.action(event, contact, 2, Action::Request(request))
        };
        let india = Route::Provider("india".into());
        let other = NewAction { route: Some(india.clone()), ..bench.send(event, contact, 3, LUIS, "hola") };
        let ids = [sms.id, email.id, request.id, other.id];
        bench.decide(event, contact, vec![sms, email, request, other]).await;
        bench.pass(1);
        let mut due = bench.store.due_queues().await.unwrap();
        due.sort();
        let routes = [Route::Twilio, Route::Email, Route::Request, india];
        assert_eq!(due, routes.clone().map(|route| SendQueue::new(bench.tenant, route)));
        let mut claims = Vec::new();
        for (route, id) in routes.into_iter().zip(ids) {
            let claimed = claim(&bench, route).await;
            let [one] = claimed.as_slice() else { panic!("{claimed:?}") };
            assert_eq!(one.send.id, id);
            claims.push(one.clone());
        }
        assert!(bench.store.due_queues().await.unwrap().is_empty());
        assert_eq!(
            (claims[1].send.channel, claims[1].send.peer_key.as_str()),
            (Some(Channel::Email), "ana@example.com")
        );
        assert_eq!((claims[2].send.channel, claims[2].send.recipient.as_str()), (None, "example.com"));

        // A request is no message, so the inbox does not show it. An e-mail is one.
        for claimed in &claims {
            let sent =
                AttemptResult::Sent { sid: claimed.send.id.to_string(), status: recado::domain::DeliveryStatus::Sent };
            assert!(bench.end(claimed, sent, None).await);
        }
        assert_eq!(bench.message(ids[1]).await.unwrap().channel, "email");
        assert!(bench.message(ids[2]).await.is_none());
        assert_eq!(bench.state(ids[2]).await, "sent");
        assert_eq!(bench.message(ids[0]).await.unwrap().ours, OURS);
    })
    .await;
}

/// Only Twilio has a list that can be searched. An unknown send along another route waits for a callback or a person.
#[tokio::test]
async fn only_twilios_unknown_sends_are_looked_for() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let india = Route::Provider("india".into());
        let send = NewAction { route: Some(india.clone()), ..bench.send(event, contact, 0, ANA, "hola") };
        bench.decide(event, contact, vec![send]).await;
        let claimed = claim(&bench, india.clone()).await;
        assert!(bench.end(&claimed[0], AttemptResult::Unknown { look_at: bench.now() }, None).await);
        bench.pass(1);
        assert!(bench.store.unknowns(&Route::Twilio, 10).await.unwrap().is_empty());
        assert_eq!(bench.store.unknowns(&india, 10).await.unwrap().len(), 1);
    })
    .await;
}
