//! Campaigns that send SMS and WhatsApp templates, and how the gate treats them.

use std::time::Duration;

use chrono_tz::Europe::Madrid;
use recado::domain::{Clock, Timestamp};
use recado::emulators::twilio::{Direction, Message};
use recado::time::zone::to_wall;
use serde_json::{Value, json};

use super::campaigns::{campaigns, done, list, options, provider};
use crate::cli;
use crate::faults::rig::{self, ACCOUNT, OURS, Provider, TOKEN, customer};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(30);

/// A recipient's messages that begin like this.
fn got(provider: &Provider, number: usize, begins: &str) -> Vec<Message> {
    let to = customer(number);
    let ours = |one: &Message| one.direction != Direction::Inbound && one.to.trim_start_matches("whatsapp:") == to;
    provider.sent().into_iter().filter(|one| ours(one) && one.body.starts_with(begins)).collect()
}

/// Waits until the campaign's messages have this result.
async fn delivered(server: &Server, name: &str, messages: Value) {
    eventually(WITHIN, || async {
        let shown = campaigns(server, &["show", name]);
        if shown["messages"] == messages { Ok(()) } else { Err(shown) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_by_sms_writes_to_each_once_and_respects_stop() {
    let provider = provider(11).await;
    let server = Server::start(options(&provider).file("list.csv", list(4))).await;
    let twilio = rig::twilio(&server);
    let stop = twilio.inbound(&message_sid(1), &customer(2), OURS, "STOP");
    assert_eq!(rig::post(&twilio, &stop).await, Some(200));
    // Opt-outs of calls and of messages are separate.
    cli::run(&mut rig::recado(&server, &["do-not-call", &customer(3)])).ok();
    let args = ["add", "offer", "--sms", "Offer for {name}!", "--import", "list.csv", "--per-minute", "6000"];
    campaigns(&server, &[&args[..], &["--start"]].concat());
    let shown = done(&server, "offer").await;
    assert_eq!(shown["outcomes"], json!({"sent": 3, "blocked": 1}), "{shown}");
    assert_eq!((&shown["tries"], &shown["calls"]), (&json!(4), &json!({})), "{shown}");
    let why = shown["first_members"][1]["detail"].as_str().unwrap();
    assert!(why.contains("opted out of sms"), "{why}");
    delivered(&server, "offer", json!({"delivered": 3, "blocked": 1})).await;
    let bodies: Vec<Vec<String>> =
        (1..=4).map(|n| got(&provider, n, "Offer").into_iter().map(|one| one.body).collect()).collect();
    assert_eq!(bodies, [vec!["Offer for Ana!"], vec![], vec!["Offer for !"], vec!["Offer for !"]]);
}

/// An approved template at the provider; returns its Content SID.
pub async fn template(provider: &Provider, body: &str) -> String {
    let template = json!({"friendly_name": "offer", "language": "en", "types": {"twilio/text": {"body": body}}});
    let made = http_client().post(format!("{}/v1/Content", provider.url)).basic_auth(ACCOUNT, Some(TOKEN));
    let made: Value = made.json(&template).send().await.unwrap().json().await.unwrap();
    let hx = made["sid"].as_str().expect("it is made").to_owned();
    let approved = http_client()
        .post(format!("{}/v1/Content/{hx}/ApprovalRequests/whatsapp", provider.url))
        .basic_auth(ACCOUNT, Some(TOKEN))
        .json(&json!({"name": "offer", "category": "MARKETING"}));
    assert!(approved.send().await.unwrap().status().is_success());
    hx
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_by_whatsapp_sends_its_template_once_to_each() {
    let provider = provider(12).await;
    let hx = &template(&provider, "Offer for {{1}}, {{2}}").await;
    let table = format!("phone,name,city\n{},Ana,Jaén\n{},Luis,Úbeda\n", customer(1), customer(2));
    let server = Server::start(options(&provider).env("TWILIO_WHATSAPP_NUMBER", OURS).file("list.csv", table)).await;
    let args = ["add", "offer", "--template", hx, "--var", "1={name}", "--var", "2={city}", "--import", "list.csv"];
    campaigns(&server, &[&args[..], &["--per-minute", "6000", "--start"]].concat());
    let shown = done(&server, "offer").await;
    assert_eq!(shown["outcomes"], json!({"sent": 2}), "{shown}");
    delivered(&server, "offer", json!({"delivered": 2})).await;
    let sent = provider.sent();
    assert_eq!(sent.len(), 2);
    for (n, says) in [(1, "Offer for Ana, Jaén"), (2, "Offer for Luis, Úbeda")] {
        let [message] = &got(&provider, n, "")[..] else { panic!("{sent:?}") };
        assert_eq!(message.content_sid.as_deref(), Some(hx.as_str()));
        assert_eq!(message.template.as_ref().map(|one| one.body.as_str()), Some(says));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_by_whatsapp_respects_a_stop_on_whatsapp() {
    let provider = provider(14).await;
    let hx = &template(&provider, "Offer for {{1}}").await;
    let options = options(&provider).env("TWILIO_WHATSAPP_NUMBER", OURS).file("list.csv", list(3));
    let server = Server::start(options).await;
    let twilio = rig::twilio(&server);
    let whatsapp = |number: &str| format!("whatsapp:{number}");
    let stop = twilio.inbound(&message_sid(1), &whatsapp(&customer(2)), &whatsapp(OURS), "STOP");
    let answer = twilio.post("/api/twilio/demo/whatsapp", &stop).await.expect("it answers");
    assert_eq!(answer.status().as_u16(), 200);
    // Opt-outs of SMS and of WhatsApp are separate.
    let stop = twilio.inbound(&message_sid(2), &customer(3), OURS, "STOP");
    assert_eq!(rig::post(&twilio, &stop).await, Some(200));
    let args =
        ["add", "offer", "--template", hx, "--var", "1={name|you}", "--import", "list.csv", "--per-minute", "6000"];
    campaigns(&server, &[&args[..], &["--start"]].concat());
    let shown = done(&server, "offer").await;
    assert_eq!(shown["outcomes"], json!({"sent": 2, "blocked": 1}), "{shown}");
    let why = shown["first_members"][1]["detail"].as_str().unwrap();
    assert!(why.contains("opted out of whatsapp"), "{why}");
    delivered(&server, "offer", json!({"delivered": 2, "blocked": 1})).await;
    let templates = |n: usize| {
        let of_it = |one: &Message| one.content_sid.as_deref() == Some(hx.as_str());
        got(&provider, n, "").into_iter().filter(of_it).count()
    };
    assert_eq!([1, 2, 3].map(templates), [1, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_campaign_wait_for_the_end_of_quiet_hours() {
    let provider = provider(13).await;
    let now = Clock::system().now();
    let hour = Duration::from_secs(3_600);
    let wall = |at: Timestamp| to_wall(at, Madrid).format("%H:%M").to_string();
    let quiet = format!("all={}-{}", wall(now.minus(hour)), wall(now.plus(hour * 2)));
    let hx = &template(&provider, "Offer").await;
    let options = options(&provider).env("QUIET_HOURS", quiet).env("TWILIO_WHATSAPP_NUMBER", OURS);
    let server = Server::start(options.file("list.csv", list(2))).await;
    campaigns(&server, &["add", "by text", "--sms", "Offer", "--import", "list.csv", "--start"]);
    campaigns(&server, &["add", "by whatsapp", "--template", hx, "--import", "list.csv", "--start"]);
    for name in ["by text", "by whatsapp"] {
        let shown = eventually(WITHIN, || async {
            let shown = campaigns(&server, &["show", name]);
            let waits = |n: usize| {
                let due = shown["first_members"][n]["due_at"].as_str().and_then(|at| Timestamp::parse(at).ok());
                due.is_some_and(|due| due > now.plus(hour))
            };
            if waits(0) && waits(1) { Ok(shown) } else { Err(shown) }
        })
        .await;
        assert_eq!((&shown["waiting"], &shown["tries"], &shown["state"]), (&json!(2), &json!(0), &json!("running")));
    }
    assert!(provider.sent().is_empty());
}
