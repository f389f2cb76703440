//! The guard with real sockets: it never connects to a forbidden address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Request, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{ANSWER_MAX_BYTES, Answer, Client, RequestFailure};
use super::guard::{Forbidden, Guard, Lookup};
use crate::config::Allowed;

/// A listener that counts its connections and gives each the same answer.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    async fn answering(ip: &str, answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, answer) = (Arc::new(AtomicUsize::new(0)), answer.into());
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, connections }
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

fn allowed(text: &str) -> Vec<Allowed> {
    text.split(',').filter_map(Allowed::parse).collect()
}

async fn call(client: &Client, url: &str) -> Result<Answer, RequestFailure> {
    client.call(Request::new(Method::GET, Url::parse(url).unwrap())).await
}

/// Answers each look-up with the next of these, and with the last one from then on.
fn answers(answers: &[&str]) -> Lookup {
    let answers: Vec<IpAddr> = answers.iter().map(|address| address.parse().unwrap()).collect();
    let asked = AtomicUsize::new(0);
    Arc::new(move |_| {
        let nth = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let address = answers[nth];
        Box::pin(async move { Ok(vec![address]) })
    })
}

/// The loopback address in every notation that a URL or a resolver accepts.
const LOOPBACK: [&str; 15] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.01",
    "127.0.0.1.",
    "１２７.０.０.１",
    "0",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::1]",
    "localhost",
];

#[tokio::test]
async fn no_spelling_of_the_loopback_is_connected_to() {
    let (four, six) = (Listener::answering("127.0.0.1", OK).await, Listener::answering("::1", OK).await);
    let client = Client::new(Vec::new()).unwrap();
    for host in LOOPBACK {
        for listener in [&four, &six] {
            let lost = call(&client, &listener.url(host)).await.expect_err(host);
            let RequestFailure::Forbidden(why) = lost else { panic!("{host}: {lost:?}") };
            assert!(why.to_string().contains("OUTBOUND_ALLOW"), "{host}: it says what to do: {why}");
        }
    }
    assert_eq!((four.count(), six.count()), (0, 0));
    // The refused servers exist and answer.
    let client = Client::new(allowed("127.0.0.1, ::1")).unwrap();
    for host in LOOPBACK.into_iter().filter(|host| *host != "0" && *host != "[::1]") {
        assert!(call(&client, &four.url(host)).await.is_ok(), "{host}");
    }
    assert!(call(&client, &six.url("[::1]")).await.is_ok());
}

#[tokio::test]
async fn a_name_that_answers_otherwise_the_second_time_gains_nothing() {
    let listener = Listener::answering("127.0.0.1", OK).await;
    // Both are forbidden, in either order.
    for order in [["192.0.2.1", "127.0.0.1"], ["127.0.0.1", "127.0.0.1"]] {
        let client = Client::with_guard(Guard::with_lookup(Vec::new(), answers(&order))).unwrap();
        for _ in 0..3 {
            let lost = call(&client, &listener.url("rebind.example")).await.unwrap_err();
            assert!(matches!(lost, RequestFailure::Forbidden(Forbidden::Name { .. })), "{lost:?}");
        }
    }
    // First allowed, then forbidden: each connection goes to the address that was checked.
    let lookup = answers(&["127.0.0.1", "127.0.0.2"]);
    let other = Listener::answering("127.0.0.2", OK).await;
    let client = Client::with_guard(Guard::with_lookup(allowed("127.0.0.1"), lookup)).unwrap();
    assert!(call(&client, &listener.url("rebind.example")).await.is_ok());
    assert_eq!(listener.count(), 1);
    assert!(matches!(call(&client, &other.url("rebind.example")).await, Err(RequestFailure::Forbidden(_))));
    assert_eq!((listener.count(), other.count()), (1, 0));
}

#[tokio::test]
async fn of_a_names_addresses_the_public_ones_stay_and_an_allowed_host_keeps_all() {
    let listener = Listener::answering("127.0.0.1", OK).await;
    let lookup: Lookup = Arc::new(|_| {
        Box::pin(async { Ok(["10.0.0.1", "127.0.0.1"].map(|address| address.parse().unwrap()).to_vec()) })
    });
    let client = Client::with_guard(Guard::with_lookup(allowed("127.0.0.1"), lookup.clone())).unwrap();
    assert!(call(&client, &listener.url("mixed.example")).await.is_ok(), "the one that may be called is");
    let only_loopback = answers(&["127.0.0.1"]);
    let client = Client::with_guard(Guard::with_lookup(allowed("sms.internal"), only_loopback)).unwrap();
    assert!(call(&client, &listener.url("SMS.internal.")).await.is_ok());
    let lost = call(&client, &listener.url("other.internal")).await.unwrap_err();
    assert!(matches!(lost, RequestFailure::Forbidden(Forbidden::Name { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Listener::answering("127.0.0.2", OK).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url("127.0.0.2");
        let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let listener = Listener::answering("127.0.0.1", head).await;
        // Not even to hosts that it could reach itself.
        let client = Client::new(allowed("127.0.0.0/8")).unwrap();
        let answer = call(&client, &listener.url("127.0.0.1")).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn a_long_or_slow_answer_is_cut_off() {
    let client = Client::new(allowed("127.0.0.1")).unwrap();
    let long = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
        ANSWER_MAX_BYTES + 1,
        "x".repeat(ANSWER_MAX_BYTES + 1)
    );
    let listener = Listener::answering("127.0.0.1", long).await;
    let answer = call(&client, &listener.url("127.0.0.1")).await.unwrap();
    assert!(answer.body.unwrap_err().contains("longer than"));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?key=s3cret", silent.local_addr().unwrap());
    let lost = call(&client.clone().with_deadline(Duration::from_millis(50)), &url).await.unwrap_err();
    assert!(matches!(&lost, RequestFailure::Unknown(why) if !why.contains("s3cret")), "{lost:?}");
    drop(silent);
    let lost = call(&client, &url).await.unwrap_err();
    assert!(matches!(&lost, RequestFailure::NotSent(why) if !why.contains("s3cret")), "{lost:?}");
}

#[test]
fn hostile_urls_are_told_apart_before_anything_is_asked() {
    let guard = Guard::new(Vec::new());
    let check = |url: &str| Url::parse(url).map(|url| guard.check(&url));
    for public in [
        "https://example.com/",
        "http://8.8.8.8:8080/x?y",
        "http://[2606:4700:4700::1111]/",
        "http://[::ffff:8.8.8.8]/",
    ] {
        assert_eq!(check(public), Ok(Ok(())), "{public}");
    }
    for address in [
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://2852039166/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "https://255.255.255.255/",
        "http://224.0.0.1/",
        "http://[::]/",
        "http:\\\\127.0.0.1\\x",
        "http:127.0.0.1/",
        "http://127.0.0.1%2e/",
        "http://%31%32%37.0.0.1/",
    ] {
        let refused = check(address);
        assert!(matches!(refused, Ok(Err(Forbidden::Address { .. }))), "{address}: {refused:?}");
    }
    for user in ["http://user@example.com/", "http://user:password@example.com/", "http://example.com@127.0.0.1/"] {
        assert_eq!(check(user), Ok(Err(Forbidden::UserInfo)), "{user}");
    }
    for scheme in
        ["file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1/", "data:text/plain,x", "javascript:1"]
    {
        assert!(matches!(check(scheme), Ok(Err(Forbidden::Scheme(_)))), "{scheme}");
    }
}
