//! Cases: what a file of rules should do, written beside it as `<file>.cases.json`.
//!
//! ```json
//! [{"name": "a new customer is welcomed",
//!   "event": {"kind": "inbound_sms", "body": "Hola"},
//!   "facts": {"contact": {"name": "Ana", "inbound_count": 1}, "tenant": {"name": "Sol"}},
//!   "now": "2026-01-05T09:00:00Z",
//!   "expect": {"fired": ["welcome"],
//!              "actions": [{"send": "sms", "to": "+15005550006", "reply": true, "text": "¡Hola, Ana!"}]}}]
//! ```
//! All may be left out but the name, the event's kind and the expectation. What the event has besides `kind`, `channel`
//! and `data` joins its data. An action that leaves later says so: `"in": "2h"` after the case's now, or `"due": "2026-…"`.
//! `"question": {"name": "day", "state": {…}}` in the facts is open when the event comes; the silence after it is an event
//! of kind `timer`. `"asks": [{"name": "hour", "state": {…}}]` in the expectation are the questions that the event leads to.
//! `"firings": {"hello": ["2026-01-05T08:00:00Z"]}` in the facts is when rules with a limit last ran. A contact is
//! made up unless the facts say `"contact": null`. Only the rules of the file beside the cases count: those of other files
//! neither help nor disturb.
//!
//! A rule that waits is asked at once, on the facts of the case, with its due time as now. A schedule is tried with
//! `"event": {"kind": "timer", "timer": {"rule": "news"}}`; with `for_each` its filter is not asked.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::load;
use super::{Decision, Limits, RuleError, RuleExplanation, RuleResult, RuleSet, RuleTrace};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::contact::{ContactFacts, TenantFacts};
use crate::domain::timer::{Fired, Purpose};
use crate::domain::{
    Action, ActionId, CallFacts, Channel, Effect, Event, EventId, EventKind, Facts, HttpRequest, Question,
    QuestionChange, Send, Step, Timestamp,
};
use crate::rules::load::error::Place;
use crate::time::Span;

/// The largest file of cases, in bytes.
pub const CASES_BYTES: u64 = 1024 * 1024;
const CASES_ENDING: &str = ".cases.json";
/// When cases happen that do not say: a Monday morning.
const NOW: &str = "2026-01-05T09:00:00Z";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    event: CaseEvent,
    #[serde(default)]
    facts: CaseFacts,
    now: Option<Timestamp>,
    expect: Expectation,
}

#[derive(Debug, Deserialize)]
struct CaseEvent {
    kind: EventKind,
    channel: Option<Channel>,
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaseFacts {
    tenant: TenantFacts,
    contact: Option<ContactFacts>,
    appointment: Option<AppointmentFacts>,
    next_appointment: Option<AppointmentFacts>,
    free_slots: Vec<Timestamp>,
    question: Option<CaseQuestion>,
    firings: BTreeMap<String, Vec<Timestamp>>,
    /// The call that the event is of.
    call: Option<CallFacts>,
}

/// The question that waits for an answer when the event comes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseQuestion {
    name: String,
    #[serde(default)]
    state: Value,
    /// That of the event where it is left out.
    channel: Option<Channel>,
    /// The one of the file that hears the answer where it is left out.
    rule: Option<String>,
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self {
            tenant: TenantFacts::default(),
            contact: Some(ContactFacts::default()),
            appointment: None,
            next_appointment: None,
            free_slots: Vec::new(),
            question: None,
            firings: BTreeMap::new(),
            call: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// Read one by one, so that what is wrong with one is said of that one.
    actions: Vec<Value>,
    fired: Option<Vec<String>>,
    asks: Option<Vec<ExpectedQuestion>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedQuestion {
    name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    state: Value,
}

/// What became of all cases of a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CaseReport {
    pub cases: Vec<CaseResult>,
    /// Case files that could not be read, and, as warnings, rule files without cases.
    pub findings: Vec<RuleError>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The file of cases, relative to the rules folder.
    pub file: String,
    pub name: String,
    /// What differs, line by line; empty if the case holds.
    pub differences: Vec<String>,
}

impl CaseReport {
    /// Every case holds and could be read.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none() && !self.findings.iter().any(RuleError::is_error)
    }

    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| !case.differences.is_empty())
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.failed() {
            writeln!(f, "{}: \"{}\" differs", case.file, case.name)?;
            for line in &case.differences {
                writeln!(f, "    {line}")?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let failed = self.failed().count();
        writeln!(f, "{} cases hold, {failed} differ", self.cases.len() - failed)
    }
}

/// Loads the rules of a folder and tries all their cases.
pub fn run(dir: &Path) -> CaseReport {
    run_on(&RuleSet::load(dir, Limits::default()).0, dir)
}

/// Tries the cases of `dir` on rules that are loaded already.
pub fn run_on(rules: &RuleSet, dir: &Path) -> CaseReport {
    let mut report = CaseReport::default();
    let mut files: Vec<&str> = rules.rules().map(|rule| rule.file.as_str()).collect();
    files.dedup();
    for name in without_rules(dir, dir, Limits::default().folder_depth) {
        let rules = name.replace(CASES_ENDING, ".rhai");
        let error = RuleError::new(&name, Place::default(), format!("there is no {rules} for these cases"));
        report.findings.push(error.hint("cases stand beside their file of rules and bear its name"));
    }
    for file in files {
        let name = format!("{}{CASES_ENDING}", file.trim_end_matches(".rhai"));
        match read(&dir.join(&name)) {
            Ok(Some(cases)) => {
                let results = cases.iter().map(|case| CaseResult {
                    file: name.clone(),
                    name: case.name.clone(),
                    differences: differences(rules, file, case),
                });
                report.cases.extend(results);
            }
            Ok(None) => {
                let error = RuleError::new(file, Place::default(), "the rules have no cases").warning();
                report.findings.push(error.hint(format!("say in {name} what they should do")));
            }
            Err((place, message)) => report.findings.push(RuleError::new(&name, place, message)),
        }
    }
    report
}

/// The files of cases that have no file of rules beside them. What cannot be read is said when the rules are loaded.
fn without_rules(root: &Path, dir: &Path, depth: usize) -> Vec<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut alone = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            alone.extend(depth.checked_sub(1).map(|depth| without_rules(root, &path, depth)).unwrap_or_default());
        } else if let Some(stem) = name.strip_suffix(CASES_ENDING)
            && !path.with_file_name(format!("{stem}.rhai")).exists()
        {
            alone.push(load::relative(root, &path));
        }
    }
    alone
}

/// The cases of a file; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<Case>>, (Place, String)> {
    let broken = |error: std::io::Error| (Place::default(), format!("the cases cannot be read: {error}"));
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
        Ok(about) if about.len() > CASES_BYTES => {
            return Err((
                Place::default(),
                format!("the file has {} bytes, and {CASES_BYTES} is the most", about.len()),
            ));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(broken)?;
    let cases = serde_json::from_str(&text).map_err(|error| {
        let place = Place { line: error.line(), column: error.column() };
        let text = error.to_string();
        (place, text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned())
    })?;
    Ok(Some(cases))
}

fn differences(rules: &RuleSet, file: &str, case: &Case) -> Vec<String> {
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
        question.pose(rules, file, &mut event, &mut facts);
    }
    let (results, decision) = tried(rules, file, &event, &facts);
    let planned: Vec<Expected> =
        decision.actions.iter().map(|planned| Expected { action: planned.action.clone(), due: planned.due }).collect();
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
        if wanted != got {
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

/// What the rules say, and want done. A rule that waits is asked at once, on the same facts: only its now is later.
fn tried(rules: &RuleSet, file: &str, event: &Event, facts: &Facts) -> (Vec<RuleExplanation>, Decision) {
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

/// An action, and when it may leave if not at once.
#[derive(PartialEq, Serialize)]
struct Expected {
    #[serde(flatten)]
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
}

/// An action as the case writes it, or what that lacks. `in` and `due` stand beside what the action has.
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
    Ok(Expected { action: bare_action(&bare).map_err(wrong)?, due: due.map_err(wrong)? })
}

fn bare_action(written: &Value) -> Result<Action, String> {
    let has = |name: &str| written.get(name).is_some();
    if has("do") {
        return Step::deserialize(written).map(Action::Voice).map_err(|error| error.to_string());
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
        _ => Err("it must have one of \"send\", \"effect\", \"url\" and \"do\"".to_owned()),
    }
}

/// The questions that are open after the event, as a case writes them.
fn asked(changes: &[QuestionChange]) -> Vec<ExpectedQuestion> {
    let asked = changes.iter().filter_map(|change| match change {
        QuestionChange::Open(question) => {
            Some(ExpectedQuestion { name: question.name.clone(), state: question.state.clone() })
        }
        QuestionChange::Close(_) => None,
    });
    asked.collect()
}

impl CaseQuestion {
    /// Makes it the open one on the event's channel.
    fn pose(&self, rules: &RuleSet, file: &str, event: &mut Event, facts: &mut Facts) {
        let channel = self.channel.or(event.kind.inbound_channel()).unwrap_or(Channel::Sms);
        let rule = self.rule.clone().or_else(|| rules.asker_in(file, &self.name)).unwrap_or_default();
        let question = Question {
            id: ActionId::new(uuid::Uuid::nil()),
            channel,
            rule,
            name: self.name.clone(),
            state: self.state.clone(),
            asked_at: facts.as_of,
            expires_at: facts.as_of,
        };
        if event.kind == EventKind::TIMER {
            event.data["question"] = json!({"id": question.id, "channel": channel, "name": self.name});
            event.data["timer"] = json!({"rule": question.rule, "purpose": Purpose::Silence, "due": facts.as_of});
        }
        facts.questions.insert(channel, question);
    }
}

fn in_json(action: Option<&Expected>) -> String {
    action.map_or_else(|| "nothing".to_owned(), |action| serde_json::to_string(action).unwrap_or_default())
}

fn event(case: &Case, facts: &Facts) -> Event {
    let kind = &case.event.kind;
    let inbound = Channel::INBOUND.into_iter().find(|channel| EventKind::inbound(*channel) == *kind);
    let mut data = case.event.data.clone();
    data.extend(case.event.more.clone());
    if let (Some(_), Some(contact)) = (inbound, &facts.contact) {
        data.entry("from").or_insert_with(|| contact.phone.as_str().into());
    }
    // Of a schedule's timer only the rule need be said.
    if let Some(Value::Object(timer)) = data.get_mut("timer") {
        timer.entry("purpose").or_insert_with(|| Purpose::Cron.as_str().into());
        timer.entry("due").or_insert_with(|| facts.as_of.to_string().into());
    }
    Event {
        id: EventId::new(uuid::Uuid::nil()),
        tenant: facts.tenant.id,
        kind: kind.clone(),
        channel: case.event.channel.or(inbound),
        contact: facts.contact.as_ref().map(|contact| contact.id),
        occurred_at: facts.as_of,
        dedupe_key: None,
        depth: 0,
        data: Value::Object(data),
    }
}

#[cfg(test)]
mod tests;
