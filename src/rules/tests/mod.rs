//! Tests that write rules into a folder, load them, and decide events.

mod appointments;
mod blocked;
mod calls;
mod deciding;
mod email;
mod hours;
mod hostile;
mod limits;
mod loading;
mod registry;
mod scripts;
mod statements;
mod conversation;
mod timing;

use std::fs;

use serde_json::{Value, json};

use super::{Decision, Limits, RuleError, RuleResult, RuleSet};
use crate::domain::contact::ContactFacts;
use crate::domain::{Channel, ContactId, Event, EventId, EventKind, Facts, TenantId, Timestamp};

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T08:30:00Z").unwrap()
}

/// A text message with this body.
pub(super) fn sms(body: &str) -> Event {
    event("inbound_sms", json!({"body": body, "from": "+34600111222", "to": "+34911111111"}))
}

pub(super) fn event(kind: &str, data: Value) -> Event {
    Event {
        id: EventId::new(uuid::Uuid::from_u128(1)),
        tenant: TenantId::new(uuid::Uuid::from_u128(2)),
        kind: EventKind::parse(kind).unwrap(),
        channel: Some(Channel::Sms),
        contact: Some(ContactId::new(uuid::Uuid::from_u128(3))),
        occurred_at: now(),
        dedupe_key: None,
        depth: 0,
        data,
    }
}

/// Ana, who has written before, of a business in Madrid.
pub(super) fn facts() -> Facts {
    let mut facts = Facts::empty(now());
    facts.tenant.name = "Peluquería Sol".into();
    facts.tenant.zone = "Europe/Madrid".into();
    facts.tenant.language = "es".into();
    facts.contact = Some(ContactFacts {
        phone: Some("+34600111222".parse().unwrap()),
        name: "Ana María".into(),
        inbound_count: 7,
        ..ContactFacts::default()
    });
    facts
}

pub(super) fn load(files: &[(&str, &str)]) -> (RuleSet, Vec<RuleError>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source).unwrap();
    }
    RuleSet::load(dir.path(), Limits::default())
}

/// Loads one file, which must have no finding.
pub(super) fn rules(source: &str) -> RuleSet {
    let (rules, errors) = load(&[("a.rhai", source)]);
    assert!(errors.is_empty(), "{}", said(&errors));
    rules
}

pub(super) fn said(errors: &[RuleError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns the findings of one file.
pub(super) fn complaints(source: &str) -> String {
    said(&load(&[("a.rhai", source)]).1)
}

/// Runs the body of a then for a text message.
pub(super) fn then(body: &str) -> Decision {
    rules(&format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {body} }});")).decide(&sms("Hola, qué tal"), &facts())
}

/// Returns the value of an expression in a then, through a note.
pub(super) fn value(expression: &str) -> String {
    let decision = then(&format!("note(`<${{{expression}}}>`)"));
    let Some(planned) = decision.actions.first() else { return format!("{:?}", decision.trace.rules[0].result) };
    match &planned.action {
        crate::domain::Action::Effect(crate::domain::Effect::Note { text }) => {
            text.trim_start_matches('<').trim_end_matches('>').to_owned()
        }
        other => panic!("not a note: {other:?}"),
    }
}

pub(super) fn result(decision: &Decision) -> &RuleResult {
    &decision.trace.rules[0].result
}

/// Returns the actions as JSON, as cases and the ledger write them.
pub(super) fn actions(decision: &Decision) -> Value {
    decision.actions.iter().map(|planned| serde_json::to_value(&planned.action).unwrap()).collect()
}
