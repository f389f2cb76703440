//! Delayed rules: the timers that they plan, and what happens when these are due.

use serde_json::json;

use super::{actions, complaints, event, facts, now, result, rules, sms};
use crate::domain::timer::Fired;
use crate::domain::{Event, EventKind, Facts, NewTimer, Purpose, Timestamp};
use crate::rules::{Decision, RuleResult, RuleSet};

const AFTER: &str = "rule(\"later\").on(\"inbound_sms\").keyword(\"wait\").after(\"2h\")
    .when(\"is named\", |e| e.contact.name != \"\").then(|e| reply(`${e.keyword}: ${e.rest}, ${e.kind}`));";
const BEFORE: &str = "rule(\"remind\").before(\"24h\", \"appointment.starts_at\")
    .then(|e| send_sms(e.contact, `at ${e.data.appointment.starts_at}`));";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn planned(rules: &RuleSet, event: &Event) -> NewTimer {
    let mut decision = rules.decide(event, &facts());
    assert!(decision.actions.is_empty(), "nothing runs before its time: {decision:?}");
    let timer = decision.timers.pop().expect("a timer");
    assert_eq!(*result(&decision), RuleResult::Waits { until: timer.due });
    timer
}

/// Returns the event of a timer that is due.
fn fired(timer: &NewTimer) -> Event {
    let said = Fired { rule: timer.rule.clone(), purpose: timer.purpose, due: timer.due, subject: timer.subject };
    Event { kind: EventKind::TIMER, contact: timer.contact, ..event("timer", said.into_data(timer.payload.clone())) }
}

fn facts_at(as_of: Timestamp) -> Facts {
    Facts { as_of, ..facts() }
}

fn decided(rules: &RuleSet, timer: &NewTimer, as_of: &str) -> Decision {
    rules.decide(&fired(timer), &facts_at(at(as_of)))
}

fn booked(starts_at: &str) -> Event {
    let appointment = json!({"id": "01990000-0000-7000-8000-000000000001", "service": "cut", "staff": null,
        "starts_at": starts_at, "ends_at": starts_at, "zone": "Europe/Madrid", "state": "booked"});
    event("appointment_booked", json!({"appointment": appointment}))
}

#[test]
fn after_waits_and_then_reads_the_event_as_it_was() {
    let rules = rules(AFTER);
    let timer = planned(&rules, &sms("Wait for me"));
    assert_eq!((timer.due, timer.purpose), (at("2026-11-21T10:30:00Z"), Purpose::After));
    assert_eq!(timer.timing, "after 2h");
    let decision = decided(&rules, &timer, "2026-11-21T10:30:01Z");
    let expect = json!([{"send": "sms", "to": "+34600111222", "reply": true, "text": "wait: for me, inbound_sms"}]);
    assert_eq!(actions(&decision), expect);
    assert_eq!(*result(&decision), RuleResult::Fired);
    assert!(decision.timers.is_empty());
}

#[test]
fn whens_are_asked_when_it_is_due_on_the_facts_of_that_moment() {
    let rules = rules(AFTER);
    let timer = planned(&rules, &sms("wait"));
    let mut facts = facts_at(timer.due);
    facts.contact.as_mut().unwrap().name.clear();
    let decision = rules.decide(&fired(&timer), &facts);
    assert_eq!(*result(&decision), RuleResult::WhenNo { text: "is named".to_owned() });
}

#[test]
fn only_the_rule_that_planned_it_is_asked() {
    let rules = rules(&format!(
        "{AFTER} rule(\"also\").on(\"inbound_sms\").then(|e| note(\"also\"));
         rule(\"every\").on(\"timer\").then(|e| note(\"no\"));"
    ));
    let mut timer = planned(&self::rules(AFTER), &sms("wait"));
    let decision = decided(&rules, &timer, "2026-11-21T10:30:01Z");
    assert_eq!(decision.trace.rules.len(), 1);
    timer.rule = "was here".to_owned();
    let decision = decided(&rules, &timer, "2026-11-21T10:30:01Z");
    assert_eq!((result(&decision), decision.actions.len()), (&RuleResult::Gone, 0));
    timer.purpose = Purpose::Silence;
    timer.rule = "later".to_owned();
    let broken = decided(&rules, &timer, "2026-11-21T10:30:01Z");
    assert!(matches!(result(&broken), RuleResult::SilenceBroken { .. }), "no question of its is open");
    assert_eq!((broken.trace.rules.len(), broken.actions.len()), (1, 0));
}

#[test]
fn a_day_is_one_of_the_tenants_wall_clock() {
    let rules = rules("rule(\"d\").on(\"inbound_sms\").after(\"1d\").then(|e| note(\"x\"));");
    let mut event = sms("x");
    event.occurred_at = at("2026-10-24T10:00:00Z");
    assert_eq!(planned(&rules, &event).due, at("2026-10-25T11:00:00Z"), "clocks are set back that night");
}

#[test]
fn before_hangs_on_the_appointment_and_never_on_what_has_passed() {
    let rules = rules(BEFORE);
    let timer = planned(&rules, &booked("2026-12-01T10:00:00+01:00"));
    assert_eq!(timer.due, at("2026-11-30T09:00:00Z"));
    assert_eq!(timer.subject.unwrap().to_string(), "01990000-0000-7000-8000-000000000001");
    let again =
        Event { id: crate::domain::EventId::new(uuid::Uuid::from_u128(9)), ..booked("2026-12-01T10:00:00+01:00") };
    assert_eq!(planned(&rules, &again).id, timer.id, "the appointment's, whichever event says so");
    let near = rules.decide(&booked("2026-11-22T08:00:00Z"), &facts());
    assert_eq!(*result(&near), RuleResult::TooLate { due: at("2026-11-21T08:00:00Z") });
    assert!(near.timers.is_empty());
    let nowhere = rules.decide(&event("appointment_moved", json!({})), &facts());
    assert_eq!(*result(&nowhere), RuleResult::NoMoment { path: "appointment.starts_at".to_owned() });
}

#[test]
fn a_reminder_of_what_has_changed_is_void() {
    let rules = rules(BEFORE);
    let timer = planned(&rules, &booked("2026-12-01T09:00:00Z"));
    let mut facts = facts_at(timer.due);
    let appointment = booked("2026-12-01T09:00:00Z").data["appointment"].clone();
    facts.appointment = Some(serde_json::from_value(appointment).unwrap());
    assert_eq!(*result(&rules.decide(&fired(&timer), &facts)), RuleResult::Fired);
    facts.appointment.as_mut().unwrap().state = "cancelled".to_owned();
    let void = rules.decide(&fired(&timer), &facts);
    assert!(matches!(result(&void), RuleResult::Void { .. }) && void.actions.is_empty(), "{void:?}");
    let appointment = facts.appointment.as_mut().unwrap();
    (appointment.state, appointment.starts_at) = ("booked".to_owned(), at("2026-12-02T09:00:00Z"));
    let void = rules.decide(&fired(&timer), &facts);
    assert!(result(&void).to_string().contains("moved to 2026-12-02T09:00:00Z"), "{void:?}");
}

#[test]
fn a_reminder_makes_sense_for_half_its_span() {
    let rules = rules(BEFORE);
    let timer = planned(&rules, &booked("2026-12-01T09:00:00Z"));
    assert_eq!(*result(&decided(&rules, &timer, "2026-11-30T21:00:00Z")), RuleResult::Fired);
    let late = decided(&rules, &timer, "2026-11-30T21:00:01Z");
    assert_eq!(result(&late).to_string(), "skipped: due 2026-11-30T09:00:00Z, found 12 h 0 min later");
}

#[test]
fn other_moments_of_an_event_can_be_waited_for() {
    let rules = rules(
        "rule(\"offer\").on(\"offer_made\").before(\"1d\", \"data.offer.ends\").then(|e| note(\"soon\"));
        rule(\"makes\").on(\"inbound_sms\").then(|e| emit(\"offer_made\", #{ offer: #{ ends: e.body } }));",
    );
    let timer = planned(&rules, &event("offer_made", json!({"offer": {"ends": "2026-12-01T09:00:00Z"}})));
    assert_eq!((timer.due, timer.subject), (at("2026-11-30T09:00:00Z"), None));
    let late = decided(&rules, &timer, "2026-12-01T09:00:00Z");
    assert!(matches!(result(&late), RuleResult::Skipped { .. }), "{late:?}");
}

#[test]
fn what_is_missed_is_skipped_where_the_rule_says_so() {
    let rule = |word: &str| format!("rule(\"a\").on(\"inbound_sms\").after(\"1h\"){word}.then(|e| note(\"x\"));");
    let verdict_at = |word: &str, late: &str| {
        let rules = rules(&rule(word));
        let timer = planned(&rules, &sms("x"));
        result(&decided(&rules, &timer, late)).clone()
    };
    assert_eq!(verdict_at("", "2026-11-23T09:30:00Z"), RuleResult::Fired);
    assert_eq!(verdict_at(".missed(\"all\")", "2026-11-23T09:30:00Z"), RuleResult::Fired);
    assert_eq!(verdict_at(".missed(\"skip\")", "2026-11-21T09:35:00Z"), RuleResult::Fired);
    assert!(matches!(verdict_at(".missed(\"skip\")", "2026-11-21T09:35:01Z"), RuleResult::Skipped { .. }));
}

#[test]
fn a_schedule_goes_on_from_now_or_makes_up_for_all() {
    let rules = rules(
        "rule(\"daily\").cron(\"0 9 * * *\").then(|e| note(\"x\"));
        rule(\"each\").cron(\"0 9 * * *\").missed(\"all\").then(|e| note(\"x\"));
        rule(\"asleep\").cron(\"0 9 * * *\").blueprint().then(|e| note(\"x\"));",
    );
    assert_eq!(rules.schedules().collect::<Vec<_>>(), ["daily", "each", "asleep"]);
    let mut tenant = facts().tenant;
    let first = rules.next_of_schedule("daily", &tenant, now()).unwrap();
    assert_eq!(first.due, at("2026-11-22T08:00:00Z"));
    let found = at("2026-11-25T12:00:00Z");
    let next = |rule: &str| {
        rules.next_of_schedule(rule, &tenant, rules.schedule_resumes_after(rule, first.due, found)).unwrap()
    };
    assert_eq!(next("daily").due, at("2026-11-26T08:00:00Z"));
    assert_eq!(next("each").due, at("2026-11-23T08:00:00Z"));
    assert_eq!(rules.next_of_schedule("asleep", &tenant, now()), None);
    tenant.blueprints.insert("asleep".to_owned(), Default::default());
    assert!(rules.next_of_schedule("asleep", &tenant, now()).is_some());
}

#[test]
fn what_is_wrong_with_a_timing_is_said() {
    for (chain, expect) in [
        (".on(\"inbound_sms\").after(\"2 hours\")", "after: '2 hours' is no span of time"),
        (".on(\"inbound_sms\").after(5)", "after takes a text such as \"2h\""),
        (".after(\"2h\")", "the rule listens to nothing"),
        (".before(\"1d\", \"data.ends\")", "the rule listens to nothing"),
        (".on(\"inbound_sms\").before(\"1d\", \"a b\")", "before takes a span and where its moment stands"),
        (".on(\"inbound_sms\").cron(\"0 9 * * *\")", "a schedule listens to nothing"),
        (".cron(\"0 25 * * *\")", "cron: hour: '25' is not understood"),
        (".on(\"inbound_sms\").after(\"1h\").after(\"2h\")", "a rule has one of after, before and cron, once"),
        (".on(\"inbound_sms\").missed(\"skip\")", "missed belongs to a rule that runs at a certain time"),
        (".cron(\"0 9 * * *\").missed(\"never\")", "missed takes \"run_once\", \"skip\" or \"all\""),
        (".on(\"inbound_sms\").after(\"1h\").for_each(\"contacts\")", "for_each belongs to a schedule"),
        (".cron(\"0 9 * * *\").for_each(\"cats\")", "for_each goes over \"contacts\""),
        (".cron(\"0 9 * * *\").for_each(\"contacts\", 5)", "for_each takes a closure"),
        (".cron(\"0 9 * * *\").for_each(\"contacts\", |c| c.nam == \"x\")", "e.contact has no 'nam'"),
        (".cron(\"0 9 * * *\").for_each(\"contacts\", |c, d| true)", "the closure must have one parameter"),
    ] {
        let said = complaints(&format!("rule(\"r\"){chain}.then(|e| note(\"x\"));"));
        assert!(said.contains(expect), "{chain}\n  said: {said}\n  not:  {expect}");
    }
    let good = ".cron(\"0 9 * * *\").for_each(\"contacts\", |c| c.tag(\"member\") && c.name != \"\")";
    assert_eq!(complaints(&format!("rule(\"r\"){good}.then(|e| note(\"x\"));")), "");
}
