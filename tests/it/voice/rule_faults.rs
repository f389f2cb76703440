//! Rules of calls that fail, and rules that speak in the same call.

use std::time::Duration;

use serde_json::json;

use super::caller::{ANA, Caller, options};
use super::metrics::Metrics;
use crate::cli;
use crate::faults::rig::{self, Look, OURS};
use crate::support::ports::free_port;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(20);

/// It reads what the event does not have.
const FAILS: &str = r#"
rule("desk").on("call_received")
    .then(|e| { say(`You are number ${e.data.queue.position}`); gather("order", #{ say: "Your order?" }) })
    .on_input("order", |e, input| hangup());
rule("noted").on("call_received").then(|e| note("rang"));
"#;

#[tokio::test]
async fn a_rule_that_fails_in_a_call_is_logged_counted_and_told_by_the_doctor() {
    let port = free_port();
    let server = Server::start(options(FAILS).env("METRICS_LISTEN", format!("127.0.0.1:{port}"))).await;
    let ana = Caller::new(&server, 1);
    let heard = ana.posts("/api/twilio/demo/answer", &[]).await;
    heard.says("We are sorry");
    assert!(!heard.verbs().contains(&"Gather".to_owned()), "nobody listens: {}", heard.document);
    let metrics = Metrics::read(port).await;
    assert_eq!(metrics.value("recado_call_rule_errors_total"), 1.0, "{}", metrics.0);
    assert_eq!(metrics.value("recado_rule_errors_total"), 1.0);
    let log = server.log();
    assert!(log.contains("a rule failed in a call") && log.contains("desk"), "{log}");
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    let doctor = cli::run(&mut rig::recado(&server, &["doctor", "--offline", "--json"]));
    assert_eq!(doctor.code, Some(1), "a call that is not answered as it should be is an error");
    let found: serde_json::Value = serde_json::from_str(&doctor.out).expect("it is JSON");
    let told = found["findings"].as_array().expect("a list").iter().find(|finding| finding["subject"] == "desk");
    let told = told.unwrap_or_else(|| panic!("{found:#}"));
    assert_eq!((&told["severity"], &told["tenant"]), (&json!("error"), &json!("demo")));
    assert!(told["says"].as_str().expect("a text").contains("callers heard something else"), "{told}");
    assert!(told["remedy"].as_str().expect("a text").contains("recado explain"), "{told}");
}

const TWO: &str = r#"
rule("menu").on("call_received")
    .then(|e| menu("main", #{ say: "Press 1.", "1": "one", digits: 1 }))
    .on_input("one", |e, input| { note(`pressed ${e.digits}`); say("You pressed one."); hangup() });
rule("owner").on("call_received").then(|e| { tag("put through"); dial("+34911000001") });
rule("count").on("call_received").then(|e| note("rang"));
"#;

#[tokio::test]
async fn of_two_rules_that_speak_the_first_has_the_call() {
    let server = Server::start(options(TWO)).await;
    let ana = Caller::new(&server, 1);
    let heard = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert!(!heard.verbs().contains(&"Dial".to_owned()), "{}", heard.document);
    heard.says("Press 1.");
    ana.answers(&heard, &[("Digits", "1")]).await.says("You pressed one.");
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    let event = look.text_or_number("SELECT lower(hex(id)) FROM events WHERE kind = 'call_received'").await;
    let event = uuid::Uuid::parse_str(&event).expect("an id").to_string();
    let shown = cli::run(&mut rig::recado(&server, &["explain", &event])).ok();
    for words in ["+ menu: fired", "- owner: not asked: \"menu\" has the call", "+ count: fired"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    assert_eq!(look.count("contacts WHERE tags LIKE '%put through%'").await, 0);
}

const OUTBOUND: &str = r#"
rule("place").on("inbound_sms").keyword("CALL")
    .then(|e| call(e.contact, "start", #{ state: #{ order: 7 } }))
    .on_call("start", |e| dial("+34911000001"));
rule("failed").on("call_failed").then(|e| note(`order ${e.call.state.order}: ${e.data.reason}`));
"#;

#[tokio::test]
async fn a_call_that_fails_knows_what_it_was_placed_with() {
    let server = Server::start(options(OUTBOUND)).await;
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(1), ANA, OURS, "CALL");
    assert_eq!(twilio.post("/api/twilio/demo/sms", &form).await.expect("it answers").status().as_u16(), 200);
    let look = Look::into(server.folder()).await;
    let action = eventually(WITHIN, || async {
        let found =
            look.text_or_number("SELECT coalesce(max(lower(hex(id))), '') FROM actions WHERE kind = 'call'").await;
        uuid::Uuid::parse_str(&found).map_err(|error| error.to_string())
    })
    .await;
    let ours = Caller { direction: "outbound-api", from: OURS.into(), to: ANA.into(), ..Caller::new(&server, 4) };
    let path = format!("/api/twilio/demo/calls/{action}/status");
    assert_eq!(ours.posts(&path, &[("CallStatus", "ringing")]).await.status, 200);
    assert_eq!(ours.posts(&path, &[("CallStatus", "no-answer")]).await.status, 200);
    eventually(WITHIN, || async {
        let noted = look.text_or_number("SELECT coalesce(max(new), '') FROM contact_history WHERE kind = 'note'").await;
        if noted.contains("order 7: no-answer") { Ok(()) } else { Err(noted) }
    })
    .await;
}

const BY_GET: &str = r#"
rule("desk").on("call_received")
    .then(|e| menu("main", #{ say: "Press 1.", "1": "one", method: "GET" }))
    .on_input("one", |e, input| { say("Putting you through."); dial("+34911000001", #{ method: "GET", otherwise: "nobody" }) })
    .on_input("nobody", |e, input| { say(`Nobody: ${e.data.outcome}`); record(#{ method: "GET", then: "done" }) })
    .on_input("done", |e, input| { say("Recorded."); hangup() });
"#;

#[tokio::test]
async fn a_rule_can_have_the_callers_actions_by_get() {
    let server = Server::start(options(BY_GET)).await;
    let ana = Caller::new(&server, 1);
    let heard = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert!(
        heard.document.contains("<Gather") && heard.attribute("method").as_deref() == Some("GET"),
        "{}",
        heard.document
    );
    let through = ana.gets(&ana.next(&heard), &[("Digits", "1")]).await;
    through.says("Putting you through.");
    assert_eq!(through.attribute("method").as_deref(), Some("GET"), "{}", through.document);
    assert_eq!(through.attribute("statusCallbackEvent").as_deref(), Some("initiated ringing answered completed"));
    let nobody =
        ana.gets(&ana.next(&through), &[("DialCallStatus", "busy"), ("DialCallSid", &format!("CA{:032x}", 9))]).await;
    nobody.says("Nobody: busy");
    assert!(nobody.document.contains("<Record") && nobody.document.contains("method=\"GET\""), "{}", nobody.document);
}
