//! Peers that hold sockets: slow ones, silent ones, too many of them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::routing::{any, get, post};
use futures_util::{SinkExt, StreamExt};
use recado::domain::Clock;
use recado::http::server::{ConnectionLimits, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::rig::{self, Provider, customer, post as post_text, twilio};
use crate::support::http_client;
use crate::support::server::Server as RealServer;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;
use crate::voice::agents::Api;

const SLOW: usize = 300;
const WITHIN: Duration = Duration::from_secs(60);
/// A response that no socket buffer holds.
const LARGE_BYTES: usize = 32 * 1024 * 1024;

/// Short limits, so that the test waits for no long one.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        header_within: Duration::from_millis(300),
        header_max_bytes: 4 * 1024,
        body_within: Duration::from_millis(300),
        write_within: Duration::from_millis(300),
        idle_within: Duration::from_millis(300),
        connections_max: 1_000,
    }
}

/// A server in the test's process. Dropping it stops it.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn with(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new()
            .route("/hello", get(async || "hello"))
            .route("/take", post(async |body: String| body))
            .route("/large", get(async || vec![b'x'; LARGE_BYTES]))
            .route("/socket", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server { listener, limits, clock: Clock::system() };
        let serving = tokio::spawn(server.serve(router, async { drop(stopped.await) }));
        Self { address, stop: Some(stop), serving }
    }

    async fn connect(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(bytes.as_bytes()).await.expect("it is open");
        stream
    }

    async fn says_hello(&self) {
        let mut stream = self.connect("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(rest(&mut stream).await.ends_with("hello"));
    }
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = message
            && socket.send(Message::Text(text)).await.is_err()
        {
            return;
        }
    }
}

/// Everything that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_slow_sockets_are_closed_and_good_traffic_goes_on() {
    let served = Served::with(limits()).await;
    let mut slow = Vec::new();
    for number in 0..SLOW {
        slow.push(match number % 5 {
            // Nothing, half a line, half a head, half a body, a request and then nothing.
            0 => served.connect("").await,
            1 => served.connect("POST /ta").await,
            2 => served.connect("GET /hello HTTP/1.1\r\nHost: x\r\nX-Slow: ").await,
            3 => served.connect("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").await,
            _ => served.connect("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await,
        });
        if number % 30 == 0 {
            served.says_hello().await;
        }
    }
    for mut stream in slow {
        let said = rest(&mut stream).await;
        assert!(said.is_empty() || said.ends_with("hello"), "{said}");
    }
    served.says_hello().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dripped_head_ends_in_time_and_a_long_one_is_refused() {
    let served = Served::with(limits()).await;
    let mut dripping = served.connect("GET /hello HTTP/1.1\r\nHost: x\r\nX-Drip: ").await;
    // It ends although a byte keeps coming.
    while dripping.write_all(b"a").await.is_ok() {
        let mut answer = [0; 1];
        match tokio::time::timeout(Duration::from_millis(20), dripping.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => panic!("half a head is not answered"),
            Err(_) => {}
        }
    }
    let mut long = served.connect("GET /hello HTTP/1.1\r\nHost: x\r\n").await;
    let field = format!("X-Long: {}\r\n\r\n", "a".repeat(8 * 1024));
    // The server may close before it has all.
    let _ = long.write_all(field.as_bytes()).await;
    let said = rest(&mut long).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    served.says_hello().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_cut_off() {
    let served = Served::with(limits()).await;
    let mut stream = served.connect("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // Nothing is read until the server has given up: it would go on sending otherwise.
    eventually(WITHIN, || {
        let gone = matches!(stream.try_write(b"x"), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock);
        std::future::ready(if gone { Ok(()) } else { Err("open") })
    })
    .await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(bytes.len() < LARGE_BYTES, "{} bytes came", bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_may_be_silent_and_a_request_may_take_its_time() {
    let served = Served::with(limits()).await;
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{}/socket", served.address)).await.expect("it is upgraded");
    // Longer than every limit: an idle connection that was opened after it is closed meanwhile, twice.
    for _ in 0..2 {
        let mut idle = served.connect("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(rest(&mut idle).await.ends_with("hello"));
    }
    socket.send("still here".into()).await.expect("it is open");
    let said = socket.next().await.expect("it answers").expect("it is open");
    assert_eq!(said.to_text().expect("a text"), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_gets_the_place_of_the_oldest_idle_one() {
    const PLACES: usize = 8;
    let long = Duration::from_secs(3_600);
    let limits = ConnectionLimits {
        connections_max: PLACES,
        header_within: long,
        idle_within: long,
        body_within: long,
        ..limits()
    };
    let served = Served::with(limits).await;
    // One WebSocket and one request in progress, which keep their places.
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{}/socket", served.address)).await.expect("it is upgraded");
    let mut asking =
        served.connect("POST /take HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nta").await;
    let mut idle = Vec::new();
    for number in 0..3 * PLACES {
        idle.push(served.connect(if number % 2 == 0 { "GET /he" } else { "" }).await);
        served.says_hello().await;
    }
    // The oldest have ended.
    for stream in idle.iter_mut().take(PLACES) {
        assert_eq!(rest(stream).await, "");
    }
    asking.write_all(b"ke").await.expect("it is open");
    assert!(rest(&mut asking).await.ends_with("take"));
    socket.send("x".into()).await.expect("it is open");
    assert!(socket.next().await.expect("it answers").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_request_end_and_closes_idle_connections() {
    let limits = ConnectionLimits { idle_within: WITHIN, body_within: WITHIN, ..limits() };
    let mut served = Served::with(limits).await;
    let mut idle = served.connect("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut buffer = vec![0; 1_024];
    assert!(idle.read(&mut buffer).await.expect("it answers") > 0);
    let mut asking = served.connect("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nta").await;
    served.says_hello().await;
    served.stop.take().expect("it runs").send(()).expect("it waits");
    assert_eq!(rest(&mut idle).await, "");
    asking.write_all(b"ke").await.expect("it is open");
    assert!(rest(&mut asking).await.ends_with("take"));
    served.serving.await.expect("it has ended by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_few_descriptors_answers_among_many_half_requests() {
    let provider = Provider::start(1).await;
    let server = RealServer::start(rig::options(&provider.url).descriptors_max(128)).await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let twilio = twilio(&server);
    let mut half = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(&address).await.expect("it listens");
        stream.write_all(b"POST /api/twilio/demo/sms HTTP/1.1\r\nHost: x\r\nContent-Le").await.expect("it is open");
        half.push(stream);
        if number % 20 == 19 {
            let form = twilio.inbound(&message_sid(number), &customer(number as usize), rig::OURS, "hola");
            assert_eq!(post_text(&twilio, &form).await, Some(200), "after {number} half requests");
        }
    }
    provider.wait_taken(15).await;
    assert_eq!(http_client().get(format!("{}/ready", server.url())).send().await.expect("it answers").status(), 200);
    assert!(server.log().contains("all connections are taken"), "it is logged");
    assert_eq!(server.log().matches("all connections are taken").count(), 1, "once a minute");
}

/// Within ten seconds, which the test waits for.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_answered_with_408() {
    let server = RealServer::start(rig::options("http://127.0.0.1:1")).await;
    let token = Api::token(&server, "demo");
    let address = server.url().trim_start_matches("http://").to_owned();
    let heads = [
        "POST /api/twilio/demo/sms HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded".to_owned(),
        "POST /api/twilio/demo/answer HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded".to_owned(),
        format!("POST /api/v1/events HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"),
    ];
    let mut half = Vec::new();
    for head in &heads {
        let mut stream = TcpStream::connect(&address).await.expect("it listens");
        let request = format!("{head}\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{\"kin");
        stream.write_all(request.as_bytes()).await.expect("it is open");
        half.push(stream);
    }
    for (mut stream, head) in half.into_iter().zip(heads) {
        let said = rest(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{head}: {said}");
    }
}
