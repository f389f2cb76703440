//! A carrier for the phone to talk to, with a business behind it that answers a few words.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::support::wait::eventually;

pub const SMS: &str = "+15005550006";
pub const WHATSAPP: &str = "+14155238886";
/// How long a port may stay bound after its owner has ended, in seconds.
const BOUND_WITHIN_S: u64 = 20;
/// The page of a feed.
const PAGE_MAX: usize = 200;
/// 2026-11-21T10:00:00Z, the time of the first message; each later one is a second later.
const FIRST_UNIX_S: i64 = 1_795_255_200;
/// Letters of all kinds, and control sequences of terminals.
pub const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m日本語 👨‍👩‍👧 \u{202e}abc\u{2066} end";

#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    messages: Mutex<Vec<Value>>,
    seq: watch::Sender<u64>,
}

/// A running carrier. Dropping it ends it and its connections.
pub struct Running {
    pub fake: Fake,
    pub port: u16,
    runtime: Option<Runtime>,
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Fake {
    pub fn new() -> Self {
        Self(Arc::new(Inner { messages: Mutex::default(), seq: watch::Sender::new(0) }))
    }

    /// Serves on `port`; 0 picks a free one.
    pub async fn run(&self, port: u16) -> Running {
        // The port of a carrier that has just ended may still be bound.
        let listener = eventually(Duration::from_secs(BOUND_WITHIN_S), || async move {
            TcpListener::bind(("127.0.0.1", port)).map_err(|error| error.to_string())
        })
        .await;
        listener.set_nonblocking(true).expect("a socket can be asked without waiting");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let router = Router::new()
            .route("/carrier/numbers", get(numbers))
            .route("/carrier/texts", post(text))
            .route("/carrier/feed", get(feed))
            .route("/carrier/messages/{sid}/read", post(read))
            .with_state(self.clone());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
            axum::serve(listener, router).await.expect("it serves");
        });
        Running { fake: self.clone(), port, runtime: Some(runtime) }
    }

    /// All messages, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        let mut messages = self.0.messages.lock().expect("no holder panics").clone();
        messages.sort_by_key(|message| message["created_at"].to_string());
        messages
    }

    /// Sends a message of the business to the customer who wrote `text`.
    pub fn answer(&self, text: &Value, fields: &Value) {
        let mut message = json!({"direction": "outbound", "channel": text["channel"], "from": text["to"],
            "to": text["from"], "body": "", "status": "delivered"});
        for (name, value) in fields.as_object().expect("fields") {
            message[name] = value.clone();
        }
        self.add(message);
    }

    fn add(&self, more: Value) -> String {
        let mut messages = self.0.messages.lock().expect("no holder panics");
        let number = messages.len();
        let sid = format!("SM{number:032x}");
        let at = DateTime::from_timestamp(FIRST_UNIX_S + number as i64, 0).expect("a year of ours");
        messages.push(json!({"seq": 0, "sid": sid, "media": [], "content_sid": null, "template": null,
            "error_code": null, "reply_to": null, "webhook": null,
            "created_at": at.to_rfc3339_opts(SecondsFormat::Secs, true)}));
        drop(messages);
        self.change(&sid, &more);
        sid
    }

    /// Sets fields of a message, which is then delivered again.
    fn change(&self, sid: &str, fields: &Value) {
        let mut messages = self.0.messages.lock().expect("no holder panics");
        let at = messages.iter().position(|message| message["sid"] == sid).expect("a message that there is");
        let mut message = messages.remove(at);
        for (name, value) in fields.as_object().expect("fields") {
            message[name] = value.clone();
        }
        let seq = *self.0.seq.borrow() + 1;
        message["seq"] = seq.into();
        messages.push(message);
        drop(messages);
        self.0.seq.send_replace(seq);
    }

    fn after(&self, customer: &str, after: u64) -> Vec<Value> {
        let messages = self.0.messages.lock().expect("no holder panics");
        let of = |message: &&Value| message["from"] == customer || message["to"] == customer;
        let later = messages.iter().filter(of).filter(|message| message["seq"].as_u64() > Some(after));
        later.take(PAGE_MAX).cloned().collect()
    }

    /// The reaction of the business's rules.
    fn decide(&self, sid: &str, text: &Value) {
        let body = text["body"].as_str().unwrap_or_default();
        if body == "RECHAZO" {
            return self.change(sid, &json!({"webhook": {"status": 403, "attempts": 1, "error": "signature"}}));
        }
        self.change(sid, &json!({"webhook": {"status": 200, "attempts": 1, "error": null}}));
        match body {
            "HOLA" => self.answer(text, &json!({"body": "¡Hola! Somos Demo."})),
            "STOP" => self.answer(text, &json!({"body": "You have been unsubscribed."})),
            "FALLA" => {
                let fields = json!({"body": "Esto no llega.", "status": "undelivered", "error_code": 30003});
                self.answer(text, &fields);
            }
            "CITA" => {
                let template =
                    json!({"name": "cita", "body": "¿Confirma su cita?", "buttons": ["Confirmo", "Cambiar"]});
                self.answer(text, &json!({"body": null, "content_sid": "HX1", "template": template}));
            }
            "FOTO" => self.answer(text, &json!({"media": ["https://example.com/foto.jpg"]})),
            "HOSTIL" => self.answer(text, &json!({"body": HOSTILE})),
            _ => {}
        }
    }
}

async fn numbers() -> Json<Value> {
    Json(json!([
        {"number": SMS, "account_sid": "AC1", "label": "demo", "sms_url": "http://127.0.0.1/sms", "whatsapp_url": null},
        {"number": WHATSAPP, "account_sid": "AC1", "label": "demo", "sms_url": null,
         "whatsapp_url": "http://127.0.0.1/whatsapp"},
    ]))
}

async fn text(State(fake): State<Fake>, Json(text): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut fields = text.clone();
    fields["direction"] = "inbound".into();
    fields["status"] = "received".into();
    let sid = fake.add(fields);
    fake.decide(&sid, &text);
    let message = fake.messages().into_iter().find(|message| message["sid"] == sid).expect("it was added");
    (StatusCode::CREATED, Json(json!({"seq": message["seq"], "message": message})))
}

async fn feed(State(fake): State<Fake>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let number = |name: &str| query[name].parse::<u64>().expect("a number");
    let (customer, after) = (&query["customer"], number("after"));
    let mut seq = fake.0.seq.subscribe();
    let found = async {
        loop {
            seq.borrow_and_update();
            let found = fake.after(customer, after);
            if !found.is_empty() {
                return found;
            }
            seq.changed().await.expect("the carrier lives");
        }
    };
    let messages = tokio::time::timeout(Duration::from_millis(number("wait_ms")), found).await.unwrap_or_default();
    Json(json!({"seq": *fake.0.seq.borrow(), "messages": messages}))
}

async fn read(State(fake): State<Fake>, Path(sid): Path<String>) -> StatusCode {
    fake.change(&sid, &json!({"status": "read"}));
    StatusCode::NO_CONTENT
}
