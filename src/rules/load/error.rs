//! What is wrong with a rule or a file of rules, said so that its author can mend it.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The rule, or the file, was left out.
    Error,
    /// The rule works, but probably not as meant.
    Warning,
}

/// Something to mend in the rules folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct RuleError {
    pub severity: Severity,
    /// Relative to the rules folder.
    pub file: String,
    /// From 1; 0 where no line is to blame.
    pub line: usize,
    /// From 1; 0 where no column is to blame.
    pub column: usize,
    /// The rule to blame, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RuleError {
    pub(in crate::rules) fn new(file: &str, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            rule: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(in crate::rules) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(in crate::rules) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub(in crate::rules) fn of_rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(f, ": {severity}: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Line and column in a file, from 1; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rules) struct Place {
    pub line: usize,
    pub column: usize,
}

impl From<rhai::Position> for Place {
    fn from(position: rhai::Position) -> Self {
        Self { line: position.line().unwrap_or(0), column: position.position().unwrap_or(0) }
    }
}

/// The word of `known` that `word` was probably meant to be.
pub(in crate::rules) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + word.chars().count() / 4;
    known
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate, far), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to change, add, drop or swap with their neighbour between two words; anything above `far` once it is sure.
fn edit_distance(a: &str, b: &str, far: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    if a.len().abs_diff(b.len()) > far {
        return far + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
