//! A Twilio that describes how an account is set up, on a port of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "t0ken0fTheP1atf0rm77777777777777";
/// Another account.
pub const OTHER: &str = "AC00000000000000000000000000000002";
pub const OTHER_TOKEN: &str = "t0ken0fTheTenant1234567812345678";

/// The state of the account, and the requests that were received.
#[derive(Default)]
pub struct TwilioState {
    pub numbers: Vec<Value>,
    pub senders: Vec<Value>,
    /// `(HX…, content, approval)`
    pub contents: Vec<(String, Value, Value)>,
    pub account: Value,
    pub balance: Value,
    /// The date that it reports, if not today's.
    pub date: Option<String>,
    /// Requests, as `GET /path`.
    pub asked: Vec<String>,
    /// Posted forms, with their path.
    pub posted: Vec<(String, String)>,
}

#[derive(Clone)]
pub struct Twilio {
    state: Arc<Mutex<TwilioState>>,
    pub url: String,
}

impl Twilio {
    /// An account in good standing, with these numbers.
    pub async fn start(numbers: &[Value]) -> Self {
        let state = TwilioState {
            numbers: numbers.to_vec(),
            account: json!({"sid": ACCOUNT, "friendly_name": "Sol", "status": "active", "type": "Full"}),
            balance: json!({"account_sid": ACCOUNT, "balance": "42.50", "currency": "EUR"}),
            ..TwilioState::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let twilio = Self { state: Arc::new(Mutex::new(state)), url };
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}", get(account))
            .route("/2010-04-01/Accounts/{account}/Balance.json", get(balance))
            .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", get(numbers_page))
            .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}", axum::routing::post(change))
            .route("/v2/Channels/Senders", get(senders))
            .route("/v1/Content/{sid}", get(content))
            .route("/v1/Content/{sid}/ApprovalRequests", get(approval))
            .layer(from_fn_with_state(twilio.clone(), authenticate))
            .with_state(twilio.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        twilio
    }

    pub fn state(&self) -> MutexGuard<'_, TwilioState> {
        self.state.lock().expect("nobody has died with it")
    }
}

/// A number as Twilio describes it.
pub fn number(number: &str, sms_url: &str) -> Value {
    json!({
        "sid": format!("PN{:0>32}", number.trim_start_matches('+')), "phone_number": number, "friendly_name": number,
        "capabilities": {"sms": true, "mms": false, "voice": true, "fax": false}, "sms_url": sms_url, "sms_method": "POST",
        "sms_application_sid": "", "status_callback": "https://elsewhere.example/status", "voice_url": null,
    })
}

/// A number with one changed field.
pub fn but(mut number: Value, field: &str, value: Value) -> Value {
    number[field] = value;
    number
}

async fn authenticate(State(twilio): State<Twilio>, request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let date = {
        let mut state = twilio.state();
        state.asked.push(asked);
        state.date.clone()
    };
    let mut response = if knows(request.headers(), request.uri().path()) {
        next.run(request).await
    } else {
        refuse(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
    };
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date.parse().expect("a date"));
    }
    response
}

fn knows(headers: &HeaderMap, path: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    [(ACCOUNT, TOKEN), (OTHER, OTHER_TOKEN)].iter().any(|(sid, token)| {
        let right = format!("Basic {}", STANDARD.encode(format!("{sid}:{token}")));
        given == right && (path.contains(sid) || !path.contains("/Accounts/"))
    })
}

fn refuse(status: StatusCode, code: u32, message: &str) -> Response {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    let body = json!({"code": code, "message": message, "more_info": more, "status": status.as_u16()});
    (status, Json(body)).into_response()
}

fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
}

async fn account(State(twilio): State<Twilio>, Path(name): Path<String>) -> Json<Value> {
    let mut account = twilio.state().account.clone();
    account["sid"] = name.trim_end_matches(".json").into();
    Json(account)
}

async fn balance(State(twilio): State<Twilio>) -> Json<Value> {
    Json(twilio.state().balance.clone())
}

async fn numbers_page(State(twilio): State<Twilio>, Path(account): Path<String>) -> Json<Value> {
    let numbers = if account == ACCOUNT { twilio.state().numbers.clone() } else { Vec::new() };
    Json(json!({"incoming_phone_numbers": numbers, "page": 0, "page_size": 1000, "next_page_uri": null}))
}

async fn change(State(twilio): State<Twilio>, Path((_, name)): Path<(String, String)>, body: String) -> Response {
    let params = recado::integrations::twilio::form::Params::parse(body.as_bytes()).expect("a form");
    let mut state = twilio.state();
    state.posted.push((name.clone(), body));
    let Some(number) =
        state.numbers.iter_mut().find(|number| format!("{}.json", number["sid"].as_str().unwrap()) == name)
    else {
        return missing();
    };
    for (field, name) in [("sms_url", "SmsUrl"), ("sms_method", "SmsMethod")] {
        if let Some(value) = params.get(name) {
            number[field] = value.into();
        }
    }
    Json(number.clone()).into_response()
}

async fn senders(State(twilio): State<Twilio>, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let prefix = format!("{}:", query["Channel"]);
    let mut senders = twilio.state().senders.clone();
    senders.retain(|sender| sender["sender_id"].as_str().is_some_and(|id| id.starts_with(&prefix)));
    let meta = json!({"key": "senders", "page": 0, "page_size": 50, "next_page_url": null});
    Json(json!({"senders": senders, "meta": meta}))
}

async fn content(State(twilio): State<Twilio>, Path(sid): Path<String>) -> Response {
    let state = twilio.state();
    state.contents.iter().find(|one| one.0 == sid).map_or_else(missing, |one| Json(one.1.clone()).into_response())
}

async fn approval(State(twilio): State<Twilio>, Path(sid): Path<String>) -> Response {
    let state = twilio.state();
    let found = state.contents.iter().find(|one| one.0 == sid);
    found.map_or_else(missing, |one| Json(json!({"sid": sid, "whatsapp": one.2})).into_response())
}
