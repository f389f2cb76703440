//! URLs that lead to this machine or into its network. No connection is made, whatever their spelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::rig::{self, Look, OURS, Provider, customer, post, twilio};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

/// A rule that calls the URL that a customer writes.
const CALL: &str = "rule(\"call\").on(\"inbound_sms\").then(|e| http_request(#{ method: \"GET\", url: e.body }));\n";

/// Counts connections to `ip`, and answers each with `answer`.
async fn counting(ip: &str, answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((ip, 0)).await.expect("a port can be bound");
    let port = listener.local_addr().expect("it is bound").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                // A client may be gone, but it was counted. The request is read, or closing would reset the connection.
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_reaches_nothing_that_is_not_public() {
    let provider = Provider::start(22).await;
    let (port, count) = counting("127.0.0.1", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let server = Server::start(rig::options(&provider.url).file("rules/echo.rhai", CALL)).await;
    let here =
        ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "0"];
    let urls = here.map(|host| format!("http://{host}:{port}/"));
    let elsewhere = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://10.0.0.1/",
        "https://192.168.0.1/",
        "http://[fd00::1]/",
    ]
    .map(str::to_owned);
    let all: Vec<String> = urls.into_iter().chain(elsewhere).collect();
    let twilio = twilio(&server);
    for (number, url) in all.iter().enumerate() {
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, url);
        assert_eq!(post(&twilio, &form).await, Some(200));
    }
    let look = Look::into(server.folder()).await;
    let failed = "actions WHERE kind = 'http_request' AND state = 'failed' AND tries = 1";
    eventually(Duration::from_secs(60), || async {
        match look.count(failed).await {
            all_of_them if all_of_them == all.len() as i64 => Ok(()),
            some => Err(some),
        }
    })
    .await;
    assert_eq!(count.load(Ordering::SeqCst), 0, "nobody has connected");
    for action in look.actions().await {
        let reason = action.reason.unwrap_or_default();
        assert!(reason.contains("OUTBOUND_ALLOW"), "it says why, and what could be done: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_from_where_one_may_call_leads_nowhere() {
    let provider = Provider::start(22).await;
    let (inner, reached) = counting("127.0.0.2", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let answer = format!(
        "HTTP/1.1 307 Go\r\nlocation: http://127.0.0.2:{inner}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (port, called) = counting("127.0.0.1", answer).await;
    let options = rig::options(&provider.url).env("OUTBOUND_ALLOW", "127.0.0.0/8").file("rules/echo.rhai", CALL);
    let server = Server::start(options).await;
    let twilio = twilio(&server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, &format!("http://127.0.0.1:{port}/"));
    assert_eq!(post(&twilio, &form).await, Some(200));
    let look = Look::into(server.folder()).await;
    eventually(Duration::from_secs(60), || async {
        let settled = look.count("actions WHERE kind = 'http_request' AND state = 'failed'").await;
        if settled == 1 { Ok(()) } else { Err(settled) }
    })
    .await;
    assert_eq!((called.load(Ordering::SeqCst), reached.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_at_a_private_address_stops_the_start_unless_it_is_allowed() {
    let described = "[[provider]]\nname = \"inner\"\nprefixes = [\"+91\"]\nsender = \"RECADO\"\n\
        url = \"http://0x7f.1/send?to={{to}}&text={{text}}\"\nmethod = \"GET\"\n";
    let options =
        ServerOptions::default().env("METRICS_LISTEN", "off").env("PROVIDERS_FILE", "p.toml").file("p.toml", described);
    let mut server = Server::prepare(options);
    server.spawn();
    assert!(!server.ended().await.success());
    let log = server.log();
    assert!(log.contains("p.toml: provider 'inner', url: 127.0.0.1 is this machine"), "{log}");
    assert!(log.contains("OUTBOUND_ALLOW"), "{log}");
    server.set_env("OUTBOUND_ALLOW", "127.0.0.1");
    server.start_again().await;
}
