//! A customer who hides the number on WhatsApp, with the real binary and the built-in carrier.

use std::time::Duration;

use recado::domain::Clock;
use recado::emulators::twilio::CarrierConfig;
use serde_json::Value;

use crate::cli::run;
use crate::faults::rig::{self, ACCOUNT, Provider, TOKEN, recado, twilio};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(30);
const CUSTOMER: &str = "BR.7f3A90c1";
const OURS: &str = "+34911222444";
const RULES: &str = r#"
rule("answer").on("inbound_whatsapp").keyword("CITA").then(|e| reply(`Hola ${e.contact.whatsapp_id}`));
rule("notice").on("inbound_whatsapp").keyword("AVISO").then(|e| notify(e.contact, "un aviso"));
rule("by SMS").on("inbound_whatsapp").keyword("SMS").then(|e| send_sms(e.contact, "by SMS"));
"#;

async fn rig() -> (Provider, Server) {
    let provider = Provider::with(CarrierConfig::new(ACCOUNT, TOKEN, Clock::system())).await;
    let mut server = Server::start(rig::options(&provider.url).file("rules/ids.rhai", RULES)).await;
    let set = run(&mut recado(&server, &["tenant", "set", "demo", "--whatsapp", OURS]));
    assert_eq!(set.code, Some(0), "{}", set.err);
    assert!(server.stop().await.success());
    server.start_again().await;
    (provider, server)
}

async fn write(server: &Server, sid: u128, body: &str) {
    let twilio = twilio(server);
    let form = twilio.inbound(&message_sid(sid), &format!("whatsapp:{CUSTOMER}"), &format!("whatsapp:{OURS}"), body);
    let response = twilio.post("/api/twilio/demo/whatsapp", &form).await.expect("an answer");
    assert_eq!(response.status(), 200, "{body}");
}

fn ask(server: &Server, args: &[&str]) -> Value {
    run(&mut recado(server, args)).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_a_number_is_answered_at_the_id() {
    let (provider, mut server) = rig().await;
    write(&server, 1, "CITA").await;
    write(&server, 2, "AVISO").await;
    provider.wait_taken(2).await;
    let mut sent = provider.sent();
    sent.sort_by(|a, b| a.body.cmp(&b.body));
    assert!(sent.iter().all(|one| one.to == "whatsapp:BR.7f3A90c1"), "{sent:?}");
    let bodies: Vec<&str> = sent.iter().map(|one| one.body.as_str()).collect();
    assert_eq!(bodies, ["Hola BR.7f3A90c1", "un aviso"]);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_a_customer_without_a_number_holds() {
    let (provider, mut server) = rig().await;
    write(&server, 1, "STOP").await;
    provider.wait_taken(1).await;
    assert_eq!(provider.sent()[0].to, "whatsapp:BR.7f3A90c1", "the confirmation");
    write(&server, 2, "CITA").await;
    let blocked = eventually(WITHIN, || async {
        let all = ask(&server, &["messages", "--contact", CUSTOMER, "--json"]);
        let found = all.as_array().expect("an array").iter().find(|one| one["status"] == "blocked").cloned();
        found.ok_or(all)
    })
    .await;
    assert!(blocked["reason"].as_str().expect("a reason").contains("opted out of whatsapp"), "{blocked}");
    assert_eq!(provider.sent().len(), 1);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_to_a_customer_without_a_number_says_why_it_cannot_go() {
    let (provider, mut server) = rig().await;
    write(&server, 1, "SMS").await;
    let reason = eventually(WITHIN, || async {
        let events = ask(&server, &["events", "--json"]);
        let event = events.as_array().expect("an array").iter().find(|event| event["kind"] == "inbound_whatsapp");
        let id = event.and_then(|event| event["id"].as_str()).expect("the message's event").to_owned();
        let shown = run(&mut recado(&server, &["explain", &id])).out;
        if shown.contains("hides the phone number") { Ok(shown) } else { Err(shown) }
    })
    .await;
    assert!(reason.contains("answer on WhatsApp"), "{reason}");
    assert!(provider.sent().is_empty());
    assert!(server.stop().await.success());
}
