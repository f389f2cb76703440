//! A campaign's calls start at an existing step of an existing rule.

use serde_json::{Value, json};

use super::campaigns::campaigns;
use crate::cli;
use crate::faults::rig;
use crate::voice::agents::Api;
use crate::voice::caller::options;

const RULES: &str = r#"
rule("interest").on_call("begin", |e| say("Hello"));
rule("deaf").on("inbound_sms").then(|e| reply("yes?"));
rule("asleep").blueprint().on_call("begin", |e| say("Hello"));
"#;

/// A rule, a step, and the error texts.
const WRONG: [(&str, &str, &[&str]); 5] = [
    ("intrest", "begin", &["there is no rule 'intrest'", "did you mean 'interest'?"]),
    ("nosuch", "x", &["there is no rule 'nosuch'", "those that begin calls: interest, asleep"]),
    ("interest", "bgin", &["begins no call at 'bgin'", "did you mean 'begin'?"]),
    ("deaf", "begin", &["the rule 'deaf' begins no calls", r#"add .on_call("begin", |e| say("…"))"#]),
    ("asleep", "begin", &["the rule 'asleep' sleeps", "recado tenant set demo --enable asleep"]),
];

#[tokio::test]
async fn a_campaign_whose_calls_cannot_start_is_refused_with_suggestions() {
    let api = Api::start(options(RULES)).await;
    let server = &api.server;
    let plan = |rule: &str, step: &str| json!({"call": {"rule": rule, "step": step}});
    for (rule, step, says) in WRONG {
        let args = ["campaigns", "add", "c", "--rule", rule, "--step", step];
        cli::run(&mut rig::recado(server, &args)).fails(1, says);
        let (status, problem) = api.post("campaigns", &json!({"name": "c", "plan": plan(rule, step)})).await;
        assert_eq!((status, &problem["code"]), (422, &json!("bad_campaign")), "{problem}");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(says.iter().all(|words| detail.contains(words)), "{detail}");
    }
    assert_eq!(campaigns(server, &["list"]), json!([]));
    // An existing step is accepted; that of a disabled rule, once the rule is enabled.
    let args = ["add", "cli", "--rule", "interest", "--step", "begin"];
    assert_eq!(campaigns(server, &args)["state"], "draft");
    let (status, made) = api.post("campaigns", &json!({"name": "api", "plan": plan("interest", "begin")})).await;
    assert_eq!(status, 201, "{made}");
    cli::run(&mut rig::recado(server, &["tenant", "set", "demo", "--enable", "asleep"])).ok();
    assert_eq!(campaigns(server, &["add", "woken", "--rule", "asleep", "--step", "begin"])["state"], "draft");
}

#[tokio::test]
async fn a_campaign_whose_rule_was_removed_does_not_start() {
    let api = Api::start(options(RULES)).await;
    let server = &api.server;
    let add = ["add", "c", "--rule", "interest", "--step", "begin"];
    let drafted: Value = campaigns(server, &add);
    assert_eq!(drafted["state"], "draft");
    let file = server.folder().join("rules/echo.rhai");
    std::fs::write(file, RULES.replace("\"interest\"", "\"interested\"")).expect("a file can be written");
    let start = ["campaigns", "start", "c"];
    cli::run(&mut rig::recado(server, &start)).fails(1, &["there is no rule 'interest'", "did you mean 'interested'?"]);
    assert_eq!(campaigns(server, &["show", "c"])["state"], "draft");
}
