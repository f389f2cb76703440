//! Appointments: the fields that rules read, and the changes that rules make.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{RuleResult, actions, complaints, event, facts, load, result, rules, sms, value};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, Facts, Timestamp};

fn booked(id: u128, state: &str) -> AppointmentFacts {
    AppointmentFacts {
        id: AppointmentId::new(uuid::Uuid::from_u128(id)),
        service: "cut".to_owned(),
        staff: None,
        starts_at: Timestamp::parse("2026-12-01T09:00:00Z").unwrap(),
        ends_at: Timestamp::parse("2026-12-01T09:30:00Z").unwrap(),
        // The appointment's own time zone, not the business's.
        zone: "Atlantic/Canary".to_owned(),
        state: state.to_owned(),
    }
}

/// Runs a rule on a text message of a customer whose next appointment is in this state.
fn on_message(then: &str, state: Option<&str>) -> Result<Value, String> {
    let rules = rules(&format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {then} }});"));
    let facts = Facts { next_appointment: state.map(|state| booked(7, state)), ..facts() };
    let decision = rules.decide(&sms("C"), &facts);
    match result(&decision) {
        RuleResult::Failed { error } => Err(error.to_string()),
        _ => Ok(actions(&decision)),
    }
}

#[test]
fn an_event_shows_its_appointment() {
    let rules = rules(
        "rule(\"r\").on(\"appointment_booked\").then(|e| {
            let a = e.appointment;
            note(`${a.service} ${a.staff == ()} ${local(a.starts_at, \"%a %H:%M\")} ${a.state} ${e.next_appointment == ()}`)
        });",
    );
    let facts = Facts { appointment: Some(booked(7, "booked")), ..facts() };
    let decision = rules.decide(&event("appointment_booked", json!({})), &facts);
    assert_eq!(actions(&decision), json!([{"effect": "note", "text": "cut true Tue 09:00 booked true"}]));
    assert_eq!(decision.trace.rules[0].reads["e.appointment.state"], "booked");
}

#[test]
fn a_message_confirms_or_cancels_the_next_appointment() {
    let id = "00000000-0000-0000-0000-000000000007";
    let confirmed = json!([{"effect": "confirm_appointment", "appointment": id}]);
    assert_eq!(on_message("confirm_appointment()", Some("booked")), Ok(confirmed.clone()));
    assert_eq!(on_message("confirm_appointment(e.next_appointment)", Some("confirmed")), Ok(confirmed));
    let cancelled = json!([{"effect": "cancel_appointment", "appointment": id}]);
    assert_eq!(on_message("cancel_appointment()", Some("confirmed")), Ok(cancelled));
    assert!(on_message("cancel_appointment()", None).unwrap_err().contains("no such appointment"));
    assert!(on_message("confirm_appointment(5)", Some("booked")).unwrap_err().contains("no such appointment"));
    assert!(on_message("confirm_appointment()", Some("completed")).unwrap_err().contains("is completed"));
}

#[test]
fn names_are_checked_and_kinds_are_known() {
    assert_eq!(complaints("rule(\"r\").on(\"appointment_no_show\").then(|e| note(e.appointment.service));"), "");
    let said = complaints("rule(\"r\").on(\"appointment_booked\").then(|e| note(e.appointment.servise));");
    assert!(said.contains("did you mean 'service'"), "{said}");
}

#[test]
fn the_next_appointment_is_read_only_where_a_rule_asks() {
    let reads =
        |then: &str| rules(&format!("rule(\"r\").on(\"inbound_sms\").then(|e| {then});")).reads_next_appointment();
    assert!(!reads("reply(e.body)"));
    assert!(reads("note(`${e.next_appointment}`)"));
    assert!(reads("confirm_appointment()"));
}

#[test]
fn a_message_moves_the_next_appointment_to_a_time_and_remembers() {
    let moved = |start: &str, state: &str| on_message(&format!("move_appointment({start}{state})"), Some("confirmed"));
    let id = "00000000-0000-0000-0000-000000000007";
    let expect = json!([{"effect": "move_appointment", "appointment": id, "starts_at": "2026-12-02T09:30:00Z"}]);
    assert_eq!(moved("\"2026-12-02T10:30:00+01:00\"", ""), Ok(expect.clone()));
    assert_eq!(moved("time(\"2026-12-02T09:30:00Z\")", ""), Ok(expect));
    let remembers = moved("\"2026-12-02T10:30:00+01:00\"", ", #{ again: 1 }").unwrap();
    assert_eq!(remembers[0]["state"], json!({"again": 1}));
    assert!(moved("\"tomorrow\"", "").unwrap_err().contains("is no moment"));
    assert!(moved("5", "").unwrap_err().contains("is no moment"));
    let large = format!(", #{{ text: \"{}\" }}", "x".repeat(2_100));
    assert!(moved("e.now", &large).unwrap_err().contains("larger than 2048 bytes"));
    assert!(on_message("move_appointment(e.now)", Some("cancelled")).unwrap_err().contains("is cancelled"));
    assert!(on_message("move_appointment(e.now)", None).unwrap_err().contains("no such appointment"));
}

#[test]
fn free_times_are_looked_for_only_where_a_rule_that_is_asked_reads_them() {
    let rules = load(&[
        ("a.rhai", "rule(\"other\").on(\"inbound_sms\").then(|e| note(e.body));"),
        (
            "b.rhai",
            "fn times(e) { e.free_slots.map(|slot| local(slot, \"%d %H:%M\")) }
            rule(\"move\").on(\"inbound_sms\", \"appointment_move_refused\").keyword(\"M\")
                .then(|e| { let all = times(e); ask(\"when\", `${all}`, \"1h\") })
                .on_answer(\"when\", |e, answer| note(`${times(e)}`));
            rule(\"asleep\").on(\"opted_in\").blueprint().then(|e| note(`${times(e)}`));",
        ),
    ])
    .0;
    let slots = ["2026-12-02T09:30:00Z", "2026-12-03T15:00:00Z"].map(|at| Timestamp::parse(at).unwrap());
    let mut facts = Facts { next_appointment: Some(booked(7, "booked")), free_slots: slots.to_vec(), ..facts() };
    assert!(rules.reads_next_appointment());
    assert!(rules.reads_free_slots(&sms("M"), &facts));
    assert!(!rules.reads_free_slots(&sms("hola"), &facts));
    assert!(rules.reads_free_slots(&event("appointment_move_refused", json!({})), &facts), "it has no text");
    assert!(!rules.reads_free_slots(&event("opted_in", json!({})), &facts), "nobody has enabled it");
    let decision = rules.decide(&sms("M"), &facts);
    assert_eq!(actions(&decision)[1]["text"], "[\"02 09:30\", \"03 15:00\"]", "by the clock there");
    assert_eq!(decision.trace.rules[1].reads["e.free_slots"], "[2 items]");
    decision.questions.iter().for_each(|change| facts.apply_question(change));
    assert!(rules.reads_free_slots(&sms("hola"), &facts), "it may answer");
    facts.next_appointment = None;
    assert!(!rules.reads_free_slots(&sms("M"), &facts), "there is nothing to move");
    assert_eq!(value("e.free_slots.len()"), "0");
}

#[test]
fn a_rule_knows_what_else_its_business_has_enabled() {
    let rules = rules("rule(\"r\").on(\"inbound_sms\").then(|e| note(`${e.business.enabled(\"hours\")}`));");
    let mut facts = facts();
    assert_eq!(actions(&rules.decide(&sms("x"), &facts))[0]["text"], "false");
    facts.tenant.blueprints.insert("hours".to_owned(), BTreeMap::new());
    assert_eq!(actions(&rules.decide(&sms("x"), &facts))[0]["text"], "true");
}
