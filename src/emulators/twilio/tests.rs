//! The client against the emulator, over a real loopback connection.

mod calls;
mod dial;
mod lists;
mod messages;
mod numbers;
mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::faults::Faults;
use super::*;
use crate::domain::clock::{Clock, Random, Timestamp};
use crate::integrations::http;
use crate::integrations::twilio::client::{self, Client, From, ListError, MessageFilter, NewMessage, SendError};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::inbound::StatusCallback;
use crate::integrations::twilio::signature;

const SID: &str = "AC00000000000000000000000000000001";
const OTHER_SID: &str = "AC00000000000000000000000000000002";
const TOKEN: &str = "a-token-of-the-carrier";
const FROM: &str = "+34911222333";
const TO: &str = "+34600111222";

struct World {
    carrier: Carrier,
    client: Client,
    account: client::Account,
    clock: Clock,
    base: String,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut CarrierConfig)) -> Self {
        let start = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        let clock = Clock::simulated(start);
        let mut config = CarrierConfig::new(SID, TOKEN, clock.clone());
        config.accounts.insert(OTHER_SID.into(), SecretString::from("another"));
        change(&mut config);
        let carrier = Carrier::new(config).unwrap();
        let base = format!("http://{}", serve(carrier.router()).await);
        let client = Client::new(http::client().unwrap(), &base).unwrap();
        let account = client::Account { sid: SID.into(), token: TOKEN.into() };
        Self { carrier, client, account, clock, base }
    }

    /// A client with a short deadline, but long enough for a busy machine.
    fn impatient(&self) -> Client {
        self.client.clone().with_deadline(Duration::from_secs(1))
    }

    async fn send(&self, text: &str) -> Result<client::Created, SendError> {
        self.client.create_message(&self.account, &message(text)).await
    }

    /// Sends once under a fault, and checks if the emulator accepted the message.
    async fn send_under(&self, fault: FaultKind, taken: bool) -> SendError {
        let before = self.carrier.taken();
        self.carrier.add_fault(Fault::times(fault, 1)).unwrap();
        let error = self.impatient().create_message(&self.account, &message("hola")).await.unwrap_err();
        assert_eq!(self.carrier.taken() - before, u64::from(taken), "{fault:?}");
        self.send("the fault is over").await.unwrap();
        error
    }
}

fn message(text: &str) -> NewMessage {
    NewMessage::text(From::Number(FROM.into()), TO, text)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A callback receiver: its URL, and the callbacks with a valid signature.
async fn receiver() -> (String, mpsc::UnboundedReceiver<StatusCallback>) {
    type Sender = (String, mpsc::UnboundedSender<StatusCallback>);
    async fn receive(State((base, sender)): State<Sender>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
        let params = Params::parse(&body).unwrap();
        let header = headers["X-Twilio-Signature"].to_str().unwrap();
        let url = format!("{base}{}", uri.path_and_query().unwrap());
        assert!(signature::verify(header, &[TOKEN], &url, signature::Body::Form(&params)));
        sender.send(StatusCallback::parse(&params).unwrap()).unwrap();
        StatusCode::NO_CONTENT
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (sender, callbacks) = mpsc::unbounded_channel();
    let router = Router::new().route("/status", post(receive)).with_state((base.clone(), sender));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("{base}/status?action=1"), callbacks)
}

#[tokio::test]
async fn a_message_is_taken_once_and_found() {
    let world = World::new().await;
    let created = world.send("héllo 👋 & <b>").await.unwrap();
    assert_eq!((created.status.as_str(), &created.sid[..2], created.sid.len()), ("queued", "SM", 34));
    assert_eq!((world.carrier.taken(), world.carrier.count_to(TO)), (1, 1));
    let found = world.client.fetch_message(&world.account, &created.sid).await.unwrap().unwrap();
    assert_eq!(
        (found.body.as_str(), found.to.as_deref(), found.from.as_deref()),
        ("héllo 👋 & <b>", Some(TO), Some(FROM))
    );
    assert_eq!(found.direction, "outbound-api");
    assert_eq!(found.date_created.unwrap(), world.clock.now().to_utc());
    assert_eq!(world.client.fetch_message(&world.account, "SM0").await, Ok(None));
}

#[tokio::test]
async fn every_failure_has_its_class() {
    let world = World::new().await;
    let second = Some(Duration::from_secs(1));
    assert_eq!(world.send_under(FaultKind::Throttle, false).await, SendError::Throttled { retry_after: second });
    assert_eq!(
        world.send_under(FaultKind::Unavailable503, false).await,
        SendError::Unavailable { retry_after: second }
    );
    let error = world.send_under(FaultKind::Unauthorized, false).await;
    assert!(matches!(error, SendError::Unauthorized { http_status: 401, .. }), "{error}");
    for (fault, taken) in [
        (FaultKind::Error500, false),
        (FaultKind::Error500AfterAccept, true),
        (FaultKind::DropBeforeAccept, false),
        (FaultKind::DropAfterAccept, true),
        (FaultKind::Hang, false),
        (FaultKind::HangAfterAccept, true),
        (FaultKind::Drip, true),
    ] {
        let error = world.send_under(fault, taken).await;
        assert!(matches!(error, SendError::Unknown { .. }), "{fault:?}: {error}");
    }
    let refused = |code: u32| move |error: &SendError| matches!(error, SendError::Refused { http_status: 400, code: Some(found), .. } if *found == code);
    assert!(world.send("").await.is_err_and(|error| refused(21602)(&error)));
    assert!(world.send(&"a".repeat(1601)).await.is_err_and(|error| refused(21617)(&error)));
    let to_nobody = NewMessage { to: "12".into(), ..message("hola") };
    let error = world.client.create_message(&world.account, &to_nobody).await.unwrap_err();
    assert!(refused(21211)(&error), "{error}");
}

#[tokio::test]
async fn credentials_are_checked_per_account() {
    let world = World::new().await;
    for (sid, token, good) in
        [(SID, "wrong", false), (OTHER_SID, TOKEN, false), ("AC9", TOKEN, false), (OTHER_SID, "another", true)]
    {
        let account = client::Account { sid: sid.into(), token: token.into() };
        let result = world.client.create_message(&account, &message("hola")).await;
        match result {
            Ok(_) => assert!(good, "{sid} {token}"),
            Err(error) => assert!(!good && matches!(error, SendError::Unauthorized { .. }), "{sid} {token}: {error}"),
        }
        let listed = world.client.list_messages(&account, &MessageFilter::default(), 1).await;
        assert_eq!(listed.is_ok(), good, "{listed:?}");
    }
    // One account does not see the messages of another.
    let listing = world.client.list_messages(&world.account, &MessageFilter::default(), 1).await.unwrap();
    assert!(listing.messages.is_empty() && listing.complete());
}

#[tokio::test]
async fn what_cannot_be_reached_got_nothing() {
    let world = World::new().await;
    // Bound and dropped: nothing listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let client = Client::new(http::client().unwrap(), &format!("http://127.0.0.1:{port}")).unwrap();
    let error = client.create_message(&world.account, &message("hola")).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "{error}");
    let listed = client.list_messages(&world.account, &MessageFilter::default(), 1).await;
    assert!(matches!(listed, Err(ListError::Unreachable { .. })), "{listed:?}");
}

#[tokio::test]
async fn a_dropped_connection_carries_no_byte() {
    let world = World::new().await;
    world.carrier.add_fault(Fault { on: On::Any, ..Fault::times(FaultKind::DropBeforeAccept, 1) }).unwrap();
    let mut stream = TcpStream::connect(world.base.trim_start_matches("http://")).await.unwrap();
    let credentials = STANDARD.encode(format!("{SID}:{TOKEN}"));
    let path = format!("/2010-04-01/Accounts/{SID}/Messages.json");
    let request = format!("GET {path} HTTP/1.1\r\nHost: carrier\r\nAuthorization: Basic {credentials}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset counts as an end.
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");
}

#[tokio::test]
async fn endless_answers_are_cut() {
    let world = World::new().await;
    let long = Router::new().fallback(|| async { (StatusCode::CREATED, "x".repeat(client::BODY_MAX_BYTES + 1)) });
    let client = Client::new(http::client().unwrap(), &format!("http://{}", serve(long).await)).unwrap();
    let error = client.create_message(&world.account, &message("hola")).await.unwrap_err();
    assert!(matches!(&error, SendError::Unknown { why } if why.contains("longer")), "{error}");
}

#[tokio::test]
async fn lists_are_walked_to_their_end() {
    let world = World::with(|config| config.keep_max = 3000).await;
    for number in 0..2500 {
        let from = if number % 2 == 0 { TO } else { "+34600999888" };
        world.carrier.add_inbound(Inbound {
            from: from.into(),
            to: FROM.into(),
            body: number.to_string(),
            ..Inbound::default()
        });
        world.clock.advance(Duration::from_secs(1));
    }
    let list = |filter: MessageFilter, pages| {
        let world = &world;
        async move { world.client.list_messages(&world.account, &filter, pages).await.unwrap() }
    };
    let to_us = MessageFilter { to: Some(FROM.into()), ..MessageFilter::default() };
    let all = list(to_us.clone(), 10).await;
    assert_eq!((all.messages.len(), all.complete()), (2500, true));
    assert_eq!((all.messages[0].body.as_str(), all.messages[2499].body.as_str()), ("2499", "0"), "the newest first");
    assert_eq!(all.messages[0].direction, "inbound");

    let cut = list(to_us.clone(), 2).await;
    assert_eq!((cut.messages.len(), cut.complete()), (2000, false));
    let none = list(to_us.clone(), 0).await;
    assert_eq!((none.messages.len(), none.complete()), (0, false));

    let since = |seconds: u64| Some(world.clock.now().minus(Duration::from_secs(seconds)).to_utc());
    let recent = list(MessageFilter { since: since(100), ..to_us.clone() }, 2).await;
    assert_eq!((recent.messages.len(), recent.complete()), (100, true), "a page of older ones ends the walk");
    let recent = list(MessageFilter { since: since(100), ..to_us.clone() }, 1).await;
    assert_eq!((recent.messages.len(), recent.complete()), (100, false));

    let one = list(MessageFilter { from: Some(TO.into()), ..to_us.clone() }, 10).await;
    assert_eq!((one.messages.len(), one.complete()), (1250, true));
    let tomorrow = world.clock.now().to_utc().date_naive().succ_opt();
    let later = list(MessageFilter { date_sent_from: tomorrow, ..to_us }, 10).await;
    assert_eq!((later.messages.len(), later.complete()), (0, true));
}

#[tokio::test]
async fn lists_fail_without_lying() {
    let world = World::new().await;
    for (fault, expect) in [(FaultKind::Throttle, 429), (FaultKind::Error500, 500), (FaultKind::Unavailable503, 503)] {
        world.carrier.add_fault(Fault { on: On::List, ..Fault::times(fault, 1) }).unwrap();
        let error = world.client.list_messages(&world.account, &MessageFilter::default(), 1).await.unwrap_err();
        assert!(matches!(error, ListError::Busy { http_status, .. } if http_status == expect), "{fault:?}: {error}");
    }
    for fault in [FaultKind::Hang, FaultKind::DropBeforeAccept] {
        world.carrier.add_fault(Fault { on: On::List, ..Fault::times(fault, 1) }).unwrap();
        let error = world.impatient().fetch_message(&world.account, "SM1").await.unwrap_err();
        assert!(matches!(error, ListError::Unreachable { .. }), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn the_oldest_messages_go() {
    let world = World::with(|config| config.keep_max = 2).await;
    for text in ["1", "2", "3"] {
        world.send(text).await.unwrap();
    }
    let bodies: Vec<_> = world.carrier.messages().into_iter().map(|message| message.body).collect();
    assert_eq!((bodies, world.carrier.count_to(TO), world.carrier.taken()), (vec!["2".into(), "3".into()], 2, 3));
}

/// Sends one message under a fault and returns the reported statuses.
async fn statuses(fault: Option<FaultKind>, to: &str, count: usize) -> Vec<String> {
    let world = World::with(|config| config.whatsapp_read = true).await;
    let (url, mut callbacks) = receiver().await;
    if let Some(fault) = fault {
        world.carrier.add_fault(Fault::times(fault, 1)).unwrap();
    }
    let from = if to.starts_with("whatsapp:") { format!("whatsapp:{FROM}") } else { FROM.into() };
    world.carrier.add_inbound(Inbound { from: to.into(), to: from.clone(), ..Inbound::default() });
    let message = NewMessage { status_callback: Some(url), ..NewMessage::text(From::Number(from), to, "hola") };
    let created = world.client.create_message(&world.account, &message).await.unwrap();
    if fault == Some(FaultKind::CallbacksBeforeAnswer) {
        assert_eq!(callbacks.len(), count, "all came before the answer");
    }
    world.carrier.wait_callbacks().await;
    assert_eq!(callbacks.len(), count, "{fault:?}");
    let mut statuses = Vec::new();
    while let Ok(callback) = callbacks.try_recv() {
        assert_eq!((&callback.message_sid, callback.account_sid.as_str()), (&created.sid, SID));
        assert_eq!(callback.to.unwrap().to_string(), to);
        statuses.push(callback.status);
    }
    statuses
}

#[tokio::test]
async fn callbacks_are_signed_and_come_as_ordered() {
    use FaultKind::{CallbacksBeforeAnswer, CallbacksDoubled, CallbacksLost, CallbacksReordered};
    assert_eq!(statuses(None, TO, 2).await, ["sent", "delivered"]);
    assert_eq!(statuses(None, "whatsapp:+34600111222", 3).await, ["sent", "delivered", "read"]);
    assert_eq!(statuses(Some(CallbacksDoubled), TO, 4).await, ["sent", "sent", "delivered", "delivered"]);
    assert_eq!(statuses(Some(CallbacksReordered), TO, 2).await, ["delivered", "sent"]);
    assert_eq!(statuses(Some(CallbacksLost), TO, 0).await, Vec::<String>::new());
    assert_eq!(statuses(Some(CallbacksBeforeAnswer), TO, 2).await, ["sent", "delivered"]);
}

#[tokio::test]
async fn callbacks_wait_for_the_clock() {
    let world = World::with(|config| config.callback_delay_ms = 5_000).await;
    let (url, mut callbacks) = receiver().await;
    let message = NewMessage { status_callback: Some(url), ..message("hola") };
    let created = world.client.create_message(&world.account, &message).await.unwrap();
    for status in ["sent", "delivered"] {
        assert!(callbacks.is_empty());
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(callbacks.recv().await.unwrap().status, status);
    }
    world.carrier.wait_callbacks().await;
    let found = world.client.fetch_message(&world.account, &created.sid).await.unwrap().unwrap();
    assert_eq!(found.status, "delivered");
    assert_eq!(world.carrier.callbacks_dropped(), 0);
}

#[tokio::test]
async fn faults_are_ordered_over_http() {
    let world = World::new().await;
    let http = http::client().unwrap();
    let url = format!("{}/carrier/faults", world.base);
    let order = |json: &str| http.post(&url).header("content-type", "application/json").body(json.to_owned()).send();
    assert_eq!(order(r#"{"fault": "throttle", "account": "AC9"}"#).await.unwrap().status(), 201);
    assert_eq!(
        order(r#"{"fault": "error_500_after_accept", "times": 2, "percent": 100}"#).await.unwrap().status(),
        201
    );
    assert_eq!(order(r#"{"fault": "throttle", "percent": 101}"#).await.unwrap().status(), 400);
    assert!(order(r#"{"fault": "earthquake"}"#).await.unwrap().status().is_client_error());
    let ordered: Vec<Fault> = http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(ordered.len(), 2);
    assert!(matches!(world.send("hola").await, Err(SendError::Unknown { .. })));
    assert_eq!(http.delete(&url).send().await.unwrap().status(), 204);
    world.send("hola").await.unwrap();

    let inbound = r#"{"from": "+34600111222", "to": "+34911222333", "body": "CITA"}"#;
    let posted =
        http.post(format!("{}/carrier/inbound", world.base)).header("content-type", "application/json").body(inbound);
    assert_eq!(posted.send().await.unwrap().status(), 201);
    let to_us = MessageFilter { to: Some(FROM.into()), ..MessageFilter::default() };
    let listing = world.client.list_messages(&world.account, &to_us, 1).await.unwrap();
    assert_eq!((listing.messages.len(), listing.messages[0].status.as_str()), (1, "received"));
}

#[tokio::test]
async fn faults_strike_by_percentage_the_same_with_the_same_seed() {
    let struck = |seed| {
        let (faults, random) = (Faults::default(), Random::seeded(seed));
        faults.add(Fault { percent: 30, ..Fault::always(FaultKind::Throttle) }).unwrap();
        (0..1000).map(|_| faults.draw(On::Create, SID, &random).answer.is_some()).collect::<Vec<_>>()
    };
    let hits = struck(7).into_iter().filter(|struck| *struck).count();
    assert!((250..350).contains(&hits), "{hits} of 1000");
    assert_eq!(struck(7), struck(7));
    assert_ne!(struck(7), struck(8));
}
