//! Cases: what a rules file should do, written beside it as `<file>.cases.json`.
//!
//! ```json
//! [{"name": "a new customer is welcomed",
//!   "event": {"kind": "inbound_sms", "body": "Hola"},
//!   "facts": {"contact": {"name": "Ana", "inbound_count": 1}, "tenant": {"name": "Sol"}},
//!   "now": "2026-01-05T09:00:00Z",
//!   "expect": {"fired": ["welcome"],
//!              "actions": [{"send": "sms", "to": "+15005550006", "reply": true, "text": "¡Hola, Ana!"}]}}]
//! ```
//! Only the name, the event's kind and the expectation are required. Other fields of the event besides `kind`, `channel` and
//! `data` join its data. An action that leaves later has `"in": "2h"` after the case's now, or `"due": "2026-…"`.
//! `"question": {"name": "day", "state": {…}}` in the facts is open when the event comes. Its silence is an event of kind
//! `timer`. `"asks": [{"name": "hour", "state": {…}}]` in the expectation are the questions that the event opens.
//! `"firings": {"hello": ["2026-01-05T08:00:00Z"]}` in the facts are the runs of rules with a limit. A contact is
//! made up unless the facts say `"contact": null`. Only the rules of the file beside the cases are evaluated.
//!
//! A delayed rule is evaluated at once, on the facts of the case, with its due time as now. A schedule is tried with
//! `"event": {"kind": "timer", "timer": {"rule": "news"}}`; the filter of a `for_each` is not asked.

mod case;
mod compare;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::case::Case;
use self::compare::differences;
use crate::rules::limits::Limits;
use crate::rules::load::error::{RuleError, SourcePosition};
use crate::rules::load::folder;
use crate::rules::ruleset::RuleSet;

/// The largest file of cases, in bytes.
pub const CASES_BYTES: u64 = 1024 * 1024;
const CASES_ENDING: &str = ".cases.json";

/// The results of all cases of a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CaseReport {
    pub cases: Vec<CaseResult>,
    /// Case files that could not be read; as warnings, rules files without cases.
    pub findings: Vec<RuleError>,
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The file of cases, relative to the rules folder.
    pub file: String,
    pub name: String,
    /// The differences, line by line; none if the case holds.
    pub differences: Vec<String>,
}

impl CaseReport {
    /// Returns whether every case could be read and holds.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none() && !self.findings.iter().any(RuleError::is_error)
    }

    /// The cases that differ.
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
    run_on(&RuleSet::load(dir, Limits::for_cases()).0, dir)
}

/// Tries the cases of `dir` on loaded rules.
pub fn run_on(rules: &RuleSet, dir: &Path) -> CaseReport {
    let mut report = CaseReport::default();
    let mut files: Vec<&str> = rules.rules().map(|rule| rule.file.as_str()).collect();
    files.dedup();
    for name in without_rules(dir, dir, Limits::default().folder_depth) {
        let rules = name.replace(CASES_ENDING, ".rhai");
        let error = RuleError::new(&name, SourcePosition::default(), format!("there is no {rules} for these cases"));
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
                let error = RuleError::new(file, SourcePosition::default(), "the rules have no cases").warning();
                report.findings.push(error.hint(format!("say in {name} what they should do")));
            }
            Err((at, message)) => report.findings.push(RuleError::new(&name, at, message)),
        }
    }
    report
}

/// Returns the files of cases without a rules file beside them. Unreadable folders are reported when the rules are loaded.
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
            alone.push(folder::relative(root, &path));
        }
    }
    alone
}

/// Reads the cases of a file; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<Case>>, (SourcePosition, String)> {
    let broken = |error: std::io::Error| (SourcePosition::default(), format!("the cases cannot be read: {error}"));
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
        Ok(about) if about.len() > CASES_BYTES => {
            return Err((
                SourcePosition::default(),
                format!("the file has {} bytes, and {CASES_BYTES} is the most", about.len()),
            ));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(broken)?;
    let cases = serde_json::from_str(&text).map_err(|error| {
        let at = SourcePosition { line: error.line(), column: error.column() };
        let text = error.to_string();
        (at, text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned())
    })?;
    Ok(Some(cases))
}
