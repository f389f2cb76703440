//! The texts of campaigns and templates: gaps are reported before anything leaves, values stay as they are.

use recado::emulators::twilio::Direction;
use serde_json::{Value, json};

use super::campaigns::{campaigns, done, options, provider};
use super::campaigns_messages::template;
use crate::cli;
use crate::faults::rig::{self, OURS, Provider, customer};
use crate::support::server::Server;
use crate::support::webhook::message_sid;

fn bodies(provider: &Provider) -> Vec<(String, String)> {
    let ours = provider.sent().into_iter().filter(|one| one.direction != Direction::Inbound);
    let mut all: Vec<_> = ours.map(|one| (one.to.clone(), one.body.clone())).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_value_of_the_text_are_reported_and_not_sent() {
    let provider = provider(41).await;
    let table = format!(
        "phone,name,Ciudad,día\n{},Ana,Jaén,lunes\n{},Luis,,lunes\n{},Eva,{{name}},\n{},Leo,{{ciudad}},martes\n",
        customer(1),
        customer(2),
        customer(3),
        customer(4)
    );
    let server = Server::start(options(&provider).file("list.csv", table)).await;
    let add = ["campaigns", "add", "offer", "--sms", "{name}: {ciudad}, {día}{hora|}", "--per-minute", "6000"];
    cli::run(&mut rig::recado(&server, &add)).ok();
    let import = cli::run(&mut rig::recado(&server, &["campaigns", "import", "offer", "list.csv"]));
    assert_eq!(import.code, Some(1), "{import:?}");
    assert!(import.out.contains("2 new members"), "{}", import.out);
    assert!(import.out.contains("line 3: there is no value for {ciudad}"), "{}", import.out);
    assert!(import.out.contains("line 4: there is no value for {día}"), "{}", import.out);
    campaigns(&server, &["start", "offer"]);
    assert_eq!(done(&server, "offer").await["outcomes"], json!({"sent": 2}));
    let expected = [(customer(1), "Ana: Jaén, lunes".to_owned()), (customer(4), "Leo: {ciudad}, martes".to_owned())];
    assert_eq!(bodies(&provider), expected, "a value is not read for placeholders");
    let args = ["campaigns", "add", "typo", "--sms", "{cuidad}", "--import", "list.csv"];
    cli::run(&mut rig::recado(&server, &args)).fails(1, &["{cuidad}", "has no such column", "Ciudad"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_without_a_value_of_the_text_stop_the_start() {
    let provider = provider(42).await;
    let server = Server::start(options(&provider)).await;
    let twilio = rig::twilio(&server);
    for n in [1, 2] {
        assert_eq!(
            rig::post(&twilio, &twilio.inbound(&message_sid(n as u128), &customer(n), OURS, "hola")).await,
            Some(200)
        );
    }
    let before = bodies(&provider);
    let add = |name: &str, text: &str| {
        let args = ["campaigns", "add", name, "--sms", text, "--everybody", "--per-minute", "6000", "--start"];
        cli::run(&mut rig::recado(&server, &args))
    };
    add("gap", "Hola {ciudad}").fails(1, &[&*format!("{} has no value for {{ciudad}}", customer(1)), &*customer(2)]);
    assert_eq!(campaigns(&server, &["show", "gap"])["state"], "draft");
    assert_eq!(bodies(&provider), before, "nothing leaves");
    add("filled", "Hola {ciudad|Jaén}").ok();
    assert_eq!(done(&server, "filled").await["outcomes"], json!({"sent": 2}));
    assert!(bodies(&provider).iter().any(|(_, body)| body == "Hola Jaén"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_leaves_with_variables_of_one_line_or_not_at_all() {
    let provider = provider(43).await;
    let hx = &template(&provider, "Offer for {{1}}").await;
    let rules = format!(
        "rule(\"one\").on(\"inbound_sms\").keyword(\"LINES\").then(|e| send_whatsapp_template(e.contact, \"{hx}\", \
         #{{ \"1\": \"two\\nlines      wide\" }}));\n\
         rule(\"none\").on(\"inbound_sms\").keyword(\"EMPTY\").then(|e| send_whatsapp_template(e.contact, \"{hx}\", \
         #{{ \"1\": \" \\n\" }}));\n"
    );
    let options = options(&provider).env("TWILIO_WHATSAPP_NUMBER", OURS).file("rules/lines.rhai", rules);
    let server = Server::start(options).await;
    let twilio = rig::twilio(&server);
    for (n, word) in [(1, "LINES"), (2, "EMPTY")] {
        assert_eq!(
            rig::post(&twilio, &twilio.inbound(&message_sid(n as u128), &customer(n), OURS, word)).await,
            Some(200)
        );
    }
    let send = |value: &str| {
        let variable = format!("1={value}");
        let args = ["send", "--to", &customer(3), "--whatsapp", "--template", hx, "--var", &variable, "--json"];
        cli::run(&mut rig::recado(&server, &args))
    };
    send("").fails(1, &["variable 1 of the template is empty"]);
    assert_eq!(send("a\tb\r\n\r\nc").json()["state"], "sent");
    let list = format!("phone,name\n{},\n", customer(4));
    std::fs::write(server.folder().join("list.csv"), list).expect("a file can be written");
    let args = ["campaigns", "add", "offer", "--template", hx, "--var", "1={name}", "--import", "list.csv", "--json"];
    let import = cli::run(&mut rig::recado(&server, &args));
    assert!(import.code == Some(1), "{import:?}");
    let blocked = crate::support::wait::eventually(std::time::Duration::from_secs(20), || async {
        let explained = cli::run(&mut rig::recado(&server, &["events", "--json"])).json();
        let decided =
            explained.as_array().is_some_and(|all| all.iter().filter(|one| !one["decided_at"].is_null()).count() >= 2);
        let sent: Vec<Value> = bodies(&provider).into_iter().map(|(to, body)| json!([to, body])).collect();
        if decided && sent.len() == 2 { Ok(sent) } else { Err(json!([explained, sent])) }
    })
    .await;
    let whatsapp = |n: usize| format!("whatsapp:{}", customer(n));
    assert_eq!(blocked, [json!([whatsapp(1), "Offer for two lines wide"]), json!([whatsapp(3), "Offer for a b c"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_holds_in_every_spelling_of_the_number() {
    let provider = provider(44).await;
    let table = "phone\n+44 (0)7911 123456\n+54 11 2345-6789\n+44 07911 123457\n+54 9 11 2345-6789\n";
    let server = Server::start(options(&provider).file("list.csv", table)).await;
    let twilio = rig::twilio(&server);
    for (n, from) in [(1, "+447911123456"), (2, "+5491123456789")] {
        assert_eq!(rig::post(&twilio, &twilio.inbound(&message_sid(n), from, OURS, "STOP")).await, Some(200));
    }
    let before = bodies(&provider).len();
    let add =
        ["campaigns", "add", "offer", "--sms", "Offer", "--import", "list.csv", "--per-minute", "6000", "--start"];
    let added = cli::run(&mut rig::recado(&server, &add));
    assert!(added.out.contains("line 5: the number stands in a line before"), "{added:?}");
    assert_eq!(done(&server, "offer").await["outcomes"], json!({"sent": 1, "blocked": 2}));
    let sent = bodies(&provider);
    assert_eq!(sent.len(), before + 1, "{sent:?}");
    assert!(sent.contains(&("+447911123457".to_owned(), "Offer".to_owned())), "{sent:?}");
}
