//! Another program sends through the same account and number. Its messages are never taken for ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use recado::domain::{Clock, Timestamp};
use recado::emulators::twilio::{CarrierConfig, Fault, FaultKind};
use recado::store::rows::action;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::rig::{self, ACCOUNT, Look, OURS, Provider, TOKEN, customer};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(60);

/// A provider whose clock stands apart from ours.
async fn provider() -> (Provider, Clock) {
    let theirs = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let provider = Provider::with(CarrierConfig::new(ACCOUNT, TOKEN, theirs.clone())).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    (provider, theirs)
}

/// Sends a text to the first customer as another program does.
async fn other_program(provider: &Provider, text: &str) {
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", provider.url);
    let form = [("To", customer(1)), ("From", OURS.to_owned()), ("Body", text.to_owned())];
    let answer = http_client().post(url).basic_auth(ACCOUNT, Some(TOKEN)).form(&form).send().await;
    assert_eq!(answer.expect("it answers").status(), 201);
}

/// A text of the first customer, which is answered `re hola`.
async fn hola(server: &Server, number: u128) {
    let twilio = rig::twilio(server);
    let form = twilio.inbound(&message_sid(number), &customer(1), OURS, "hola");
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
}

async fn reason(look: &Look, part: &str) -> action::Model {
    eventually(WITHIN, || async {
        let actions = look.actions().await;
        let found = actions.iter().find(|one| one.reason.as_deref().is_some_and(|reason| reason.contains(part)));
        found.cloned().ok_or(actions)
    })
    .await
}

/// Twilio's answer to our request is lost, or the request is. Others have written to the same customer: the same words an
/// hour before, and ours as the end of theirs at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_sent_is_not_adopted_and_ours_is_sent() {
    for (fault, taken) in [(FaultKind::DropBeforeAccept, false), (FaultKind::DropAfterAccept, true)] {
        let (provider, theirs) = provider().await;
        other_program(&provider, "re hola").await;
        theirs.advance(Duration::from_secs(50 * 60));
        other_program(&provider, "Your order 7: re hola").await;
        let others = provider.carrier.taken();
        provider.order(Fault::times(fault, 1));
        let server = Server::start(rig::options(&provider.url)).await;
        hola(&server, 1).await;
        let look = Look::into(server.folder()).await;
        provider.wait_taken(others + 1).await;
        eventually(WITHIN, || look.open()).await;
        let ours = provider.sent().pop().expect("ours");
        assert_eq!((ours.body.as_str(), provider.carrier.taken()), ("re hola", others + 1), "{fault:?}");
        let actions = look.actions().await;
        assert_eq!(actions[0].provider_sid.as_ref(), Some(&ours.sid), "{fault:?}");
        let outcomes: Vec<_> = look.attempts().await.into_iter().filter_map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes.iter().any(|outcome| outcome == "adopted"), taken, "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_with_the_same_words_at_the_same_time_a_person_says_which() {
    let (provider, _theirs) = provider().await;
    other_program(&provider, "re hola").await;
    provider.order(Fault::times(FaultKind::DropAfterAccept, 1));
    let server = Server::start(rig::options(&provider.url)).await;
    hola(&server, 1).await;
    let look = Look::into(server.folder()).await;
    let action = reason(&look, "2 messages").await;
    assert_eq!((action.state.as_str(), action.provider_sid), ("unknown", None));
    assert_eq!(provider.carrier.taken(), 2, "nothing is sent again");
}

/// A provider that loses the answer to each create, and whose list is as `page` says.
#[derive(Clone)]
struct Endless {
    creates: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
    page: fn(usize) -> Value,
}

async fn endless(page: fn(usize) -> Value) -> (String, Endless) {
    async fn create(State(endless): State<Endless>) -> StatusCode {
        endless.creates.fetch_add(1, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR
    }
    async fn list(State(endless): State<Endless>, _: Uri) -> Response {
        let number = endless.lists.fetch_add(1, Ordering::SeqCst);
        Json((endless.page)(number)).into_response()
    }
    let endless = Endless { creates: Arc::default(), lists: Arc::default(), page };
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let router = Router::new().route(&path, post(create).get(list)).with_state(endless.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
    (url, endless)
}

/// What is not seen of a list proves nothing: the message may stand on the next page.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_complete_lets_nothing_be_sent_again() {
    let recent = |number: usize| {
        let next = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page={}&PageToken=PA{number}", number + 1);
        json!({"messages": [], "next_page_uri": next})
    };
    let cut_off = |_: usize| json!({"messages": []});
    for (page, part) in [(recent as fn(usize) -> Value, "20 pages"), (cut_off, "could not be read")] {
        let (url, endless) = endless(page).await;
        let server = Server::start(rig::options(&url)).await;
        hola(&server, 1).await;
        let look = Look::into(server.folder()).await;
        let action = reason(&look, part).await;
        assert_eq!(action.state, "unknown", "{part}");
        assert_eq!(endless.creates.load(Ordering::SeqCst), 1, "{part}");
    }
}
