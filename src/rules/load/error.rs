//! Errors of a rule or a rules file, in words that let the author fix them.

use std::fmt;

use serde::Serialize;

/// Whether a finding makes a rule unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The rule or the file was left out.
    Error,
    /// The rule works, but probably not as intended.
    Warning,
}

/// A finding in the rules folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct RuleError {
    pub severity: Severity,
    /// The path relative to the rules folder.
    pub file: String,
    /// From 1; 0 if the finding has no line.
    pub line: usize,
    /// From 1; 0 if the finding has no column.
    pub column: usize,
    /// The rule that the finding is about, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RuleError {
    /// Makes an error.
    pub(in crate::rules) fn new(file: &str, at: SourcePosition, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            rule: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(in crate::rules) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes it a warning.
    pub(in crate::rules) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Names the rule that it is about.
    pub(in crate::rules) fn of_rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    /// Returns whether something was left out.
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

/// Line and column in a file, from 1; 0 if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rules) struct SourcePosition {
    pub line: usize,
    pub column: usize,
}

impl From<rhai::Position> for SourcePosition {
    fn from(position: rhai::Position) -> Self {
        Self { line: position.line().unwrap_or(0), column: position.position().unwrap_or(0) }
    }
}
