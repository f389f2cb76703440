//! RCS from end to end, with the real binary and the built-in carrier.

use std::time::Duration;

use recado::domain::Clock;
use recado::emulators::twilio::CarrierConfig;
use serde_json::{Value, json};

use crate::cli::run;
use crate::faults::rig::{self, ACCOUNT, Provider, TOKEN, recado, twilio};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(30);
const CUSTOMER: &str = "+34600111222";
const AGENT: &str = "clinica_sol_agent";
const RULES: &str = r#"
rule("answer by the same channel")
    .on("inbound_rcs")
    .keyword("CITA")
    .then(|e| reply(`Hola, ${e.body}`));

rule("start by RCS")
    .on("inbound_sms")
    .keyword("RCS")
    .then(|e| send_rcs(e.contact, "by RCS"));

rule("prefers RCS").on("inbound_rcs").keyword("PREFER").then(|e| set_field("prefers", "rcs"));
rule("notice").on("inbound_rcs").keyword("NOTICE").then(|e| notify(e.contact, "a notice"));
"#;

/// A provider that reports reads, and a server whose tenant `demo` sends RCS as [`AGENT`].
async fn rig() -> (Provider, Server) {
    let config = CarrierConfig { whatsapp_read: true, ..CarrierConfig::new(ACCOUNT, TOKEN, Clock::system()) };
    let provider = Provider::with(config).await;
    let options = rig::options(&provider.url).file("rules/rcs.rhai", RULES);
    let mut server = Server::start(options).await;
    let set = run(&mut recado(&server, &["tenant", "set", "demo", "--rcs", &format!("rcs:{AGENT}")]));
    assert_eq!(set.code, Some(0), "{}", set.err);
    assert!(server.stop().await.success());
    server.start_again().await;
    (provider, server)
}

/// Posts a signed message to a webhook.
async fn write(server: &Server, path: &str, sid: u128, body: &str) {
    let twilio = twilio(server);
    let form = twilio.inbound(&message_sid(sid), &format!("rcs:{CUSTOMER}"), &format!("rcs:{AGENT}"), body);
    let response = twilio.post(path, &form).await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
}

fn ask(server: &Server, args: &[&str]) -> Value {
    run(&mut recado(server, args)).json()
}

/// The customer's messages, newest first, once the newest outbound one has this status.
async fn messages(server: &Server, status: &str) -> Vec<Value> {
    eventually(WITHIN, || async {
        let found = ask(server, &["messages", "--contact", CUSTOMER, "--json"]);
        let all = found.as_array().expect("an array").clone();
        let newest = all.iter().find(|message| message["direction"] == "out");
        if newest.is_some_and(|newest| newest["status"] == status) { Ok(all) } else { Err(found) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rcs_message_is_answered_by_rcs_and_its_read_report_is_joined() {
    let (provider, mut server) = rig().await;
    write(&server, "/api/twilio/demo/rcs", 1, "CITA").await;
    provider.wait_taken(1).await;
    let sent = &provider.sent()[0];
    let addresses = (sent.from.as_deref(), sent.to.as_str());
    assert_eq!(addresses, (Some("rcs:clinica_sol_agent"), "rcs:+34600111222"));
    assert_eq!(sent.body, "Hola, CITA");

    let all = messages(&server, "read").await;
    assert_eq!(all.len(), 2, "{all:?}");
    for message in &all {
        assert_eq!(message["channel"], "rcs");
    }
    let event = ask(&server, &["events", "--json"]);
    let kinds: Vec<&Value> = event.as_array().expect("an array").iter().map(|event| &event["kind"]).collect();
    assert!(kinds.contains(&&json!("inbound_rcs")), "{kinds:?}");
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rcs_message_at_the_webhook_of_another_channel_is_taken_as_rcs() {
    let (provider, mut server) = rig().await;
    for (sid, channel) in [(1, "sms"), (2, "whatsapp")] {
        write(&server, &format!("/api/twilio/demo/{channel}"), sid, "CITA").await;
    }
    provider.wait_taken(2).await;
    for sent in provider.sent() {
        assert_eq!((sent.from.as_deref(), sent.to.as_str()), (Some("rcs:clinica_sol_agent"), "rcs:+34600111222"));
    }
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_rcs_is_confirmed_and_holds_on_that_channel_only() {
    let (provider, mut server) = rig().await;
    write(&server, "/api/twilio/demo/rcs", 1, "Dame de baja, por favor").await;
    provider.wait_taken(1).await;
    assert!(provider.sent()[0].body.contains("START"), "{:?}", provider.sent()[0].body);

    let refused = run(&mut recado(&server, &["send", "--to", CUSTOMER, "--rcs", "--json", "hello"]));
    let refused: Value = serde_json::from_str(&refused.out).expect("JSON");
    assert_eq!(refused["state"], "blocked", "{refused}");
    let sent = ask(&server, &["send", "--to", CUSTOMER, "--json", "hello"]);
    assert_eq!((&sent["state"], &sent["channel"]), (&json!("sent"), &json!("sms")));
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_starts_a_conversation_by_rcs() {
    let (provider, mut server) = rig().await;
    let twilio = twilio(&server);
    let form = twilio.inbound(&message_sid(1), CUSTOMER, rig::OURS, "RCS");
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
    // The echo rule answers by SMS.
    provider.wait_taken(2).await;
    let to: Vec<String> = provider.sent().into_iter().map(|sent| sent.to).collect();
    assert!(to.contains(&format!("rcs:{CUSTOMER}")), "{to:?}");
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_id_looks_like_a_messaging_service_sends_as_itself() {
    const NAMED_MG: &str = "MGarcia_peluqueria";
    let (provider, mut server) = rig().await;
    let set = ["tenant", "set", "demo", "--rcs", NAMED_MG, "--remove-sender", &format!("rcs:{AGENT}")];
    let set = run(&mut recado(&server, &set));
    assert_eq!(set.code, Some(0), "{}", set.err);
    let sent = ask(&server, &["send", "--to", CUSTOMER, "--rcs", "--json", "hello"]);
    assert_eq!(sent["state"], "sent", "{sent}");
    assert_eq!(provider.sent()[0].from.as_deref(), Some("rcs:MGarcia_peluqueria"));
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_tenant_is_moved_as_the_error_says() {
    let (_provider, mut server) = rig().await;
    let added = run(&mut recado(&server, &["tenant", "add", "other", "--zone", "Europe/Madrid"]));
    assert_eq!(added.code, Some(0), "{}", added.err);
    let taken = run(&mut recado(&server, &["tenant", "set", "other", "--rcs", AGENT]));
    assert_eq!(taken.code, Some(1), "{}", taken.err);
    let (_, command) = taken.err.split_once("from there first: recado ").expect("a command");
    let moved = run(&mut recado(&server, &command.split_whitespace().collect::<Vec<_>>()));
    assert_eq!(moved.code, Some(0), "{command}: {}", moved.err);
    let set = run(&mut recado(&server, &["tenant", "set", "other", "--rcs", AGENT]));
    assert_eq!(set.code, Some(0), "{}", set.err);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_to_who_prefers_rcs_goes_out_by_rcs() {
    let (provider, mut server) = rig().await;
    write(&server, "/api/twilio/demo/rcs", 1, "PREFER").await;
    write(&server, "/api/twilio/demo/rcs", 2, "NOTICE").await;
    provider.wait_taken(1).await;
    let sent = &provider.sent()[0];
    assert_eq!((sent.to.as_str(), sent.body.as_str()), ("rcs:+34600111222", "a notice"));
    assert!(server.stop().await.success());
}
