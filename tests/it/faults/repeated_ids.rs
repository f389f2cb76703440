//! A provider that repeats its message ids, or gives none: what it took counts as sent, with a doubt for people.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::rig::{self, Look, OURS, Provider};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(30);
const TEXTS: usize = 6;
const INDIAN: &str = "+9198765432";

/// A gateway with an answer of its own to every message.
#[derive(Clone)]
struct Gateway {
    answer: Value,
    /// The bodies of the messages that it took.
    taken: Arc<Mutex<Vec<Value>>>,
}

async fn gateway(answer: Value) -> (String, Gateway) {
    async fn take(State(gateway): State<Gateway>, _: Uri, Json(message): Json<Value>) -> Response {
        gateway.taken.lock().expect("no test panics within").push(message);
        (StatusCode::OK, Json(gateway.answer.clone())).into_response()
    }
    let gateway = Gateway { answer, taken: Arc::default() };
    let router = Router::new().fallback(take).with_state(gateway.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
    (url, gateway)
}

fn described(url: &str) -> String {
    format!(
        r#"
[[provider]]
name = "india"
prefixes = ["+91"]
sender = "RECADO"
url = "{url}/send"
content_type = "json"
body = '{{"to": "{{{{to}}}}", "text": "{{{{text}}}}", "callback": "{{{{callback}}}}"}}'
id = "/id"

[provider.callback]
id = "/id"
status = "state"
delivered = ["DELIVERED"]
"#
    )
}

/// Each text of the customer is answered, twice by the same words, and the next one does not wait.
async fn each_is_sent_once(answer: Value, doubtful: usize) {
    let provider = Provider::start(1).await;
    let (url, gateway) = gateway(answer).await;
    let options = rig::options(&provider.url)
        .env("OUTBOUND_ALLOW", "127.0.0.1")
        .env("PROVIDERS_FILE", "providers.toml")
        .file("providers.toml", described(&url));
    let server = Server::start(options).await;
    let twilio = rig::twilio(&server);
    for number in 0..TEXTS {
        let from = format!("{INDIAN}{:02}", number % 2);
        let form = twilio.inbound(&message_sid(number as u128), &from, OURS, &format!("t{}", number / 2));
        assert_eq!(rig::post(&twilio, &form).await, Some(200));
    }
    let look = Look::into(server.folder()).await;
    let taken = || gateway.taken.lock().expect("no test panics within").clone();
    eventually(WITHIN, || async {
        look.open().await?;
        let taken = taken().len();
        if taken == TEXTS { Ok(()) } else { Err(format!("{taken} taken")) }
    })
    .await;
    assert_eq!(look.count("actions WHERE state = 'sent'").await, TEXTS as i64);
    let reasons = look.count("actions WHERE reason LIKE '%counts as sent, but look there%'").await;
    assert_eq!(reasons, doubtful as i64, "the doubt is on record");
    assert_eq!(look.count("attempts WHERE outcome = 'doubtful'").await, doubtful as i64);
    // Their reports find them by our own id, whatever theirs is.
    for message in taken() {
        let callback = message["callback"].as_str().expect("a URL").to_owned();
        let report = json!({"id": "OK", "state": "DELIVERED"});
        let answer = http_client().post(callback).json(&report).send().await.expect("it answers");
        assert_eq!(answer.status(), 204);
    }
    let delivered = look.count("messages WHERE direction = 'out' AND status = 'delivered'").await;
    assert_eq!(delivered, TEXTS as i64);
    assert_eq!(taken().len(), TEXTS, "nothing is repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_gives_every_message_one_id_blocks_nothing() {
    each_is_sent_once(json!({"id": "OK"}), TEXTS - 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_gives_no_id_blocks_nothing() {
    each_is_sent_once(json!({"status": "fine"}), TEXTS).await;
}
