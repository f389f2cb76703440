//! Appointments on the command line, beside a running server.

use std::time::Duration;

use super::{CUSTOMER, beside, delivered, options, run};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;

const RULES: &str = r#"
rule("told").on("appointment_booked").then(|e| set_field("told", `${e.appointment.service} ${local(e.appointment.starts_at, "%H:%M")}`));
rule("confirm").on("inbound_sms").keyword("C").when("has one", |e| e.next_appointment != ())
    .then(|e| { confirm_appointment(); reply(`See you for your ${e.next_appointment.service}, ${e.contact.field("told")}`) });
"#;

#[tokio::test]
async fn a_booking_reaches_the_rules_and_the_customer_confirms_it() {
    let server = Server::start(options().file("rules/book.rhai", RULES)).await;
    beside(&server, &["tenant", "set", "demo", "--zone", "Europe/Madrid"]).ok();
    let add = ["appointments", "add", "--tenant", "demo", "--customer", CUSTOMER, "--service", "cut"];
    let add = |more: &[&str]| beside(&server, &[&add[..], more, &["--json"]].concat());
    let booked = add(&["--starts-at", "2036-12-01T10:00:00+01:00"]).json();
    let id = booked["id"].as_str().expect("an id");
    assert_eq!(booked["starts_at"], "2036-12-01T09:00:00Z");
    assert_eq!(booked["state"], "booked");
    assert_eq!(booked["starts_local"], "2036-12-01T10:00:00");
    add(&["--starts-at", "2036-12-02 10:00", "--staff", "Marta"]).fails(1, &["Marta", "recado staff add"]);
    add(&["--starts-at", "noon"]).fails(2, &["2026-12-01T10:00"]);

    // No request told the server: it finds the event by itself.
    eventually(Duration::from_secs(20), || {
        let events = beside(&server, &["events", "--json"]).json();
        let decided = events[0]["kind"] == "appointment_booked" && !events[0]["decided_at"].is_null();
        async move { decided.then_some(()).ok_or(events) }
    })
    .await;
    beside(&server, &["webhook", "--from", CUSTOMER, "C"]).ok();
    let messages = delivered(&server).await;
    assert_eq!(messages[0]["body"], "See you for your cut, cut 10:00");
    let listed = beside(&server, &["appointments", "list", "--json"]).json();
    assert_eq!(listed[0]["id"], id);
    assert_eq!(listed[0]["state"], "confirmed");
    let events = beside(&server, &["events", "--json"]).json();
    let kinds: Vec<&str> = events.as_array().expect("an array").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "appointment_confirmed").count(), 1, "{kinds:?}");
    beside(&server, &["appointments", "cancel", id]).ok();
    beside(&server, &["appointments", "confirm", id]).fails(1, &["is cancelled"]);
}

#[tokio::test]
async fn a_calendar_is_subscribed_to_and_closed_again() {
    let server = Server::start(options()).await;
    beside(&server, &["staff", "add", "Marta"]).ok();
    let add = ["appointments", "add", "--customer", CUSTOMER, "--service", "cut", "--staff", "Marta"];
    let soon = recado::domain::Clock::system().now().to_utc();
    let soon = (soon + chrono::TimeDelta::days(3)).format("%Y-%m-%dT10:00").to_string();
    beside(&server, &[&add[..], &["--starts-at", &soon]].concat()).ok();
    let path = |args: &[&str]| {
        let shown = beside(&server, &[&["staff", "feed", "Marta"], args].concat()).ok();
        shown.trim().split_once("/calendar/").map(|(_, file)| format!("{}/calendar/{file}", server.url()))
    };
    let url = path(&[]).expect("a URL is shown");
    assert_eq!(path(&[]).as_ref(), Some(&url), "the same again");
    let get = async |url: &str, tag: Option<&str>| {
        let asked = http_client().get(url);
        let asked = tag.into_iter().fold(asked, |asked, tag| asked.header("if-none-match", tag));
        let answer = asked.send().await.expect("it answers");
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    let (status, tag, text) = get(&url, None).await;
    assert_eq!(status, 200);
    assert!(text.starts_with("BEGIN:VCALENDAR") && text.contains("SUMMARY:cut"), "{text}");
    let (status, _, text) = get(&url, tag.as_deref()).await;
    assert_eq!((status, text.as_str()), (304, ""));
    let other = path(&["--renew"]).expect("another URL");
    assert_eq!((get(&url, None).await.0, get(&other, None).await.0), (404, 200));
    assert_eq!(path(&["--close"]), None);
    assert_eq!(get(&other, None).await.0, 404);
    let forged = other.replace(".ics", "").chars().rev().collect::<String>();
    assert_eq!(get(&format!("{}/calendar/{}.ics", server.url(), &forged[..64]), None).await.0, 404);
}

#[tokio::test]
async fn a_spreadsheet_is_looked_at_and_taken_in() {
    let server = Server::start(options()).await;
    let file = server.folder().join("week.csv");
    std::fs::write(&file, "customer,service,starts_at\n+34600111222,cut,2036-12-01 10:00\nx,cut,2036-12-01 10:00\n")
        .unwrap();
    let import = |more: &[&str]| {
        run(&mut super::command(server.folder(), &[&["appointments", "import", "week.csv"], more].concat()))
    };
    let preview = import(&["--preview"]);
    assert_eq!(preview.code, Some(1), "a line is refused");
    assert!(preview.out.contains("line 3: refused") && preview.out.contains("1 new"), "{}", preview.out);
    assert_eq!(beside(&server, &["appointments", "list", "--json"]).json(), serde_json::json!([]));
    assert!(import(&[]).out.contains("1 new"));
    assert!(import(&[]).out.contains("1 unchanged"));
    let exported = beside(&server, &["appointments", "export"]).ok();
    assert!(exported.contains("\"'+34600111222\""), "{exported}");
}

#[tokio::test]
async fn a_calendar_that_changes_is_looked_at_and_taken_in_again() {
    let server = Server::start(options()).await;
    beside(&server, &["tenant", "set", "demo", "--zone", "Europe/Madrid"]).ok();
    let day = |days: i64| {
        let now = recado::domain::Clock::system().now().to_utc();
        (now + chrono::TimeDelta::days(days)).format("%Y%m%d").to_string()
    };
    let write = |lines: &str| {
        let start = format!("DTSTART;TZID=Europe/Madrid:{}T180000\nRRULE:FREQ=WEEKLY;COUNT=3\n", day(3));
        let event = format!("BEGIN:VEVENT\nUID:s\nSUMMARY:Cut {CUSTOMER}\nDURATION:PT30M\n{start}{lines}END:VEVENT\n");
        let text = format!("\nBEGIN:VCALENDAR\nVERSION:2.0\n{event}END:VCALENDAR\n");
        std::fs::write(server.folder().join("marta.ics"), text).unwrap();
    };
    let import = |more: &[&str]| {
        run(&mut super::command(server.folder(), &[&["appointments", "import", "marta.ics"], more].concat()))
    };
    let states = || {
        let listed = beside(&server, &["appointments", "list", "--json"]).json();
        let states = listed.as_array().expect("a list").iter().filter_map(|one| one["state"].as_str());
        states.map(str::to_owned).collect::<Vec<_>>()
    };
    write("");
    assert!(import(&[]).out.contains("3 new, 0 changed, 0 unchanged, 0 withdrawn, 0 refused"));
    write(&format!("SEQUENCE:1\nEXDATE;VALUE=DATE:{}\n", day(10)));
    let preview = import(&["--preview"]);
    assert_eq!(preview.code, Some(0), "{}", preview.out);
    let said = format!("UID s/{}", day(10));
    assert!(preview.out.contains(&said) && preview.out.contains("withdrawn: Cut, "), "{}", preview.out);
    assert!(preview.out.contains("2 unchanged, 1 withdrawn, 0 refused  (a preview"), "{}", preview.out);
    assert_eq!(states(), ["booked"; 3]);
    let report = run(&mut super::command(server.folder(), &["appointments", "import", "marta.ics", "--json"])).json();
    assert_eq!(report["withdrawn"][0]["state"], "cancelled");
    assert_eq!(states(), ["booked", "cancelled", "booked"]);
    write("");
    assert!(import(&[]).out.contains("3 older than what is known"));
    write("SEQUENCE:1\nDTEND:soon\n");
    let damaged = import(&[]);
    assert_eq!(damaged.code, Some(1), "a line that matters is missing");
    assert!(damaged.out.contains("line 11: left out: DTEND: 'soon' is no time"), "{}", damaged.out);
    assert!(damaged.out.contains("0 withdrawn"), "{}", damaged.out);
}
