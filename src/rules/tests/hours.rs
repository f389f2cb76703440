//! The opening hours as rules read them.

use super::{RuleResult, facts, now, result, rules, sms};
use crate::domain::{Action, Effect, Timestamp};

/// Returns a rule's note about the hours of a business in Madrid at this instant.
fn noted(hours: &str, at: Timestamp) -> String {
    let rules = rules(
        "rule(\"r\").on(\"inbound_sms\").then(|e| {
            let next = if e.business.next_open == () { \"never\" } else { local(e.business.next_open, \"%a %d %H:%M\") };
            note(`${e.business.open_now} ${next} [${e.tenant.hours_today}]`)
        });",
    );
    let mut facts = facts();
    facts.as_of = at;
    facts.tenant.hours = hours.to_owned();
    let decision = rules.decide(&sms("hola"), &facts);
    match decision.actions.first().map(|planned| &planned.action) {
        Some(Action::Effect(Effect::Note { text })) => text.clone(),
        _ => match result(&decision) {
            RuleResult::Failed { error } => error.to_string(),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn rules_know_when_the_business_is_open() {
    const SHOP: &str = "mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00; 2026-11-23 closed";
    // Saturday, 09:30 in Madrid; Monday is a holiday.
    assert_eq!(noted(SHOP, now()), "false Sat 21 10:00 [10:00-13:00]");
    let at = |text| Timestamp::parse(text).unwrap();
    assert_eq!(noted(SHOP, at("2026-11-21T11:59:59Z")), "true Tue 24 09:00 [10:00-13:00]");
    assert_eq!(noted(SHOP, at("2026-11-23T10:00:00Z")), "false Tue 24 09:00 []");
    assert_eq!(noted(SHOP, at("2026-11-24T10:00:00Z")), "true Tue 24 16:00 [09:00-14:00, 16:00-20:00]");
}

#[test]
fn a_business_without_opening_hours_is_never_closed() {
    assert_eq!(noted("", now()), "true never []");
    let broken = noted("mon 9", now());
    assert!(broken.contains("no shift"), "{broken}");
}
