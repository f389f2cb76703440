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
//! and `data` joins its data. A contact is made up unless the facts say `"contact": null`. Only the rules of the file
//! beside the cases count: those of other files neither help nor disturb.
//!
//! A rule that waits is asked at once, on the facts of the case, with its due time as now. A schedule is tried with
//! `"event": {"kind": "timer", "timer": {"rule": "news"}}`; with `for_each` its filter is not asked.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Place;
use super::load;
use super::{Limits, Planned, RuleError, RuleSet, RuleTrace, RuleVerdict, Verdict};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::contact::{ContactFacts, TenantFacts};
use crate::domain::timer::{Fired, Purpose};
use crate::domain::{Action, Channel, Effect, Event, EventId, EventKind, Facts, HttpRequest, Send, Timestamp};

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
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self { tenant: TenantFacts::default(), contact: Some(ContactFacts::default()), appointment: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// Read one by one, so that what is wrong with one is said of that one.
    actions: Vec<Value>,
    fired: Option<Vec<String>>,
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
    let expected: Vec<Action> = match case.expect.actions.iter().enumerate().map(expected_action).collect() {
        Ok(actions) => actions,
        Err(why) => return vec![why],
    };
    // The constant is RFC 3339.
    let now = case.now.or_else(|| Timestamp::parse(NOW).ok()).unwrap_or(Timestamp::from_unix_us(0));
    let facts = Facts {
        as_of: now,
        tenant: case.facts.tenant.clone(),
        contact: case.facts.contact.clone(),
        appointment: case.facts.appointment.clone(),
        not_rebuilt: Vec::new(),
    };
    let (verdicts, planned) = tried(rules, file, &event(case, &facts), &facts);
    let traces: Vec<&RuleTrace> = verdicts.iter().map(|verdict| &verdict.trace).collect();
    let mut differences = Vec::new();
    for trace in &traces {
        if let Verdict::Failed { error } | Verdict::TooMuch { error } = &trace.verdict {
            differences.push(format!("{} failed: {error}", trace.rule));
        }
    }
    if let Some(expected) = &case.expect.fired {
        let fired = traces.iter().filter(|trace| trace.verdict == Verdict::Fired);
        let fired: Vec<&str> = fired.map(|trace| trace.rule.as_str()).collect();
        if *expected != fired {
            differences.push(format!("fired: expected {expected:?}, got {fired:?}"));
        }
    }
    for at in 0..expected.len().max(planned.len()) {
        let (wanted, got) = (expected.get(at), planned.get(at).map(|planned| &planned.action));
        if wanted != got {
            differences.push(format!("action {}:", at + 1));
            differences.push(format!("  - {}", in_json(wanted)));
            differences.push(format!("  + {}", in_json(got)));
        }
    }
    if !differences.is_empty() {
        let why = traces.iter().filter(|trace| trace.verdict != Verdict::Fired);
        differences.extend(why.map(|trace| format!("{}: {}", trace.rule, trace.verdict)));
    }
    differences
}

/// What the rules say, and want done. A rule that waits is asked at once, on the same facts: only its now is later.
fn tried(rules: &RuleSet, file: &str, event: &Event, facts: &Facts) -> (Vec<RuleVerdict>, Vec<Planned>) {
    let (mut verdicts, decision) = rules.explain_file(file, event, facts);
    let mut planned = decision.actions;
    for timer in decision.timers {
        let fired = Fired { rule: timer.rule, purpose: timer.purpose, due: timer.due, subject: timer.subject };
        let due = Event { kind: EventKind::TIMER, data: fired.into_data(timer.payload), ..event.clone() };
        let (later, decision) = rules.explain_file(file, &due, &Facts { as_of: timer.due, ..facts.clone() });
        for after in later.into_iter().filter(|after| after.trace.rule == fired.rule) {
            if let Some(before) = verdicts.iter_mut().find(|before| before.trace.rule == fired.rule) {
                *before = after;
            }
        }
        planned.extend(decision.actions);
    }
    (verdicts, planned)
}

/// An action as the case writes it, or what that lacks.
fn expected_action((at, written): (usize, &Value)) -> Result<Action, String> {
    let has = |name: &str| written.get(name).is_some();
    let read = match (has("send"), has("effect"), has("url")) {
        (true, false, false) if !has("text") && !has("template") && !has("email") => {
            Err("it lacks \"text\", \"template\" or \"email\"".to_owned())
        }
        (true, false, false) => Send::deserialize(written).map(Action::Send).map_err(|error| error.to_string()),
        (false, true, false) => Effect::deserialize(written).map(Action::Effect).map_err(|error| error.to_string()),
        (false, false, true) => {
            HttpRequest::deserialize(written).map(Action::Request).map_err(|error| error.to_string())
        }
        _ => Err("it must have one of \"send\", \"effect\" and \"url\"".to_owned()),
    };
    read.map_err(|why| format!("action {} is expected in a form that cannot be read: {why}: {written}", at + 1))
}

fn in_json(action: Option<&Action>) -> String {
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
mod tests {
    use super::*;

    fn report(cases: &str) -> CaseReport {
        let dir = tempfile::tempdir().unwrap();
        let rule = "rule(\"hi\").on(\"inbound_sms\").keyword(\"hi\").when(\"named\", |e| e.contact.name != \"\")
            .then(|e| reply(`Hi ${e.contact.name}, it is ${local(e.now, \"%H:%M\")}`));
            rule(\"bad\").on(\"inbound_sms\").keyword(\"bad\").then(|e| { throw \"no\" });";
        fs::write(dir.path().join("hi.rhai"), rule).unwrap();
        fs::write(dir.path().join("other.rhai"), "rule(\"o\").on(\"inbound_sms\").then(|e| note(\"o\"));").unwrap();
        fs::write(dir.path().join("hi.cases.json"), cases).unwrap();
        run(dir.path())
    }

    #[test]
    fn a_case_that_holds_says_nothing() {
        let report = report(
            r#"[{"name": "a", "event": {"kind": "inbound_sms", "body": "HI!"},
                 "facts": {"contact": {"name": "Eva"}, "tenant": {"zone": "Europe/Madrid"}}, "now": "2026-07-01T10:00:00Z",
                 "expect": {"fired": ["hi"], "actions": [
                    {"send": "sms", "to": "+15005550006", "reply": true, "text": "Hi Eva, it is 12:00"}]}},
                {"name": "b", "event": {"kind": "inbound_sms", "data": {"body": "other"}}, "expect": {"actions": []}}]"#,
        );
        assert!(report.passed(), "{report}");
        assert_eq!(report.cases.len(), 2);
        assert_eq!(report.findings.len(), 1, "a file without cases is a warning");
        assert!(report.findings[0].to_string().contains("other.rhai: warning: the rules have no cases"));
    }

    #[test]
    fn a_case_that_differs_says_how_and_why() {
        let report = report(
            r#"[{"name": "a", "event": {"kind": "inbound_sms", "body": "hi"},
                 "expect": {"actions": [{"effect": "tag", "tag": "x"}]}},
                {"name": "b", "event": {"kind": "inbound_sms", "body": "bad"}, "expect": {"actions": []}},
                {"name": "c", "event": {"kind": "inbound_sms", "body": "hi"}, "facts": {"contact": {"name": "Eva"}},
                 "expect": {"fired": [], "actions": []}}]"#,
        );
        assert!(!report.passed());
        let text = report.to_string();
        for line in [
            "hi.cases.json: \"a\" differs",
            "  - {\"effect\":\"tag\",\"tag\":\"x\"}",
            "  + nothing",
            "hi: not when \"named\"",
            "bad failed: hi.rhai:3:",
            "fired: expected [], got [\"hi\"]",
            "Hi Eva, it is 09:00",
            "0 cases hold, 3 differ",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_file_of_cases_that_cannot_be_read_is_an_error() {
        for (cases, expect) in [
            ("[{", "hi.cases.json:1:2: error: EOF while parsing"),
            ("[{\"name\": \"a\", \"evnt\": {}}]", "unknown field `evnt`"),
            (
                "[{\"name\": \"a\", \"event\": {\"kind\": \"Bad\"}, \"expect\": {\"actions\": []}}]",
                "cannot be an event kind",
            ),
        ] {
            let report = report(cases);
            assert!(!report.passed());
            assert!(report.to_string().contains(expect), "{report}");
        }
    }

    #[test]
    fn an_expected_action_that_lacks_something_is_named() {
        for (action, expect) in [
            (r#"{"send": "sms", "text": "Hi"}"#, "missing field `to`"),
            (r#"{"send": "sms", "to": "+15005550006"}"#, "it lacks \"text\", \"template\" or \"email\""),
            (r#"{"effect": "tag"}"#, "missing field `tag`"),
            (r#"{"reply": "Hi"}"#, "one of \"send\", \"effect\" and \"url\""),
        ] {
            let report = report(&format!(
                r#"[{{"name": "a", "event": {{"kind": "inbound_sms", "body": "hi"}}, "expect": {{"actions": [{action}]}}}},
                    {{"name": "b", "event": {{"kind": "inbound_sms", "body": "hi"}}, "expect": {{"actions": []}}}}]"#
            ));
            let text = report.to_string();
            assert_eq!(report.failed().count(), 1, "the other case is tried: {text}");
            for words in ["hi.cases.json: \"a\" differs", "action 1 is expected in a form that cannot be read", expect]
            {
                assert!(text.contains(words), "{words}\n{text}");
            }
        }
    }

    #[test]
    fn rules_that_wait_are_asked_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let rules =
            "rule(\"later\").on(\"inbound_sms\").after(\"2h\").then(|e| note(`${e.body} ${local(e.now, \"%H:%M\")}`));
            rule(\"news\").cron(\"0 9 * * *\").for_each(\"contacts\").then(|e| note(`news for ${e.contact.name}`));";
        fs::write(dir.path().join("t.rhai"), rules).unwrap();
        let cases = r#"[{"name": "later", "event": {"kind": "inbound_sms", "body": "hi"}, "now": "2026-01-05T09:00:00Z",
             "expect": {"fired": ["later"], "actions": [{"effect": "note", "text": "hi 11:00"}]}},
            {"name": "news", "event": {"kind": "timer", "timer": {"rule": "news"}}, "facts": {"contact": {"name": "Ana"}},
             "expect": {"fired": ["news"], "actions": [{"effect": "note", "text": "news for Ana"}]}}]"#;
        fs::write(dir.path().join("t.cases.json"), cases).unwrap();
        let report = run(dir.path());
        assert!(report.passed(), "{report}");
    }

    #[test]
    fn cases_without_rules_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/parking.cases.json"), "[]").unwrap();
        fs::write(dir.path().join("a/parkin.rhai"), "").unwrap();
        let report = run(dir.path());
        assert!(!report.passed());
        let expect = "a/parking.cases.json: error: there is no a/parking.rhai for these cases (";
        assert!(report.to_string().starts_with(expect), "{report}");
    }

    #[test]
    fn the_shipped_rules_hold_their_cases() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let (rules, errors) = RuleSet::load(&dir, Limits::default());
        assert!(errors.is_empty(), "{errors:?}");
        let report = run_on(&rules, &dir);
        assert!(report.passed() && report.findings.is_empty(), "{report}");
        assert!(rules.rules().count() >= 10);
    }
}
