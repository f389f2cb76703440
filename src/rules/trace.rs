//! What was decided, and why: stored with the event, so that anybody can ask later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Action, NewTimer, Timestamp};

/// All that the rules want done about one event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub actions: Vec<Planned>,
    /// What falls due later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<NewTimer>,
    pub trace: Trace,
    /// A limit cut a rule, or the whole decision, short.
    pub overran: bool,
}

/// An action with what makes its identity, besides the event: the rule's name and its place among that rule's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub rule: String,
    pub index: usize,
    pub action: Action,
}

/// The rules that were evaluated; those the index passed over are derived by [`super::RuleSet::explain`].
///
/// ```json
/// {"ruleset": "5f0c…", "rules": [{"rule": "hours", "verdict": "fired", "reads": {"e.now": "2026-…"}, "actions": 1},
///                                {"rule": "vip", "verdict": "when_no", "text": "is a member"}]}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub ruleset: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTrace>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleTrace {
    pub rule: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What the rule read, by the path it wrote, such as `e.contact.first_name`; long values are shortened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub actions: usize,
}

impl RuleTrace {
    /// Of a rule that no script was run for.
    pub(super) fn without_run(rule: &str, verdict: Verdict) -> Self {
        Self { rule: rule.to_owned(), verdict, reads: BTreeMap::new(), actions: 0 }
    }
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every `when` said yes, and `then` was run.
    Fired,
    /// This `when` said no.
    WhenNo { text: String },
    /// The script has an error; none of its actions count.
    Failed { error: String },
    /// The script used more than a limit allows; none of its actions count.
    TooMuch { error: String },
    /// The time for the whole decision was used up before this rule's turn.
    NoTime,
    /// The index passed over it: it listens to other kinds of events.
    OtherKind { kinds: Vec<String> },
    /// The index passed over it: neither the text nor its first word is one of its keywords.
    NoKeyword { keywords: Vec<String> },
    /// A blueprint that this business has not enabled.
    NotEnabled,
    /// A timer is planned: the rule is asked when that is due.
    Waits { until: Timestamp },
    /// No timer is planned, for its time has passed already.
    TooLate { due: Timestamp },
    /// No timer is planned: the event's data holds no moment at this path.
    NoMoment { path: String },
    /// The timer fired too late to make sense, or what is missed is skipped.
    Skipped { due: Timestamp, found: Timestamp },
    /// What the timer was planned for is no longer so.
    Void { why: String },
    /// The timer fired, and there is no such rule any more.
    Gone,
    /// One page of a `for_each`: so many customers passed its filter, of so many.
    Each { passed: usize, of: usize },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fired => f.write_str("fired"),
            Self::WhenNo { text } => write!(f, "not when \"{text}\""),
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::TooMuch { error } => write!(f, "stopped by a limit: {error}"),
            Self::NoTime => f.write_str("not reached: the time for this decision was used up"),
            Self::OtherKind { kinds } if kinds.is_empty() => {
                f.write_str("listens to no event: it runs by its schedule")
            }
            Self::OtherKind { kinds } => write!(f, "listens only to {}", kinds.join(", ")),
            Self::NoKeyword { keywords } => {
                write!(f, "neither the text nor its first word is {}", keywords.join(" or "))
            }
            Self::Waits { until } => write!(f, "waits until {until}"),
            Self::TooLate { due } => write!(f, "plans nothing: its time, {due}, had passed already"),
            Self::NoMoment { path } => write!(f, "plans nothing: the event has no moment at '{path}'"),
            Self::Skipped { due, found } => {
                write!(f, "skipped: due {due}, found {} later", in_words(found.since(*due)))
            }
            Self::Void { why } => write!(f, "void: {why}"),
            Self::Gone => f.write_str("there is no such rule any more"),
            Self::Each { passed, of } => write!(f, "for each: {passed} of {of} customers passed"),
            Self::NotEnabled => f.write_str("a blueprint that this business has not enabled"),
        }
    }
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    pub file: String,
    pub line: usize,
    #[serde(flatten)]
    pub trace: RuleTrace,
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// `3 h 20 min`, or seconds where it is less than two minutes.
fn in_words(duration: std::time::Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0..=1) => format!("{} s", duration.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
