//! What was decided, and why: stored with the event, so that anybody can ask later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Action, Effect, Firing, NewTimer, Question, QuestionChange, Timestamp};

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
    /// Rules with a limit that have run for the customer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firings: Vec<Firing>,
    /// Questions to the customer that are asked or find their end, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<QuestionChange>,
}

impl Decision {
    /// Whether it moves an appointment, if that is possible.
    pub fn moves(&self) -> bool {
        let moves = |planned: &Planned| matches!(planned.action, Action::Effect(Effect::MoveAppointment { .. }));
        self.actions.iter().any(moves)
    }
}

/// An action with what makes its identity, besides the event: the rule's name and its place among that rule's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub rule: String,
    pub index: usize,
    pub action: Action,
    /// Not before this instant; `None` for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// The rules that were evaluated; those the index passed over are derived by [`crate::rules::RuleSet::explain`].
///
/// ```json
/// {"ruleset": "5f0c…", "rules": [{"rule": "hours", "verdict": "fired", "reads": {"e.now": "2026-…"}, "actions": 1},
///                                {"rule": "vip", "verdict": "when_no", "text": "is a member"}]}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub ruleset: String,
    /// The customer's open question that the event might answer: its row is gone when it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTrace>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleTrace {
    pub rule: String,
    #[serde(flatten)]
    pub result: RuleResult,
    /// What the rule read, by the path it wrote, such as `e.contact.first_name`; long values are shortened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub actions: usize,
    /// The questions that it asks, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
}

impl RuleTrace {
    /// Of a rule that no script was run for.
    pub(in crate::rules) fn without_run(rule: &str, result: RuleResult) -> Self {
        Self { rule: rule.to_owned(), result, reads: BTreeMap::new(), actions: 0, asks: Vec::new() }
    }
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum RuleResult {
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
    /// It has run for this customer as often as its limit allows.
    Limited { times: u32, span: String },
    /// Its `on_answer` took the message; the question is closed.
    Answered { question: String },
    /// Its `on_answer` made nothing of the message; the question stays open, the other rules are asked.
    FitsNothing { question: String },
    /// Not asked: the message answered a question of this rule.
    AnsweredElsewhere { rule: String },
    /// Nobody answered in time; its `on_silence` was run, the question is closed.
    Silent { question: String },
    /// The question was answered or replaced before its silence came.
    SilenceBroken { question: String },
    /// The rule that asked is gone, asleep, or asks no such question any more: the other rules are asked.
    NobodyHears { question: String },
    /// Keys or words were waited for in a call, and none came.
    NothingHeard,
    /// What came in a call names none of the choices.
    FitsNoChoice,
}

impl RuleResult {
    /// Whether the rule has done its part, and what it asked for counts.
    pub(in crate::rules) const fn counts(&self) -> bool {
        matches!(self, Self::Fired | Self::Answered { .. } | Self::Silent { .. })
    }

    /// Whether a rule was run, or its conversation went on; else the event did not get as far.
    pub const fn was_evaluated(&self) -> bool {
        !matches!(
            self,
            Self::OtherKind { .. } | Self::NoKeyword { .. } | Self::NotEnabled | Self::AnsweredElsewhere { .. }
        )
    }
}

impl std::fmt::Display for RuleResult {
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
            Self::Limited { times, span } => write!(f, "limited: it has run {times} times within {span}"),
            Self::Answered { question } => write!(f, "answered: this answers its question \"{question}\""),
            Self::FitsNothing { question } => {
                write!(f, "this does not answer its question \"{question}\", which stays open")
            }
            Self::AnsweredElsewhere { rule } => write!(f, "not asked: this answers a question of \"{rule}\""),
            Self::Silent { question } => write!(f, "nobody answered its question \"{question}\" in time"),
            Self::SilenceBroken { question } => {
                write!(f, "nothing to do: the question \"{question}\" was answered or replaced before its time was up")
            }
            Self::NothingHeard => f.write_str("waited for keys or words, and none came"),
            Self::FitsNoChoice => f.write_str("what was pressed or said is none of its choices"),
            Self::NobodyHears { question } => write!(
                f,
                "its question \"{question}\" is open, but the rule is gone, not enabled, or has no on_answer for it"
            ),
        }
    }
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleExplanation {
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
