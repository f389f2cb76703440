//! What rules read of appointments, and what they do with them.

use serde_json::{Value, json};

use super::{Verdict, actions, complaints, event, facts, rules, sms, verdict};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, Facts, Timestamp};

fn booked(id: u128, state: &str) -> AppointmentFacts {
    AppointmentFacts {
        id: AppointmentId::new(uuid::Uuid::from_u128(id)),
        service: "cut".to_owned(),
        staff: None,
        starts_at: Timestamp::parse("2026-12-01T09:00:00Z").unwrap(),
        ends_at: Timestamp::parse("2026-12-01T09:30:00Z").unwrap(),
        // Not the business's: it is what the clock shows where the appointment is.
        zone: "Atlantic/Canary".to_owned(),
        state: state.to_owned(),
    }
}

/// What a rule does on a text message of a customer whose next appointment is in this state.
fn on_message(then: &str, state: Option<&str>) -> Result<Value, String> {
    let rules = rules(&format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {then} }});"));
    let facts = Facts { next_appointment: state.map(|state| booked(7, state)), ..facts() };
    let decision = rules.decide(&sms("C"), &facts);
    match verdict(&decision) {
        Verdict::Failed { error } => Err(error.to_string()),
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
