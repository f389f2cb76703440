//! Calls over the REST API: listed, shown and placed; their legs.

use std::time::Duration;

use recado::emulators::twilio::{Party, PicksUp, Step};
use reqwest::Method;
use serde_json::{Value, json};

use super::agents::Api;
use super::caller::{ANA, Caller, options};
use crate::cli;
use crate::faults::rig::{self, OURS, customer};
use crate::features::campaigns::provider;
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;

const WITHIN: Duration = Duration::from_secs(30);
const STAFF: &str = "+34600999888";
const RULES: &str = r#"
rule("desk").on("call_received").then(|e| { say("One moment."); dial("+34600999888", #{ otherwise: "nobody" }) })
    .on_input("nobody", |e, input| { say("Nobody is there."); hangup() });
rule("through").on("call_failed").then(|e| note("it came to nothing"))
    .on_call("start", |e| dial("+34600999888", #{ otherwise: "sorry" }))
    .on_input("sorry", |e, input| { say("Nobody is there."); hangup() });
"#;

/// The provider's status of a leg.
async fn leg_told(ana: &Caller, path: &str, leg: &str, status: &str, more: &[(&str, &str)]) -> u16 {
    let leg = Caller {
        sid: leg.to_owned(),
        from: OURS.into(),
        to: STAFF.into(),
        direction: "outbound-dial",
        twilio: ana.twilio.clone(),
    };
    let form = [&[("ParentCallSid", ana.sid.as_str()), ("CallStatus", status)], more].concat();
    leg.posts(path, &form).await.status
}

#[tokio::test]
async fn a_call_is_shown_whole_with_its_legs_and_only_to_its_tenant() {
    let api = Api::start(options(RULES)).await;
    cli::run(&mut rig::recado(&api.server, &["tenant", "add", "other"])).ok();
    let ana = Caller::new(&api.server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(twiml.text("Number").as_deref(), Some(STAFF));
    let callback = twiml.attribute("statusCallback").expect("it is told how the leg fares");
    let callback = callback.strip_prefix(&ana.twilio.public_url).expect("a URL of ours").to_owned();
    let leg = format!("CA{:032x}", 77);
    // Out of order, and repeated.
    for status in ["in-progress", "ringing", "in-progress"] {
        assert_eq!(leg_told(&ana, &callback, &leg, status, &[]).await, 200);
    }
    let (_, shown) = api.get(&format!("calls/{}", ana.sid)).await;
    assert_eq!((&shown["legs"][0]["status"], &shown["legs"][0]["ended_at"]), (&json!("in-progress"), &Value::Null));
    assert_eq!(leg_told(&ana, &callback, &leg, "completed", &[("CallDuration", "31")]).await, 200);
    let ended = [("DialCallStatus", "completed"), ("DialCallSid", leg.as_str()), ("DialCallDuration", "31")];
    ana.answers(&twiml, &ended).await;
    let recording = "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1";
    let over =
        [("CallStatus", "completed"), ("CallDuration", "42"), ("RecordingSid", "RE1"), ("RecordingUrl", recording)];
    ana.posts("/api/twilio/demo/status", &over).await;

    let (status, shown) = api.get(&format!("calls/{}", ana.sid)).await;
    assert_eq!(status, 200, "{shown}");
    let expected =
        [("from", ANA), ("to", OURS), ("direction", "in"), ("status", "completed"), ("recording_url", recording)];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{shown}");
    }
    assert_eq!((&shown["duration_s"], &shown["rules"]), (&json!(42), &json!(["desk"])), "{shown}");
    assert!(shown["customer"].is_string() && shown["started_at"].is_string() && shown["ended_at"].is_string());
    let one = &shown["legs"][0];
    assert_eq!((&one["to"], &one["sid"], &one["turn"]), (&json!(STAFF), &json!(leg), &json!(1)));
    assert_eq!((&one["status"], &one["duration_s"]), (&json!("completed"), &json!(31)));
    assert!(one["ended_at"].is_string() && shown["legs"].as_array().is_some_and(|legs| legs.len() == 1), "{shown}");
    assert_eq!(shown["transcript"][0], json!({"who": "us", "text": "One moment."}));
    assert_eq!((&shown["turns"][0]["how"], &shown["turns"][0]["answer"][1]["do"]), (&json!("rules"), &json!("dial")));
    let kinds: Vec<_> = shown["events"].as_array().expect("a list").iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["call_received", "call_input", "recording_ready", "call_completed"]);
    let event = shown["events"][0]["id"].as_str().expect("an id");
    assert_eq!(api.get(&format!("events/{event}")).await.1["data"]["sid"], ana.sid, "which can be asked for");

    // The call is found by our id, too, by its tenant only; the leg is no call of its own.
    let id = shown["id"].as_str().expect("an id");
    assert_eq!(api.get(&format!("calls/{id}")).await.1["sid"], ana.sid);
    let other = Api::token(&api.server, "other");
    for wanted in [id, &ana.sid, &leg, "nothing", "%00"] {
        let (status, problem) = api.ask(&other, Method::GET, &format!("calls/{wanted}"), None).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{wanted}");
    }
    let (_, listed) = api.get("calls").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    // The command prints the same.
    let said = cli::run(&mut rig::recado(&api.server, &["calls", &ana.sid])).ok();
    assert!(said.contains("put through to") && said.contains("completed, 31 s"), "{said}");
    let json = cli::run(&mut rig::recado(&api.server, &["calls", &ana.sid, "--json"])).json();
    assert_eq!((&json["legs"][0]["to"], &json["rules"]), (&json!(STAFF), &json!(["desk"])));
}

#[tokio::test]
async fn calls_are_found_by_filters_and_listed_in_pages() {
    let api = Api::start(options("")).await;
    for number in 0..5 {
        Caller::new(&api.server, number).posts("/api/twilio/demo/answer", &[]).await;
    }
    let luis = Caller { from: "+34600333444".into(), ..Caller::new(&api.server, 5) };
    luis.posts("/api/twilio/demo/status", &[("CallStatus", "no-answer")]).await;
    let ours = Caller { direction: "outbound-api", from: OURS.into(), to: ANA.into(), ..Caller::new(&api.server, 6) };
    ours.posts("/api/twilio/status", &[("CallStatus", "busy")]).await;
    let sids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("a list").iter();
        items.map(|call| call["sid"].as_str().expect("an id").to_owned()).collect()
    };
    let sid = |number: u128| format!("CA{number:032x}");
    let (mut seen, mut path) = (Vec::new(), "calls?limit=3".to_owned());
    loop {
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(sids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("calls?limit=3&after={next}");
    }
    assert_eq!(seen, (0..7).rev().map(sid).collect::<Vec<_>>(), "each once, the newest first");

    let (_, shown) = api.get(&format!("calls/{}", sid(5))).await;
    let (luis, since) = (shown["customer"].as_str().expect("known"), shown["started_at"].as_str().expect("a time"));
    for (filter, wanted) in [
        ("direction=out".to_owned(), vec![sid(6)]),
        ("status=no-answer".to_owned(), vec![sid(5)]),
        ("number=%2B34600333444".to_owned(), vec![sid(5)]),
        (format!("customer={luis}"), vec![sid(5)]),
        (format!("since={since}&direction=in"), vec![sid(5)]),
        (format!("until={since}&limit=2"), vec![sid(4), sid(3)]),
        ("number=%2B34600333444&direction=out".to_owned(), vec![]),
    ] {
        let (_, page) = api.get(&format!("calls?{filter}")).await;
        assert_eq!(sids(&page), wanted, "{filter}");
    }
    for wrong in ["direction=up", "status=gone", "number=600", "since=today", "limit=0", "limit=201", "nmber=1"] {
        let (status, problem) = api.get(&format!("calls?{wrong}")).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("bad_request")), "{wrong}: {problem}");
    }
    let calls = |args: &[&str]| cli::run(&mut rig::recado(&api.server, &[&["calls", "--json"], args].concat())).json();
    let found = calls(&["--number", "+34600333444", "--direction", "in", "--status", "no-answer", "--since", "1h"]);
    assert_eq!((found.as_array().map(Vec::len), &found[0]["sid"]), (Some(1), &json!(sid(5))));
    cli::run(&mut rig::recado(&api.server, &["calls", "--status", "gone"])).fails(2, &["no-answer"]);
}

/// Against the carrier: a program's call is placed once, and its leg is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_calls_once_a_key_and_sees_what_became_of_it() {
    let provider = provider(1).await;
    provider.carrier.set_party(STAFF, Party::picks_up(PicksUp::Busy)).expect("a party");
    provider.carrier.set_party(&customer(1), Party::does([Step::speech("hello")])).expect("a party");
    let api = Api::start(rig::options(&provider.url).file("rules/echo.rhai", RULES)).await;
    let begin = async |body: &Value, key: &str| {
        let url = format!("{}/api/v1/calls", api.server.url());
        let request = http_client().post(url).bearer_auth(&api.token).header("idempotency-key", key).json(body);
        let answer = request.send().await.expect("it answers");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let body = json!({"to": customer(1), "rule": "through", "step": "start", "state": {"order": 7}});
    let (status, begun) = begin(&body, "k1").await;
    assert_eq!(status, 202, "{begun}");
    assert_eq!(begin(&body, "k1").await, (202, begun.clone()), "the same answer, and no second call");
    let id = begun["id"].as_str().expect("an id").to_owned();
    let call = eventually(WITHIN, || async {
        let (status, call) = api.get(&format!("calls/{id}")).await;
        if status == 200 && call["status"] == "completed" { Ok(call) } else { Err(call) }
    })
    .await;
    assert_eq!((&call["direction"], &call["to"], &call["action"]), (&json!("out"), &json!(customer(1)), &json!(id)));
    let leg = eventually(WITHIN, || async {
        let (_, call) = api.get(&format!("calls/{id}")).await;
        // Its SID is known from its own callback.
        if call["legs"][0]["sid"].is_string() { Ok(call["legs"][0].clone()) } else { Err(call) }
    })
    .await;
    assert_eq!((&leg["to"], &leg["status"]), (&json!(STAFF), &json!("busy")), "{leg}");
    let made = provider.carrier.calls().into_iter().filter(|call| call.to == customer(1)).count();
    assert_eq!(made, 1);
    let (_, listed) = api.get("calls").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "the leg is no call of its own: {listed}");

    // A call that cannot start says which can.
    let wrong = [
        (json!({"rule": "thruogh", "step": "start"}), "no_beginning", "did you mean 'through'?"),
        (json!({"rule": "through", "step": "begin"}), "no_beginning", "its steps: start"),
        (json!({"agent": "Max"}), "no_such_agent", "recado agents list"),
        (json!({}), "bad_call", "(say)"),
        (json!({"say": "Hello", "agent": "Max"}), "bad_call", "(say)"),
        (json!({"say": "x".repeat(3_001)}), "bad_call", "3000 characters"),
        (json!({"say": "Hello", "timeout_s": 4}), "bad_call", "5 to 600"),
        (json!({"say": "Hello", "to": "600 111 222"}), "not_e164", "+"),
    ];
    for (mut body, code, says) in wrong {
        if body.get("to").is_none() {
            body["to"] = json!(customer(2));
        }
        let (status, problem) = api.post("calls", &body).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some(code)), "{body}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{problem}");
    }
}

#[tokio::test]
async fn a_call_by_hand_begins_at_a_step_that_there_is() {
    let server = Server::start(options(RULES)).await;
    let call = |args: &[&str]| cli::run(&mut rig::recado(&server, &[&["call", "demo", ANA], args].concat()));
    call(&["--rule", "nosuch", "--step", "start"]).fails(1, &["there is no rule 'nosuch'", "through"]);
    call(&["--rule", "through", "--step", "begin"]).fails(1, &["begins no call at 'begin'", "start"]);
    call(&["--rule", "desk", "--step", "start"]).fails(1, &[".on_call(\"start\""]);
    call(&["--agent", "Max"]).fails(1, &["no voice agent 'Max'"]);
    let sends = rig::Look::into(server.folder()).await;
    assert_eq!(sends.count("actions").await, 0);
    let planned = call(&["--rule", "through", "--step", "start", "--json"]).json();
    assert_eq!(sends.count("actions").await, 1);
    assert_eq!((&planned["kind"], &planned["to"], &planned["channel"]), (&json!("call"), &json!(ANA), &json!("voice")));
}
