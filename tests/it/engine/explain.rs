//! `recado explain` decides on the facts that dispatch and the live call decide on.

use std::time::Duration;

use serde_json::Value;

use crate::cli;
use crate::faults::rig;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::voice::caller::{Caller, options};

const WITHIN: Duration = Duration::from_secs(20);

/// A rule that reads the call.
const RINGS: &str = r#"
rule("rings").on("call_received")
    .when("they ring us", |e| e.call.direction == "in")
    .then(|e| say("Hola"));
"#;

#[tokio::test]
async fn todays_rules_read_the_call_of_a_call_event() {
    let server = Server::start(options(RINGS)).await;
    let twiml = Caller::new(&server, 1).posts("/api/twilio/demo/answer", &[]).await;
    twiml.says("Hola");
    let event = eventually(WITHIN, || async {
        let events = cli::run(&mut rig::recado(&server, &["events", "--json"])).json();
        let found = events.as_array().and_then(|events| events.iter().find(|event| event["kind"] == "call_received"));
        found.and_then(|event| event["id"].as_str()).map(str::to_owned).ok_or(events)
    })
    .await;
    let explain = || cli::run(&mut rig::recado(&server, &["explain", &event, "--json"])).json();
    let rule = |explanation: &Value| explanation["rules"][0].clone();
    let decided = rule(&explain());
    assert_eq!((&decided["rule"], &decided["decided"]["verdict"]), (&"rings".into(), &"fired".into()), "{decided}");

    // Explain asks today's rules only where their version has changed.
    let file = server.folder().join("rules/echo.rhai");
    std::fs::write(file, format!("{RINGS}// changed\n")).expect("the folder is ours");
    let explanation = explain();
    let again = rule(&explanation);
    assert_eq!(again["decided"]["verdict"], "fired", "{again}");
    assert_eq!(again["today"]["verdict"], "fired", "{again}");
    let not_rebuilt = explanation["facts"]["not_rebuilt"].to_string();
    assert!(not_rebuilt.contains("the call is as it stands today"), "{not_rebuilt}");
}
