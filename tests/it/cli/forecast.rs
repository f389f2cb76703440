//! Commands that look ahead: forecast, simulate, explain, timers.

use std::path::Path;
use std::time::Duration;

use recado::domain::{Clock, Timestamp};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;
use tempfile::TempDir;

use super::{CUSTOMER, DELIVERED_WITHIN_S, Ran, beside, command, options, run};
use crate::support::server::Server;
use crate::support::wait::eventually;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const REMINDER: &str = "rule(\"reminder\").before(\"1d\", \"appointment.starts_at\")\n    \
                        .then(|e| send_sms(e.contact, `See you at ${local(e.appointment.starts_at, \"%H:%M\")}`));\n";
const THANKS: &str =
    "rule(\"thanks\").on(\"appointment_booked\").then(|e| send_sms(e.contact, \"Thank you!\").in(\"1h\"));\n";

/// A folder with these rules and an installation, without a server.
fn installed(rules: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("rules")).expect("the folder is ours");
    write(folder.path(), rules);
    ahead(folder.path(), &["migrate"]).ok();
    folder
}

fn write(folder: &Path, rules: &str) {
    std::fs::write(folder.join("rules/all.rhai"), rules).expect("the folder is ours");
}

fn ahead(folder: &Path, args: &[&str]) -> Ran {
    run(command(folder, args).env("QUIET_HOURS", "off").env("PRICES", "EUR +34=0.08"))
}

/// At ten in the morning, this many days from now.
fn day(days: u32) -> (Timestamp, String) {
    let text = Clock::system().now().plus(DAY * days).to_utc().format("%Y-%m-%dT10:00:00Z").to_string();
    (Timestamp::parse(&text).expect("a time"), text)
}

fn book(folder: &Path, starts: &str) {
    let add = ["appointments", "add", "--customer", CUSTOMER, "--service", "cut", "--starts-at", starts];
    ahead(folder, &add).ok();
}

/// Each planned send: time, rule and text.
fn summaries(sends: &Value) -> Vec<(&str, &str, &str)> {
    let sends = sends.as_array().expect("an array").iter();
    sends.map(|one| (word(one, "at"), word(one, "rule"), word(one, "text"))).collect()
}

fn word<'v>(one: &'v Value, name: &str) -> &'v str {
    one[name].as_str().expect("a text")
}

#[tokio::test]
async fn a_forecast_is_a_table_json_or_a_calendar_and_comes_true() {
    let folder = installed(&[REMINDER, THANKS].concat());
    let (_, starts) = day(3);
    book(folder.path(), &starts);
    let json = ahead(folder.path(), &["forecast", "--days", "7", "--json"]).json();
    let [thanks, reminder] = json.as_array().expect("an array").as_slice() else { panic!("two sends, not {json}") };
    assert_eq!((word(thanks, "rule"), word(thanks, "text")), ("thanks", "Thank you!"));
    assert!(word(thanks, "reason").contains("appointment_booked"), "it waits to be decided: {thanks}");
    let (leaves, _) = day(2);
    assert_eq!(summaries(&json)[1], (&*leaves.to_string(), "reminder", "See you at 10:00"));
    assert_eq!((word(reminder, "to"), word(reminder, "outcome")), (CUSTOMER, "send"));
    assert_eq!((&reminder["segments"], word(reminder, "from")), (&Value::from(1), "+15005550006"));

    let table = ahead(folder.path(), &["forecast", "--days", "7"]).ok();
    let day = leaves.to_utc().format("%Y-%m-%d 10:00:00Z").to_string();
    for words in
        [&*day, "send", "demo", "See you at 10:00", "by \"reminder\": before 1d", "2 will be sent; about 0.16 EUR"]
    {
        assert!(table.contains(words), "{words:?} is not in {table}");
    }
    let calendar = ahead(folder.path(), &["forecast", "--days", "7", "--ics"]).ok();
    let day = leaves.to_utc().format("DTSTART:%Y%m%dT100000Z").to_string();
    for words in ["BEGIN:VCALENDAR", "VERSION:2.0", &day, "SUMMARY:+34600111222 reminder", "END:VCALENDAR"] {
        assert!(calendar.contains(words), "{words:?} is not in {calendar}");
    }
    assert_eq!(calendar.matches("BEGIN:VEVENT").count(), 2);
    ahead(folder.path(), &["forecast", "--days", "400"]).fails(2, &["366"]);
    ahead(folder.path(), &["forecast", "--tenant", "nobody"]).fails(1, &["there are: demo"]);
}

#[tokio::test]
async fn a_rule_that_the_server_has_not_planned_by_is_forecast() {
    let mut server = Server::start(options()).await;
    let (_, starts) = day(3);
    book(server.folder(), &starts);
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let events = beside(&server, &["events", "--json"]).json();
        let decided = events[0]["kind"] == "appointment_booked" && !events[0]["decided_at"].is_null();
        async move { decided.then_some(()).ok_or(events) }
    })
    .await;
    let none = ahead(server.folder(), &["forecast"]);
    assert!(none.out.contains("nothing is planned") && none.err.is_empty(), "{none:?}");
    write(server.folder(), REMINDER);
    let foreseen = ahead(server.folder(), &["forecast", "--json"]);
    assert!(foreseen.err.contains("once it has been started"), "{foreseen:?}");
    let foreseen = foreseen.json();
    assert_eq!(summaries(&foreseen).len(), 1, "{foreseen}");
    assert!(server.stop().await.success());
    server.start_again().await;
    let timers = eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let timers = beside(&server, &["timers", "list", "--json"]).json();
        async move { if timers[0].is_object() { Ok(timers) } else { Err(timers) } }
    })
    .await;
    assert_eq!((word(&timers[0], "rule"), word(&timers[0], "due")), ("reminder", summaries(&foreseen)[0].0));
    let again = ahead(server.folder(), &["forecast", "--json"]);
    assert!(again.err.is_empty(), "{again:?}");
    assert_eq!(again.json(), foreseen);
}

#[test]
fn a_simulation_sends_on_a_copy_and_leaves_the_original_alone() {
    let folder = installed(&[REMINDER, THANKS].concat());
    let (_, starts) = day(3);
    book(folder.path(), &starts);
    let file = |name: &str| std::fs::read(folder.path().join("data").join(name)).unwrap_or_default();
    let bytes = || (file("recado.db"), file("recado.db-wal"));
    let before = bytes();
    assert!(!before.1.is_empty(), "its log has what was booked");
    let now = Clock::system().now().to_string();
    let (_, to) = day(5);
    let args = ["simulate", "--from", &now, "--to", &to, "--speed", "max"];
    let shown = ahead(folder.path(), &args).ok();
    for words in ["Thank you!", "See you at 10:00", "(by \"reminder\")", "2 sent", "days in"] {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }
    assert!(bytes() == before, "the original is as it was");
    let foreseen = ahead(folder.path(), &["forecast", "--days", "5", "--json"]).json();
    let sent = ahead(folder.path(), &[&args[..], &["--json"]].concat()).json();
    let (foreseen, sent) = (summaries(&foreseen), summaries(&sent));
    assert_eq!(sent[1], foreseen[1], "that which hangs on the appointment, to the second");
    assert_eq!(sent.len(), foreseen.len());
    let waits = ahead(folder.path(), &["events", "--json"]).json();
    assert!(waits[0]["decided_at"].is_null(), "nobody has decided it: {waits}");
    assert_eq!(ahead(folder.path(), &["messages", "--json"]).json(), Value::Array(Vec::new()));

    let past = ["simulate", "--from", "2020-01-01T00:00:00Z", "--to", &to];
    ahead(folder.path(), &past).fails(2, &["in the past", "leave --from out", "recado messages"]);
    ahead(folder.path(), &["simulate", "--to", "2020-01-01T00:00:00Z"]).fails(2, &["--to must come after --from"]);
    ahead(folder.path(), &["simulate", "--to", &to, "--speed", "60"]).fails(2, &["max"]);
}

#[test]
fn the_doctor_names_blocked_sends_of_tomorrow_with_a_remedy() {
    let whatsapp =
        "rule(\"late\").before(\"1d\", \"appointment.starts_at\").then(|e| send_whatsapp(e.contact, \"Hi\"));\n";
    let folder = installed(whatsapp);
    let found = || {
        let report = ahead(folder.path(), &["doctor", "--offline", "--json"]);
        let report: Value = serde_json::from_str(&report.out).unwrap_or_else(|error| panic!("{error}: {report:?}"));
        let findings = report["findings"].as_array().expect("an array").clone();
        findings.into_iter().filter(|one| one["check"] == "forecast").collect::<Vec<_>>()
    };
    let [well] = &found()[..] else { panic!("{:?}", found()) };
    assert!(word(well, "says").contains("none will be stopped"), "{well}");
    let starts = Clock::system().now().plus(DAY + DAY / 2).to_string();
    book(folder.path(), &starts);
    let [bad] = &found()[..] else { panic!("{:?}", found()) };
    assert_eq!((word(bad, "subject"), word(bad, "severity"), word(bad, "tenant")), ("late", "warning", "demo"));
    assert!(word(bad, "says").contains("within 48 hours 1 of its sends will not leave (blocked)"), "{bad}");
    let remedy = word(bad, "remedy");
    assert!(remedy.contains("use a template, or send_sms") && remedy.contains("recado forecast --days 2"), "{bad}");
}

#[tokio::test]
async fn a_timer_that_cannot_be_read_is_listed_and_driven_again() {
    let mut server = Server::start(options().file("rules/reminder.rhai", REMINDER)).await;
    let (_, starts) = day(2);
    book(server.folder(), &starts);
    let timer = eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let timers = beside(&server, &["timers", "list", "--json"]).json();
        async move { if timers[0].is_object() { Ok(timers[0].clone()) } else { Err(timers) } }
    })
    .await;
    let listed = beside(&server, &["timers", "list"]).ok();
    assert!(listed.contains("reminder  (before 1d appointment.starts_at)  contact "), "{listed}");
    assert!(beside(&server, &["timers", "list", "--set-aside"]).ok().contains("nothing was set aside"));
    assert!(server.stop().await.success());

    let url = format!("sqlite://{}", server.folder().join("data/recado.db").display());
    let database = sea_orm::Database::connect(url).await.expect("the file can be opened");
    let backend = database.get_database_backend();
    // Due at any hour, and recently enough not to be too late.
    let due = Clock::system().now().minus(Duration::from_secs(3_600)).unix_us();
    let broken = format!("UPDATE timers SET due_us = {due}, payload = '{{' || payload");
    database.execute_raw(Statement::from_string(backend, broken)).await.expect("a statement of ours");
    server.start_again().await;
    let aside = eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let aside = beside(&server, &["timers", "list", "--set-aside", "--json"]).json();
        async move { if aside[0].is_object() { Ok(aside[0].clone()) } else { Err(aside) } }
    })
    .await;
    assert_eq!((&aside["id"], &aside["tries"]), (&timer["id"], &Value::from(1)));
    let said = beside(&server, &["timers", "list", "--set-aside"]).ok();
    assert!(said.contains("its payload is no JSON") && said.contains("tried again"), "{said}");

    let mended = "UPDATE timers_set_aside SET payload = substr(payload, 2)";
    database.execute_raw(Statement::from_string(backend, mended)).await.expect("a statement of ours");
    let other = uuid::Uuid::nil().to_string();
    assert_eq!(beside(&server, &["timers", "redrive", &other]).code, Some(1), "there is no such");
    let redriven = beside(&server, &["timers", "redrive", word(&timer, "id"), "--json"]).json();
    assert_eq!(redriven["redriven"], 1);
    eventually(Duration::from_secs(DELIVERED_WITHIN_S), || {
        let messages = beside(&server, &["messages", "--json"]).json();
        async move { if messages[0]["body"] == "See you at 10:00" { Ok(()) } else { Err(messages) } }
    })
    .await;
    assert!(beside(&server, &["timers", "list", "--set-aside"]).ok().contains("nothing was set aside"));
}
