//! Campaigns that call, against the built-in carrier over HTTP.

use std::time::Duration;

use recado::domain::Clock;
use recado::emulators::twilio::{Call, CallEvent, CarrierConfig, Fault, FaultKind, HungUpBy, On, Party, PicksUp, Step};
use serde_json::{Value, json};

use crate::cli;
use crate::faults::rig::{self, ACCOUNT, Look, OURS, Provider, TOKEN, customer};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::support::webhook::{fields, message_sid};

const WITHIN: Duration = Duration::from_secs(30);
const INTEREST: &str = include_str!("../../../rules/campaigns/interest.rhai");

/// A carrier without a limit of calls per second.
pub async fn provider(seed: u64) -> Provider {
    let mut config = CarrierConfig { seed, ..CarrierConfig::new(ACCOUNT, TOKEN, Clock::system()) };
    config.pace.calls_per_second = None;
    Provider::with(config).await
}

pub fn options(provider: &Provider) -> ServerOptions {
    rig::options(&provider.url).file("rules/echo.rhai", INTEREST)
}

/// A header line and this many customers, Ana among them.
pub fn list(members: usize) -> String {
    let lines = (1..=members).map(|n| format!("{},{}\n", customer(n), if n == 1 { "Ana" } else { "" }));
    format!("phone,name\n{}", lines.collect::<String>())
}

pub fn campaigns(server: &Server, args: &[&str]) -> Value {
    cli::run(&mut rig::recado(server, &[&["campaigns"], args, &["--json"]].concat())).json()
}

/// Waits until the campaign is done; returns its state.
pub async fn done(server: &Server, name: &str) -> Value {
    eventually(WITHIN, || async {
        let shown = campaigns(server, &["show", name, "--members", "200"]);
        if shown["state"] == "done" { Ok(shown) } else { Err(shown) }
    })
    .await
}

fn happened(call: &Call) -> Vec<&CallEvent> {
    call.entries.iter().map(|entry| &entry.what).collect()
}

fn said_texts(call: &Call) -> Vec<String> {
    let text = |what: &&CallEvent| match what {
        CallEvent::Said { text, .. } => Some(text.clone()),
        _ => None,
    };
    happened(call).iter().filter_map(text).collect()
}

fn call_to(calls: &[Call], number: usize) -> &Call {
    calls.iter().find(|call| call.to == customer(number)).expect("they are called")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_greets_says_its_text_asks_and_keeps_the_answer() {
    let provider = provider(1).await;
    let does = |number: usize, step: Step| provider.carrier.set_party(&customer(number), Party::does([step])).unwrap();
    does(1, Step::digits("1"));
    does(2, Step::speech("pues llámeme luego, por favor"));
    let server = Server::start(options(&provider).file("list.csv", list(3))).await;
    let script = "We have a new course.";
    let args =
        ["add", "spring", "--rule", "interest", "--step", "interest", "--script", script, "--import", "list.csv"];
    assert_eq!(campaigns(&server, &[&args[..], &["--per-minute", "600"]].concat())["state"], "draft");
    assert!(provider.carrier.calls().is_empty(), "a draft calls nobody");
    assert_eq!(campaigns(&server, &["start", "spring"])["state"], "running");
    let shown = done(&server, "spring").await;
    assert_eq!(shown["outcomes"], json!({"completed": 3}), "{shown}");
    let answers: Vec<&Value> = (0..3).map(|n| &shown["first_members"][n]["answer"]).collect();
    assert_eq!(answers, ["interested", "call later", "no answer"]);
    let calls = provider.carrier.calls();
    let says = said_texts(call_to(&calls, 1));
    assert!(says[0].starts_with("Hello, Ana. This is"), "{says:?}");
    assert_eq!(says[1], script);
    assert!(says.last().unwrap().ends_with("Goodbye!"), "{says:?}");
    assert!(said_texts(call_to(&calls, 3)).last().unwrap().starts_with("We did not get an answer"));
    let by_us = |what: &&CallEvent| matches!(what, CallEvent::HungUp { by: HungUpBy::Document });
    assert!(calls.iter().all(|call| happened(call).iter().any(by_us)), "each call is ended by us");
    let look = Look::into(server.folder()).await;
    assert_eq!(look.count("contact_history WHERE kind = 'note' AND new LIKE '%spring: interested%'").await, 1);
    assert_eq!(look.count("calls WHERE state LIKE '%\"answer\":\"interested\"%'").await, 1, "kept with the call, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_calls_are_tried_again_and_do_not_call_is_respected() {
    let provider = provider(2).await;
    let picks_up = |number: usize, how| provider.carrier.set_party(&customer(number), Party::picks_up(how)).unwrap();
    picks_up(1, PicksUp::Busy);
    picks_up(2, PicksUp::NoAnswer);
    picks_up(3, PicksUp::Failed);
    let server = Server::start(options(&provider).file("list.csv", list(5))).await;
    cli::run(&mut rig::recado(&server, &["do-not-call", &customer(4)])).ok();
    let args = ["add", "c", "--say", "Hello {name}", "--import", "list.csv", "--per-minute", "6000", "--tries", "2"];
    campaigns(&server, &[&args[..], &["--retry-after", "1s", "--start"]].concat());
    let shown = done(&server, "c").await;
    let outcomes = json!({"busy": 1, "no-answer": 1, "failed": 1, "blocked": 1, "completed": 1});
    assert_eq!(shown["outcomes"], outcomes, "{shown}");
    let tries: Vec<i64> = (0..5).filter_map(|n| shown["first_members"][n]["tries"].as_i64()).collect();
    assert_eq!(tries, [2, 2, 1, 1, 1], "{shown}");
    let calls = provider.carrier.calls();
    let count = |number: usize| calls.iter().filter(|call| call.to == customer(number)).count();
    assert_eq!((1..=5).map(count).collect::<Vec<_>>(), [2, 2, 1, 0, 1]);
    let blocked = shown["first_members"][3]["detail"].as_str().unwrap();
    assert!(blocked.contains("opted out of voice"), "{blocked}");
    let look = Look::into(server.folder()).await;
    for action in look.actions().await.into_iter().filter(|action| action.state == "sent") {
        let call = calls.iter().find(|call| Some(&call.sid) == action.provider_sid.as_ref()).expect("it was made");
        let asked = |what: &&CallEvent| match what {
            CallEvent::Requested { url, .. } => Some(url.clone()),
            _ => None,
        };
        let urls: Vec<String> = happened(call).iter().filter_map(asked).collect();
        let ours = format!("/api/twilio/demo/calls/{}/", action.id);
        assert!(urls.iter().all(|url| url.contains(&ours)), "{urls:?}");
    }
}

/// All orders of four, by Heap's algorithm.
fn orders(of: [&'static str; 4]) -> Vec<[&'static str; 4]> {
    fn swap(of: &mut [&'static str; 4], k: usize, found: &mut Vec<[&'static str; 4]>) {
        if k == 1 {
            return found.push(*of);
        }
        for i in 0..k {
            swap(of, k - 1, found);
            of.swap(if k.is_multiple_of(2) { i } else { 0 }, k - 1);
        }
    }
    let (mut of, mut found) = (of, Vec::new());
    swap(&mut of, 4, &mut found);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_change_once_for_repeated_and_reordered_reports() {
    let orders = orders(["initiated", "ringing", "in-progress", "completed"]);
    let provider = provider(3).await;
    provider.order(Fault { on: On::Any, ..Fault::always(FaultKind::CallbacksLost) });
    for n in 1..=orders.len() {
        provider.carrier.set_party(&customer(n), Party::picks_up(PicksUp::Live)).unwrap();
    }
    let server = Server::start(options(&provider).file("list.csv", list(orders.len()))).await;
    let args = ["add", "c", "--say", "Hello", "--import", "list.csv", "--per-minute", "6000", "--at-once", "100"];
    campaigns(&server, &[&args[..], &["--start"]].concat());
    let look = Look::into(server.folder()).await;
    let wanted = orders.len() as i64;
    eventually(WITHIN, || async {
        let sent = look.count("actions WHERE state = 'sent'").await;
        if sent == wanted { Ok(()) } else { Err(sent) }
    })
    .await;
    let twilio = rig::twilio(&server);
    let actions: Vec<_> = look.actions().await.into_iter().filter(|action| action.state == "sent").collect();
    for (action, order) in actions.iter().zip(&orders) {
        let callbacks = order.iter().chain(order.iter().rev());
        for (n, status) in callbacks.enumerate() {
            let form = fields(&[
                ("CallSid", action.provider_sid.as_deref().unwrap()),
                ("AccountSid", ACCOUNT),
                ("From", OURS),
                ("To", action.recipient.as_deref().unwrap()),
                ("Direction", "outbound-api"),
                ("CallStatus", status),
                ("CallDuration", if *status == "completed" { "17" } else { "0" }),
                ("SequenceNumber", &n.to_string()),
            ]);
            let path = format!("/api/twilio/demo/calls/{}/status", action.id);
            assert!(twilio.post(&path, &form).await.expect("it answers").status().is_success());
        }
        // Another end is reported later: the first stays.
        let form = fields(&[
            ("CallSid", action.provider_sid.as_deref().unwrap()),
            ("AccountSid", ACCOUNT),
            ("From", OURS),
            ("To", action.recipient.as_deref().unwrap()),
            ("Direction", "outbound-api"),
            ("CallStatus", "busy"),
        ]);
        let path = format!("/api/twilio/demo/calls/{}/status", action.id);
        assert!(twilio.post(&path, &form).await.expect("it answers").status().is_success());
    }
    let shown = done(&server, "c").await;
    assert_eq!(shown["calls"], json!({"completed": wanted}), "{shown}");
    assert_eq!(shown["outcomes"], json!({"completed": wanted}));
    assert_eq!((&shown["tries"], &shown["talked_s"]), (&json!(wanted), &json!(17 * wanted)));
    assert_eq!(look.count("events WHERE kind = 'call_completed'").await, wanted);
    assert_eq!(look.count("events WHERE kind = 'call_failed'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_has_its_own_voice_language_and_text_for_machines() {
    let provider = provider(4).await;
    provider.carrier.set_party(&customer(2), Party::picks_up(PicksUp::Machine)).unwrap();
    let server = Server::start(options(&provider).file("list.csv", list(2))).await;
    let args = ["add", "c", "--say", "Hola", "--voice", "Polly.Lucia", "--speak", "es-ES", "--import", "list.csv"];
    let machine = ["--machine", "message", "--message", "Llámenos", "--per-minute", "600", "--start"];
    campaigns(&server, &[&args[..], &machine[..]].concat());
    let shown = done(&server, "c").await;
    assert_eq!(shown["outcomes"], json!({"completed": 1, "machine": 1}), "{shown}");
    let calls = provider.carrier.calls();
    for (number, said) in [(1, "Hola"), (2, "Llámenos")] {
        let expected = CallEvent::Said {
            text: said.to_owned(),
            voice: Some("Polly.Lucia".to_owned()),
            language: Some("es-ES".to_owned()),
        };
        let call = call_to(&calls, number);
        assert!(happened(call).contains(&&expected), "{:?}", happened(call));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_campaign_calls_nobody_and_a_resumed_one_each_member_once() {
    let provider = provider(5).await;
    let server = Server::start(options(&provider).file("list.csv", list(30))).await;
    let args = ["add", "c", "--say", "Hello", "--import", "list.csv", "--per-minute", "120", "--start"];
    campaigns(&server, &args);
    eventually(WITHIN, || async { provider.carrier.calls().get(2).map(|_| ()).ok_or("no three calls yet") }).await;
    assert_eq!(campaigns(&server, &["pause", "c"])["state"], "paused");
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async { look.open().await }).await;
    let before = provider.carrier.calls().len();
    assert!(before < 30, "it is paused in the middle");
    let shown = eventually(WITHIN, || async {
        let shown = campaigns(&server, &["show", "c"]);
        if shown["trying"] == 0 { Ok(shown) } else { Err(shown) }
    })
    .await;
    assert_eq!(shown["outcomes"], json!({"completed": before}), "what was under way has come to its end: {shown}");
    assert_eq!(shown["tries"], json!(before), "tries that were taken back do not count: {shown}");
    campaigns(&server, &["resume", "c"]);
    let shown = done(&server, "c").await;
    assert_eq!(shown["outcomes"], json!({"completed": 30}), "{shown}");
    assert_eq!(provider.carrier.calls().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_unknown_outcome_is_looked_up_and_not_placed_again() {
    let provider = provider(6).await;
    provider.order(Fault { on: On::Call, ..Fault::times(FaultKind::DropAfterAccept, 1) });
    provider.order(Fault { on: On::Any, ..Fault::always(FaultKind::CallbacksLost) });
    provider.carrier.set_party(&customer(1), Party::picks_up(PicksUp::Live)).unwrap();
    let rule = "rule(\"ring\").on(\"inbound_sms\").then(|e| call(e.contact, \"hello\", #{ timeout: 600 }))\
        .on_call(\"hello\", |e| { say(\"Hello\"); hangup() });";
    let server = Server::start(options(&provider).file("rules/echo.rhai", rule)).await;
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, "ring me");
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
    let look = Look::into(server.folder()).await;
    let action = eventually(WITHIN, || async {
        let action = look.actions().await.into_iter().find(|action| action.kind == "call").ok_or("not planned")?;
        if action.state == "sent" { Ok(action) } else { Err("not adopted") }
    })
    .await;
    let calls = provider.carrier.calls();
    let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert_eq!(action.provider_sid.as_deref(), Some(call.sid.as_str()));
    assert_eq!(look.count("attempts WHERE outcome = 'adopted'").await, 1, "found in the provider's list");
}
