//! What the provider's list proves of a send whose outcome is unknown, and what it does not: where there is doubt, nothing is
//! adopted and nothing is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use recado::emulators::twilio::{Fault, FaultKind};
use recado::store::rows::action;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::rig::{self, ACCOUNT, Look, OURS, Provider, TOKEN, customer};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(60);

/// Waits until a send has been looked for and is unknown still; gives its row.
async fn in_doubt(server: &Server) -> action::Model {
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let looked = server.log().contains("an unknown send was looked for");
        let sends = look.actions().await.into_iter().filter(|one| one.channel.is_some()).collect::<Vec<_>>();
        match sends.as_slice() {
            [one] if looked && one.state == "unknown" => Ok(one.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn write(server: &Server, body: &str) {
    let twilio = rig::twilio(server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, body);
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
}

/// Another program sends the very same words from the same number at the same time. Which of the two is ours, nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_messages_that_match_none_is_adopted() {
    let provider = Provider::start(1).await;
    provider.order(Fault::always(FaultKind::CallbacksLost));
    provider.order(Fault::times(FaultKind::DropAfterAccept, 1));
    // Time to send the other one before the list is read.
    let server = Server::start(rig::options(&provider.url).env("RECONCILE_AFTER_S", "6")).await;
    write(&server, "hola").await;
    provider.wait_taken(1).await;
    let to = customer(1);
    let twin = http_client()
        .post(format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", provider.url))
        .basic_auth(ACCOUNT, Some(TOKEN))
        .form(&[("From", OURS), ("To", to.as_str()), ("Body", "re hola")])
        .send()
        .await
        .expect("the provider answers");
    assert_eq!(twin.status(), 201);
    let send = in_doubt(&server).await;
    assert_eq!((send.provider_sid.as_deref(), send.tries), (None, 1), "{send:?}");
    assert_eq!(provider.carrier.taken(), 2, "and it is not sent again");
}

/// A provider that answers each creation with an error, and whose list of what was sent has a next page for ever.
#[derive(Clone, Default)]
struct Endless {
    created: Arc<AtomicUsize>,
    pages: Arc<AtomicUsize>,
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(rename = "Page", default)]
    page: u64,
    /// Only a search for a send names its sender. The list that is read at the start ends.
    #[serde(rename = "From")]
    from: Option<String>,
}

impl Endless {
    async fn start(&self) -> String {
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let router = Router::new().route(&path, get(Self::list).post(Self::create)).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
        url
    }

    async fn create(State(endless): State<Self>) -> (StatusCode, Json<Value>) {
        endless.created.fetch_add(1, Ordering::SeqCst);
        (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"message": "Internal Server Error", "status": 500})))
    }

    async fn list(State(endless): State<Self>, Query(query): Query<PageQuery>) -> Json<Value> {
        if query.from.is_none() {
            return Json(json!({"messages": [], "next_page_uri": null}));
        }
        endless.pages.fetch_add(1, Ordering::SeqCst);
        let next = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page={}&From={OURS}", query.page + 1);
        Json(json!({"messages": [], "next_page_uri": next.replace('+', "%2B")}))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_read_to_its_end_proves_nothing() {
    let endless = Endless::default();
    let server = Server::start(rig::options(&endless.start().await)).await;
    write(&server, "hola").await;
    let send = in_doubt(&server).await;
    assert!(send.reason.as_deref().is_some_and(|reason| reason.contains("pages")), "{send:?}");
    assert_eq!(send.tries, 1);
    assert_eq!(endless.created.load(Ordering::SeqCst), 1, "it is not sent blindly");
    assert!(endless.pages.load(Ordering::SeqCst) >= 20);
}
