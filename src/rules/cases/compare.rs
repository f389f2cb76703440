//! Trying a case: what is expected, and what differs.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::case::{Case, ExpectedQuestion, event};
use crate::domain::action::Unaddressed;
use crate::domain::timer::Fired;
use crate::domain::{Action, Effect, Event, EventKind, Facts, HttpRequest, QuestionChange, Send, Step, Timestamp};
use crate::rules::eval::trace::{Decision, Planned, RuleExplanation, RuleResult, RuleTrace};
use crate::rules::ruleset::RuleSet;
use crate::time::Span;

/// The time of cases that give none: a Monday morning.
const NOW: &str = "2026-01-05T09:00:00Z";

/// Tries a case. Returns the differences, line by line; none if the case holds.
pub(super) fn differences(rules: &RuleSet, file: &str, case: &Case) -> Vec<String> {
    // The constant is RFC 3339.
    let now = case.now.or_else(|| Timestamp::parse(NOW).ok()).unwrap_or(Timestamp::from_unix_us(0));
    let zone = case.facts.tenant.zone.parse().unwrap_or(Tz::UTC);
    let read = |(at, written)| expected_action(at, written, now, zone);
    let expected: Vec<Expected> = match case.expect.actions.iter().enumerate().map(read).collect() {
        Ok(actions) => actions,
        Err(why) => return vec![why],
    };
    let mut facts = Facts {
        tenant: case.facts.tenant.clone(),
        contact: case.facts.contact.clone(),
        appointment: case.facts.appointment.clone(),
        next_appointment: case.facts.next_appointment.clone(),
        free_slots: case.facts.free_slots.clone(),
        firings: case.facts.firings.clone(),
        call: case.facts.call.clone(),
        ..Facts::empty(now)
    };
    let mut event = event(case, &facts);
    if let Some(question) = &case.facts.question {
        question.open(rules, file, &mut event, &mut facts);
    }
    let (results, decision) = decide(rules, file, &event, &facts);
    let got = |planned: &Planned| {
        let blocked = planned.blocked.as_deref().map(Into::into);
        Expected { action: planned.action.clone(), due: planned.due, blocked }
    };
    let planned: Vec<Expected> = decision.actions.iter().map(got).collect();
    let traces: Vec<&RuleTrace> = results.iter().map(|result| &result.trace).collect();
    let mut differences = Vec::new();
    for trace in &traces {
        if let RuleResult::Failed { error } | RuleResult::TooMuch { error } = &trace.result {
            differences.push(format!("{} failed: {error}", trace.rule));
        }
    }
    if let Some(expected) = &case.expect.fired {
        let fired = traces.iter().filter(|trace| trace.result.counts());
        let fired: Vec<&str> = fired.map(|trace| trace.rule.as_str()).collect();
        if *expected != fired {
            differences.push(format!("fired: expected {expected:?}, got {fired:?}"));
        }
    }
    for at in 0..expected.len().max(planned.len()) {
        let (wanted, got) = (expected.get(at), planned.get(at));
        if !wanted.is_some_and(|wanted| got.is_some_and(|got| wanted.is_met_by(got))) {
            differences.push(format!("action {}:", at + 1));
            differences.push(format!("  - {}", in_json(wanted)));
            differences.push(format!("  + {}", in_json(got)));
        }
    }
    if let Some(expected) = &case.expect.asks {
        let asked = asked(&decision.questions);
        if *expected != asked {
            differences.push(format!("asks: expected {}, got {}", json!(expected), json!(asked)));
        }
    }
    if !differences.is_empty() {
        let why = traces.iter().filter(|trace| !trace.result.counts());
        differences.extend(why.map(|trace| format!("{}: {}", trace.rule, trace.result)));
    }
    differences
}

/// Decides the case. A delayed rule is evaluated at once, on the same facts with a later now.
fn decide(rules: &RuleSet, file: &str, event: &Event, facts: &Facts) -> (Vec<RuleExplanation>, Decision) {
    let (mut results, mut decision) = rules.explain_file(file, event, facts);
    for timer in std::mem::take(&mut decision.timers) {
        let fired = Fired { rule: timer.rule, purpose: timer.purpose, due: timer.due, subject: timer.subject };
        let due = Event { kind: EventKind::TIMER, data: fired.into_data(timer.payload), ..event.clone() };
        let (later, of_timer) = rules.explain_file(file, &due, &Facts { as_of: timer.due, ..facts.clone() });
        for after in later.into_iter().filter(|after| after.trace.rule == fired.rule) {
            if let Some(before) = results.iter_mut().find(|before| before.trace.rule == fired.rule) {
                *before = after;
            }
        }
        decision.actions.extend(of_timer.actions);
        decision.questions.extend(of_timer.questions);
    }
    (results, decision)
}

/// An action, when it may leave, if not at once, and why it cannot be done, if it cannot.
#[derive(Serialize)]
struct Expected {
    #[serde(flatten)]
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// As expected: `true`, or a part of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<Value>,
}

impl Expected {
    fn is_met_by(&self, got: &Self) -> bool {
        let blocked = match (&self.blocked, &got.blocked) {
            (None, None) | (Some(Value::Bool(true)), Some(_)) => true,
            (Some(Value::String(part)), Some(Value::String(why))) => why.contains(part),
            _ => false,
        };
        blocked && self.action == got.action && self.due == got.due
    }
}

/// Reads an expected action. `in`, `due` and `blocked` stand beside the action's own fields.
fn expected_action(at: usize, written: &Value, now: Timestamp, zone: Tz) -> Result<Expected, String> {
    let wrong = |why: String| format!("action {} is expected in a form that cannot be read: {why}: {written}", at + 1);
    let mut bare = written.clone();
    let mut take = |name: &str| bare.as_object_mut().and_then(|fields| fields.remove(name));
    let due = match (take("in"), take("due")) {
        (None, None) => Ok(None),
        (Some(Value::String(span)), None) => {
            span.parse::<Span>().map(|span| Some(span.after(now, zone))).map_err(|bad| bad.to_string())
        }
        (None, Some(Value::String(due))) => Timestamp::parse(&due).map(Some).map_err(|bad| format!("\"due\": {bad}")),
        _ => Err("it must have \"in\" (a span) or \"due\" (RFC 3339), a text".to_owned()),
    };
    let blocked = bare.as_object_mut().and_then(|fields| fields.remove("blocked"));
    Ok(Expected { action: bare_action(&bare).map_err(wrong)?, due: due.map_err(wrong)?, blocked })
}

fn bare_action(written: &Value) -> Result<Action, String> {
    let has = |name: &str| written.get(name).is_some();
    if has("do") {
        return Step::deserialize(written).map(Action::Voice).map_err(|error| error.to_string());
    }
    if has("unaddressed") {
        return Unaddressed::deserialize(written).map(Action::Unaddressed).map_err(|error| error.to_string());
    }
    match (has("send"), has("effect"), has("url")) {
        (true, false, false) if !has("text") && !has("template") && !has("email") && !has("call") => {
            Err("it lacks \"text\", \"template\", \"email\" or \"call\"".to_owned())
        }
        (true, false, false) => Send::deserialize(written).map(Action::Send).map_err(|error| error.to_string()),
        (false, true, false) => Effect::deserialize(written).map(Action::Effect).map_err(|error| error.to_string()),
        (false, false, true) => {
            HttpRequest::deserialize(written).map(Action::Request).map_err(|error| error.to_string())
        }
        _ => Err("it must have one of \"send\", \"unaddressed\", \"effect\", \"url\" and \"do\"".to_owned()),
    }
}

/// Returns the questions that the event opens, as a case writes them.
fn asked(changes: &[QuestionChange]) -> Vec<ExpectedQuestion> {
    let asked = changes.iter().filter_map(|change| match change {
        QuestionChange::Open(question) => {
            Some(ExpectedQuestion { name: question.name.clone(), state: question.state.clone() })
        }
        QuestionChange::Close(_) => None,
    });
    asked.collect()
}

fn in_json(action: Option<&Expected>) -> String {
    action.map_or_else(|| "nothing".to_owned(), |action| serde_json::to_string(action).unwrap_or_default())
}
