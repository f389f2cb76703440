//! Customers on the command line and over the API: listed, added, tagged and noted, with their history.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CUSTOMER, beside, options, run};
use crate::faults::rig;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::voice::agents::Api;
use crate::voice::caller::{self, ANA, Caller};

const RULES: &str = r#"
rule("menu").on("call_received").then(|e| gather("call", #{ say: "Say yes or no.", input: "speech" }))
    .on_input("call", |e, input| { note(`wants: ${input}`); say("Thank you."); hangup() });
rule("after").on("call_completed").then(|e| note("called back \x1b[2J"));
rule("later").on("call_completed").after("1s").then(|e| note("a second later"));
rule("texts").on("inbound_sms").then(|e| { note("wrote"); tag("writes"); });
"#;

fn kinds(history: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let of =
        |one: &Value| (text(&one["kind"]), if one["kind"] == "note" { text(&one["new"]) } else { text(&one["name"]) });
    history.as_array().expect("a list").iter().map(of).collect()
}

#[tokio::test]
async fn customers_are_added_listed_tagged_and_noted() {
    let server = Server::start(options()).await;
    let add = |args: &[&str]| beside(&server, &[&["customers", "add"], args].concat());
    let ana = add(&["+34 600 111 222", "--name", "Ana", "--tag", "vip", "--field", "size=38", "--json"]).json();
    assert_eq!((&ana["phone"], &ana["name"], &ana["tags"]), (&json!(CUSTOMER), &json!("Ana"), &json!(["vip"])));
    assert_eq!(ana["fields"]["size"], "38");
    add(&[CUSTOMER]).fails(1, &["customers show"]);
    add(&["600"]).fails(1, &[]);
    add(&["+34600333444", "--tag", ""]).fails(1, &["tag"]);
    assert!(add(&["+34600333444"]).ok().contains("+34600333444"));

    let list = |args: &[&str]| beside(&server, &[&["customers", "list"], args].concat());
    let all = list(&["--json"]).json();
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    assert_eq!(all[0], ana, "the oldest first, in the same shape");
    assert_eq!(list(&["--tag", "vip", "--json"]).json(), json!([ana]));
    assert!(list(&["--tag", "nobody"]).ok().contains("no such customer"));
    let page = list(&["--limit", "1"]).ok();
    let id = ana["id"].as_str().expect("an id");
    assert!(page.contains("Ana") && page.contains("[vip]") && page.contains(&format!("--after {id}")), "{page}");
    let rest = list(&["--after", id]).ok();
    assert!(rest.contains("+34600333444") && !rest.contains("Ana"), "{rest}");

    let tag = |args: &[&str]| beside(&server, &[&["customers", "tag"], args].concat());
    let tagged = tag(&[CUSTOMER, "new", "gold", "--remove", "vip", "--json"]).json();
    assert_eq!(tagged["tags"], json!(["gold", "new"]));
    assert_eq!(tag(&[id, "--remove", "new", "--json"]).json()["tags"], json!(["gold"]), "by the id, too");
    tag(&[CUSTOMER]).fails(2, &["TAGS"]);
    tag(&[CUSTOMER, "x", "--remove", "x"]).fails(2, &["both"]);
    tag(&["+34600999888", "x"]).fails(1, &["customers list"]);

    let note = |text: &str| beside(&server, &["customers", "note", CUSTOMER, text, "--json"]);
    let made = note(" asked for a call back ").json();
    assert_eq!((&made["kind"], &made["new"]), (&json!("note"), &json!("asked for a call back")));
    assert_eq!((&made["by"], &made["rule"], &made["call"]), (&json!("cli"), &Value::Null, &Value::Null));
    note("").fails(1, &["2000"]);
    note(&"x".repeat(2_001)).fails(1, &["2000"]);
    let other = beside(&server, &["tenant", "add", "other"]).ok();
    beside(&server, &["customers", "show", id, "--tenant", "other"]).fails(1, &["no customer"]);
    drop(other);

    let shown = beside(&server, &["customers", "show", CUSTOMER, "--json"]).json();
    let expect = [("note", "asked for a call back"), ("tag", "new"), ("tag", "vip"), ("tag", "gold")];
    let history = kinds(&shown["history"]);
    assert_eq!(history.len(), 8, "{history:?}");
    assert_eq!(history[0], (expect[0].0.to_owned(), expect[0].1.to_owned()), "the newest first");
    assert!(expect.iter().all(|(kind, name)| history.contains(&((*kind).to_owned(), (*name).to_owned()))));
    let text = beside(&server, &["customers", "show", CUSTOMER]).ok();
    for words in ["Ana", "size: 38", "note: asked for a call back (cli)", "untagged vip", "tagged gold"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}

#[tokio::test]
async fn the_notes_of_a_call_are_shown_with_the_call_and_with_the_customer() {
    let api = Api::start(caller::options(RULES)).await;
    let ana = Caller::new(&api.server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    ana.answers(&twiml, &[("SpeechResult", "sí"), ("Confidence", "0.9")]).await;
    ana.posts("/api/twilio/demo/status", &[("CallStatus", "completed"), ("CallDuration", "42")]).await;
    // A note that has to do with no call.
    let form = ana.twilio.inbound(&crate::support::webhook::message_sid(9), ANA, rig::OURS, "hola");
    assert_eq!(rig::post(&ana.twilio, &form).await, Some(200));

    let call = eventually(Duration::from_secs(30), || async {
        let (_, call) = api.get(&format!("calls/{}", ana.sid)).await;
        if call["notes"].as_array().is_some_and(|notes| notes.len() == 3) { Ok(call) } else { Err(call) }
    })
    .await;
    let notes = &call["notes"];
    let texts: Vec<&str> = notes.as_array().unwrap().iter().filter_map(|note| note["new"].as_str()).collect();
    assert_eq!(texts, ["wants: si", "called back \u{1b}[2J", "a second later"], "in their order");
    assert_eq!((&notes[0]["rule"], &notes[0]["call"]), (&json!("menu"), &json!(ana.sid)));

    let customer = call["customer"].as_str().expect("she is known");
    let shown = eventually(Duration::from_secs(30), || async {
        let (_, shown) = api.get(&format!("customers/{customer}")).await;
        if shown["history"].as_array().is_some_and(|history| history.len() == 5) { Ok(shown) } else { Err(shown) }
    })
    .await;
    assert_eq!(shown["phone"], ANA);
    let history = shown["history"].as_array().expect("a list");
    assert!(
        notes.as_array().unwrap().iter().all(|note| history.contains(note)),
        "the notes of the call are among them"
    );
    let (mut pages, mut path) = (Vec::new(), format!("customers/{customer}/history?limit=2"));
    loop {
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200, "{page}");
        pages.extend(page["items"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("customers/{customer}/history?limit=2&after={next}");
    }
    assert_eq!(&pages, history, "each once, the newest first");

    // A program adds one; a repeat of the request adds no other.
    let (status, made) = api.post(&format!("customers/{customer}/notes"), &json!({"text": "paid"})).await;
    assert_eq!((status, &made["new"], &made["by"]), (201, &json!("paid"), &json!("api: test")));
    let nobody = uuid::Uuid::nil();
    assert_eq!(api.post(&format!("customers/{nobody}/notes"), &json!({"text": "x"})).await.0, 404);
    assert_eq!(api.post(&format!("customers/{customer}/notes"), &json!({"text": " "})).await.0, 422);
    assert_eq!(api.get(&format!("customers/{nobody}/history")).await.0, 404);

    // On the command line, made safe for a terminal.
    let said = run(&mut rig::recado(&api.server, &["calls", &ana.sid])).ok();
    for words in ["note: wants: si (rule menu)", "note: called back \u{fffd}[2J", "note: a second later"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!said.contains("note: wrote"), "{said}");
    let json = run(&mut rig::recado(&api.server, &["calls", &ana.sid, "--json"])).json();
    assert_eq!(&json["notes"], notes);
    let said = run(&mut rig::recado(&api.server, &["customers", "show", ANA])).ok();
    assert!(said.contains(&format!("note: wants: si (rule menu) in {}", ana.sid)) && said.contains("wrote"), "{said}");
}

/// Somebody has to call back: the numbers are whole, and a withheld one says so.
#[tokio::test]
async fn the_list_of_calls_shows_whom_to_call_back() {
    let api = Api::start(caller::options("")).await;
    Caller::new(&api.server, 1).posts("/api/twilio/demo/status", &[("CallStatus", "no-answer")]).await;
    let withheld = Caller { from: "+266696687".into(), ..Caller::new(&api.server, 2) };
    withheld.posts("/api/twilio/demo/status", &[("CallStatus", "no-answer")]).await;
    let said = run(&mut rig::recado(&api.server, &["calls"])).ok();
    let [hidden, known] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(known.contains(&format!("{ANA} → {}", rig::OURS)), "{said}");
    assert!(hidden.contains("(withheld) → "), "{said}");
}
