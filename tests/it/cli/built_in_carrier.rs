//! The built-in carrier, inside the server and as a command.

use std::process::{Child, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{CUSTOMER, DELIVERED_WITHIN_S, HELLO, alone, beside, command, options};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;

const OURS: &str = "+34911222333";

/// The carrier's address, as the server has stored it.
async fn carrier(server: &Server) -> String {
    let url = format!("sqlite://{}", server.folder().join("data/recado.db").display());
    let database = sea_orm::Database::connect(url).await.expect("the file can be opened");
    let query = "SELECT value FROM settings WHERE name = 'carrier_base'";
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), query)).await;
    row.expect("a query of ours").expect("it is there").try_get_by_index(0).expect("a text")
}

async fn writes(base: &str, to: &str, channel: &str, body: &str) -> u16 {
    let text = json!({"from": CUSTOMER, "to": to, "channel": channel, "body": body});
    let answer = http_client().post(format!("{base}/carrier/texts")).json(&text).send().await;
    answer.expect("the carrier answers").status().as_u16()
}

/// Waits until the feed shows a message to the customer with this text and status.
async fn shows(base: &str, body: &str, status: &str) {
    let url = format!("{base}/carrier/feed?customer=%2B{}", CUSTOMER.trim_start_matches('+'));
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || async {
        let feed: Value = http_client().get(&url).send().await.expect("it answers").json().await.expect("JSON");
        let messages = feed["messages"].as_array().expect("a list");
        let shown = messages.iter().any(|message| {
            message["direction"] == "outbound"
                && message["status"] == status
                && message["body"].as_str().is_some_and(|text| text.contains(body))
        });
        if shown { Ok(()) } else { Err(feed) }
    })
    .await;
}

#[tokio::test]
async fn a_customer_texts_a_server_without_an_account() {
    let both = HELLO.replace("\"inbound_sms\"", "\"inbound_sms\", \"inbound_whatsapp\"");
    let server = Server::start(options().env("CARRIER_LISTEN", "127.0.0.1:0").file("rules/hello.rhai", both)).await;
    let base = carrier(&server).await;
    assert!(server.log().contains(&base) && server.log().contains("recado phone"), "{}", server.log());
    assert_eq!(writes(&base, "+15005550006", "sms", "HOLA").await, 201);
    shows(&base, "Hola, HOLA", "delivered").await;

    // The WhatsApp number is the sandbox's, which customers must join first.
    assert_eq!(writes(&base, "+14155238886", "whatsapp", "HOLA").await, 201);
    shows(&base, "join recado-demo", "delivered").await;
    assert_eq!(writes(&base, "+14155238886", "whatsapp", "join recado-demo").await, 201);
    shows(&base, "You are all set", "delivered").await;
    assert_eq!(writes(&base, "+14155238886", "whatsapp", "HOLA").await, 201);
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || async {
        let messages = beside(&server, &["messages", "--contact", CUSTOMER, "--json"]).json();
        let newest = &messages[0];
        let answered =
            newest["channel"] == "whatsapp" && newest["direction"] == "out" && newest["status"] == "delivered";
        if answered { Ok(()) } else { Err(newest.clone()) }
    })
    .await;

    // A tenant's new number can be texted a moment later.
    beside(&server, &["tenant", "add", "sol"]).ok();
    beside(&server, &["tenant", "set", "sol", "--sms", "+34911222333"]).ok();
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || async {
        let numbers = http_client().get(format!("{base}/carrier/numbers")).send().await.expect("it answers");
        let numbers: Value = numbers.json().await.expect("JSON");
        let sol = numbers.as_array().expect("a list").iter().find(|number| number["label"] == "sol").cloned();
        let sol = sol.ok_or(numbers)?;
        assert_eq!(sol["sms_url"], format!("{}/api/twilio/sol/sms", server.url()));
        assert_eq!(sol["whatsapp_url"], Value::Null);
        Ok::<_, Value>(())
    })
    .await;
    assert_eq!(writes(&base, "+34911222333", "whatsapp", "HOLA").await, 409);
}

#[tokio::test]
async fn a_public_url_that_the_carrier_cannot_call_is_said() {
    let server = Server::start(options().env("APP_URL", "https://messages.example.com")).await;
    assert!(server.log().contains("!! APP_URL is https://messages.example.com"), "{}", server.log());
}

/// A process that ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // This fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `recado carrier` for a server that is started later and uses it. Returns its base URL.
async fn carrier_beside(server: &Server) -> (Running, String) {
    let said_at = server.folder().join("carrier.log");
    let log = std::fs::File::create(&said_at).expect("a file can be made");
    let webhook = format!("{}/api/twilio/demo/sms", server.url());
    let args = ["carrier", "--listen", "127.0.0.1:0", "--callback-delay", "0", "--number", OURS, "--webhook", &webhook];
    let running = command(server.folder(), &args).stdout(log).stderr(Stdio::null()).spawn().expect("it starts");
    let running = Running(running);
    let said = eventually(Duration::from_secs(DELIVERED_WITHIN_S), || async {
        let said = std::fs::read_to_string(&said_at).expect("it can be read");
        if said.contains("recado phone") { Ok(said) } else { Err(said) }
    })
    .await;
    let exported: Vec<_> = said.lines().filter_map(|line| line.trim().strip_prefix("export ")).collect();
    // The commands beside the server read the address here, too.
    std::fs::write(server.folder().join(".env"), exported.join("\n")).expect("a file can be written");
    let base = said.lines().find_map(|line| line.split_once("--carrier ")).expect("it says how to text it").1;
    (running, base.to_owned())
}

#[tokio::test]
async fn a_server_sends_through_the_carrier_of_the_command_line() {
    let mut server = Server::prepare(options());
    let (_running, base) = carrier_beside(&server).await;
    server.start_again().await;
    let sent = beside(&server, &["send", "--to", CUSTOMER, "Hi", "--json"]).json();
    assert_eq!(sent["state"], "sent", "{sent}");
    shows(&base, "Hi", "delivered").await;
}

/// The carrier is a process of its own: it runs while the server is down, and its list shows what was missed.
#[tokio::test]
async fn messages_during_a_downtime_are_answered_afterwards() {
    let mut server = Server::prepare(options());
    let (_running, base) = carrier_beside(&server).await;
    server.start_again().await;
    assert_eq!(writes(&base, OURS, "sms", "HOLA one").await, 201);
    shows(&base, "Hola, HOLA one", "delivered").await;
    assert!(server.stop().await.success());
    assert_eq!(writes(&base, OURS, "sms", "HOLA two").await, 201);
    let url = format!("{base}/carrier/feed");
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || async {
        let feed: Value = http_client().get(&url).send().await.expect("it answers").json().await.expect("JSON");
        let messages = feed["messages"].as_array().expect("a list");
        let lost = messages.iter().any(|one| one["body"] == "HOLA two" && !one["webhook"]["error"].is_null());
        if lost { Ok(()) } else { Err(feed) }
    })
    .await;
    server.start_again().await;
    shows(&base, "Hola, HOLA two", "delivered").await;
    let messages = beside(&server, &["messages", "--json"]).json();
    let of = |body: &str| {
        let found = messages.as_array().expect("an array").iter().filter(|one| one["body"] == body);
        found.map(|one| one["late"].as_bool().expect("a flag")).collect::<Vec<_>>()
    };
    assert_eq!((of("HOLA one"), of("HOLA two")), (vec![false], vec![true]), "{messages}");
    assert_eq!((of("Hola, HOLA one").len(), of("Hola, HOLA two").len()), (1, 1), "answered once: {messages}");
}

#[test]
fn a_carrier_that_makes_no_sense_is_refused() {
    alone(&[], &["carrier", "--listen", "0.0.0.0:0"]).fails(1, &["loopback address only"]);
    alone(&[], &["carrier", "--fault", "earthquake"]).fails(2, &["earthquake"]);
    alone(&[], &["carrier", "--fault", "throttle:percent=101"]).fails(2, &["0 to 100"]);
    alone(&[], &["carrier", "--webhook", "https://example.com/in"]).fails(2, &["loopback"]);
    alone(&[], &["carrier", "--number", "600111222"]).fails(2, &["E.164"]);
}
