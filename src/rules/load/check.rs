//! The check of a rules folder: what `recado check` prints.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::rules::cases::{self, CaseReport};
use crate::rules::limits::Limits;
use crate::rules::load::error::{RuleError, SourcePosition};
use crate::rules::model::RuleInfo;
use crate::rules::promises::UnmetPromise;
use crate::rules::ruleset::RuleSet;

/// The findings and the cases of a folder: as text for people, as JSON for machines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    pub ruleset: String,
    pub rules: Vec<RuleInfo>,
    pub findings: Vec<RuleError>,
    pub cases: CaseReport,
}

/// Loads the folder and tries its cases.
pub fn check(dir: &Path, limits: Limits) -> CheckReport {
    let (rules, mut findings) = RuleSet::load(dir, limits);
    findings.extend(rules.unmet_promises_of_folder().iter().filter_map(|unmet| promise_finding(&rules, unmet)));
    let cases = cases::run_on(&rules, dir);
    CheckReport { ruleset: rules.version().to_owned(), rules: rules.rules().cloned().collect(), findings, cases }
}

/// The warning of a promise that no rule keeps.
fn promise_finding(rules: &RuleSet, unmet: &UnmetPromise) -> Option<RuleError> {
    let rule = rules.rules().find(|rule| rule.name == unmet.rule)?;
    let at = SourcePosition { line: rule.line, column: 0 };
    let message = format!("a text promises that {} does something, and no rule answers it", unmet.word);
    let found = match &unmet.answered_by {
        Some(other) => {
            let message =
                format!("a text promises that {} does something, and only a blueprint answers it", unmet.word);
            let hint = format!("ask e.business.enabled(\"{other}\") before the text offers it");
            RuleError::new(&rule.file, at, message).hint(hint)
        }
        None => RuleError::new(&rule.file, at, message).hint(unmet.remedy("…")),
    };
    Some(found.of_rule(&rule.name).warning())
}

impl CheckReport {
    /// Returns whether the folder can be used: there are warnings at most, and every case holds.
    pub fn passed(&self) -> bool {
        self.cases.passed() && !self.findings.iter().any(RuleError::is_error)
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let blueprints = self.rules.iter().filter(|rule| rule.blueprint).count();
        let live = self.rules.len() - blueprints;
        write!(f, "{}", self.cases)?;
        writeln!(f, "{live} live rules and {blueprints} blueprints, version {}", self.ruleset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_names_errors_and_counts_rules() {
        let dir = tempfile::tempdir().unwrap();
        let source = "rule(\"a\").on(\"inbound_sms\").then(|e| note(\"x\"));
            rule(\"b\").on(\"inbound_sms\").blueprint().then(|e| note(\"x\"));\n";
        std::fs::write(dir.path().join("a.rhai"), source).unwrap();
        let report = check(dir.path(), Limits::default());
        assert!(report.passed(), "{report}");
        assert!(report.to_string().contains("1 live rules and 1 blueprints, version "), "{report}");
        std::fs::write(dir.path().join("b.rhai"), "rule(\"a\").on(\"inbound_sms\").then(|e| note(\"x\"));").unwrap();
        let report = check(dir.path(), Limits::default());
        assert!(!report.passed());
        assert!(report.to_string().starts_with("b.rhai:1:1: error: there is a rule \"a\" already"), "{report}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["findings"][0]["severity"], "error");
        assert_eq!(json["rules"][1]["blueprint"], true);
    }
}
