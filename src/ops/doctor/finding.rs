//! The findings of checks, in words for the operator of the installation.

use std::fmt;

use serde::Serialize;

/// The weight of a finding, the lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    /// Good to know; nothing is wrong.
    Note,
    /// It works, but not as well as it could, or not for long.
    Warning,
    /// Messages are lost, refused or not sent until this is put right.
    Error,
}

/// The subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Configuration,
    SecretKey,
    Disk,
    Database,
    Server,
    Rules,
    Clock,
    Account,
    Number,
    Whatsapp,
    Rcs,
    AppUrl,
    Template,
    Refusals,
    Forecast,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub check: Check,
    /// The tenant's slug, where it concerns one.
    pub tenant: Option<String>,
    /// The object that was checked: an account's SID, a number, a file.
    pub subject: String,
    /// The problem. The text may quote others.
    pub says: String,
    /// The remedy.
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: Check, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, subject, says)
    }

    /// Something is good to know.
    pub fn note(check: Check, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, subject, says)
    }

    /// Something works, but not well or not for long.
    pub fn warning(check: Check, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, subject, says)
    }

    /// Something does not work.
    pub fn error(check: Check, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Severity::Error, check, subject, says)
    }

    /// Adds a remedy.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Adds the tenant that the finding concerns.
    #[must_use]
    pub fn for_tenant(self, slug: impl Into<String>) -> Self {
        Self { tenant: Some(slug.into()), ..self }
    }

    fn new(severity: Severity, check: Check, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self { severity, check, tenant: None, subject: subject.into(), says: says.into(), remedy: None }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
