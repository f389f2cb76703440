//! Promises of texts, a missing folder of rules, and rules that are left out, as an operator meets them.

use serde_json::Value;

use super::{alone, beside, command, options, run};
use crate::support::ports::free_port;
use crate::support::server::Server;

const BOOKED: &str = "rule(\"visit booked\").on(\"appointment_booked\").blueprint()
    .param(\"text\", \"See you on Monday. Reply X to cancel it.\").then(|e| send_sms(e.contact, e.params.text));
rule(\"visit cancel\").on(\"inbound_sms\").keyword(\"X\").blueprint().then(|e| reply(\"It is cancelled.\"));\n";

#[tokio::test]
async fn enabling_a_blueprint_tells_what_its_text_promises_in_vain() {
    let server = Server::start(options().file("rules/visits.rhai", BOOKED)).await;
    let enabled = beside(&server, &["tenant", "set", "demo", "--enable", "visit booked"]);
    assert_eq!(enabled.code, Some(0), "{enabled:?}");
    for words in ["a text of \"visit booked\" promises that X does something", "--enable \"visit cancel\""] {
        assert!(enabled.err.contains(words), "{words}\n{}", enabled.err);
    }
    let told = |found: &Value| {
        let findings = found["findings"].as_array().expect("a list").clone();
        findings
            .into_iter()
            .any(|finding| finding["says"].as_str().is_some_and(|says| says.contains("promises that X")))
    };
    let doctor = beside(&server, &["doctor", "--offline", "--json"]);
    assert!(told(&serde_json::from_str(&doctor.out).expect("JSON")), "{}", doctor.out);

    let enabled = beside(&server, &["tenant", "set", "demo", "--enable", "visit cancel"]);
    assert!(!enabled.err.contains("promises"), "{}", enabled.err);
    let doctor = beside(&server, &["doctor", "--offline", "--json"]);
    assert!(!told(&serde_json::from_str(&doctor.out).expect("JSON")), "{}", doctor.out);
    let disabled = beside(&server, &["tenant", "set", "demo", "--disable", "visit cancel"]);
    assert!(disabled.err.contains("promises that X"), "what it leaves behind is told, too: {}", disabled.err);
}

#[test]
fn check_tells_promises_that_no_rule_of_the_folder_keeps() {
    let live = "rule(\"hint\").on(\"vip_came\").then(|e| send_sms(e.contact, \"Reply GO to begin.\"));\n";
    let check = alone(&[("rules/hint.rhai", live)], &["check"]);
    assert_eq!(check.code, Some(0), "a warning: {check:?}");
    assert!(check.out.contains("hint.rhai:1: warning: a text promises that GO does something"), "{}", check.out);
    let blueprint =
        format!("{live}rule(\"go\").on(\"inbound_sms\").keyword(\"GO\").blueprint().then(|e| reply(\"Go!\"));\n");
    let check = alone(&[("rules/hint.rhai", &blueprint)], &["check"]);
    assert!(check.out.contains("only a blueprint answers it (ask e.business.enabled(\"go\")"), "{}", check.out);
    let kept = format!("{live}rule(\"go\").on(\"inbound_sms\").keyword(\"GO\").then(|e| reply(\"Go!\"));\n");
    assert!(!alone(&[("rules/hint.rhai", &kept)], &["check"]).out.contains("promises"));
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let check = run(command(folder.path(), &["check"]).env("RULES_DIR", shipped));
    assert!(!check.out.contains("promises"), "the shipped texts offer only what is enabled: {}", check.out);
}

#[test]
fn the_server_does_not_start_without_its_rules_unless_it_is_told_so() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let serve = |rules: Option<&str>| {
        let mut serve = command(folder.path(), &["serve"]);
        serve.env("LISTEN", format!("127.0.0.1:{}", free_port())).envs(rules.map(|rules| ("RULES_DIR", rules)));
        run(&mut serve)
    };
    serve(None).fails(1, &["the rules folder rules is missing", "RULES_DIR=off"]);
    serve(Some("ruels")).fails(1, &["the rules folder ruels is missing"]);
    assert!(!folder.path().join("data/recado.db").exists(), "no database was made");
    let check = run(command(folder.path(), &["check"]).env("RULES_DIR", "ruels"));
    assert_eq!(check.code, Some(1), "{check:?}");
    let check = run(command(folder.path(), &["check"]).env("RULES_DIR", "off"));
    assert_eq!((check.code, check.out.contains("without rules")), (Some(0), true), "{check:?}");
}

#[tokio::test]
async fn a_server_without_rules_runs_if_it_is_configured_so() {
    let server = Server::start(crate::support::server::ServerOptions::default().env("RULES_DIR", "off")).await;
    beside(&server, &["webhook", "--from", "+34600111222", "HOLA"]).ok();
}

/// The shift of one variable would give a rule the words of another.
#[tokio::test]
async fn a_rule_never_listens_to_another_rules_words() {
    let shifted = "let out = \"QUITAR\";\nlet into = \"PONER\";\nlet tariff = read_tariff();\n\
        rule(\"into\").on(\"inbound_sms\").keyword(into).then(|e| reply(\"You are in\"));\n\
        rule(\"tariff\").on(\"inbound_sms\").keyword(tariff).then(|e| reply(\"20\"));\n";
    let server = Server::start(options().file("rules/shifted.rhai", shifted)).await;
    let check = beside(&server, &["check", "--json"]);
    let report: Value = serde_json::from_str(&check.out).expect("JSON, though it failed");
    let rules = report["rules"].as_array().expect("a list");
    let into = rules.iter().find(|rule| rule["name"] == "into").expect("it is good");
    assert_eq!(into["keywords"], serde_json::json!(["PONER"]));
    assert!(!rules.iter().any(|rule| rule["name"] == "tariff"), "{report:#}");
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["rule"] == "tariff"), "{report:#}");
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("'tariff' has no value, because line 3 failed"), "{log}");
}
