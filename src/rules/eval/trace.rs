//! The decision about an event and its trace. The trace is stored with the event and explains the decision later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Action, Channel, Effect, Firing, NewTimer, Question, QuestionChange, Timestamp};

/// The result of deciding one event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub actions: Vec<Planned>,
    /// Timers for rules that run later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<NewTimer>,
    pub trace: Trace,
    /// A limit stopped a rule or the whole decision.
    pub overran: bool,
    /// Runs of rules with a limit, to be counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firings: Vec<Firing>,
    /// Questions to the customer that open or close, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<QuestionChange>,
}

impl Decision {
    /// Returns whether the decision moves an appointment.
    pub fn moves_appointment(&self) -> bool {
        let moves = |planned: &Planned| matches!(planned.action, Action::Effect(Effect::MoveAppointment { .. }));
        self.actions.iter().any(moves)
    }
}

/// An action with its identity within the event: the rule's name and the index among that rule's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub rule: String,
    pub index: usize,
    pub action: Action,
    /// Not before this instant; `None` for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Why it cannot be done. It is stored as blocked, and the rest of the rule stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}

/// The rules that were evaluated. [`crate::rules::RuleSet::explain`] derives those that the index left out.
///
/// ```json
/// {"ruleset": "5f0c…", "rules": [{"rule": "hours", "verdict": "fired", "reads": {"e.now": "2026-…"}, "actions": 1},
///                                {"rule": "vip", "verdict": "when_no", "text": "is a member"}]}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub ruleset: String,
    /// The open question that the event might answer. Its row is deleted with the answer, so it is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTrace>,
}

/// The evaluation of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleTrace {
    pub rule: String,
    #[serde(flatten)]
    pub result: RuleResult,
    /// The values that the rule read, by path, such as `e.contact.first_name`. Long values are shortened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub actions: usize,
    /// The questions that the rule asks, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
}

impl RuleTrace {
    /// Makes the trace of a rule whose scripts were not run.
    pub(in crate::rules) fn without_run(rule: &str, result: RuleResult) -> Self {
        Self { rule: rule.to_owned(), result, reads: BTreeMap::new(), actions: 0, asks: Vec::new() }
    }
}

/// The result of one rule. Its stored name is `verdict`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RuleResult {
    /// Every condition was true, and `then` was run.
    Fired,
    /// This condition was false.
    WhenNo { text: String },
    /// The script failed. None of its actions count.
    Failed { error: String },
    /// A limit stopped the script. None of its actions count.
    TooMuch { error: String },
    /// The time for the whole decision was used up before this rule's turn.
    NoTime,
    /// The rule listens to other kinds of events.
    OtherKind { kinds: Vec<String> },
    /// The rule listens to no event. It runs by its schedule, or calls begin at these steps of it.
    NoKind { scheduled: bool, steps: Vec<String> },
    /// Neither the text nor its first word is one of the rule's keywords.
    NoKeyword { keywords: Vec<String> },
    /// The rule is a blueprint that this tenant has not enabled.
    NotEnabled,
    /// A timer is planned. The rule is evaluated when it is due.
    Waits { until: Timestamp },
    /// No timer is planned, because its time has passed.
    TooLate { due: Timestamp },
    /// No timer is planned, because the event's data has no moment at this path.
    NoMoment { path: String },
    /// The timer fired too late, or missed firings are skipped.
    Skipped { due: Timestamp, found: Timestamp },
    /// The reason for the timer no longer holds.
    Void { why: String },
    /// The timer fired, but the rule no longer exists.
    Gone,
    /// One page of a `for_each`: how many customers passed the filter.
    Each { passed: usize, of: usize },
    /// The rule has run for this customer as often as its limit allows.
    Limited { times: u32, span: String },
    /// The rule's `on_answer` took the message. The question is closed.
    Answered { question: String },
    /// The rule's `on_answer` did not take the message. The question stays open, and the other rules are evaluated.
    FitsNothing { question: String },
    /// The message answered a question of this other rule.
    AnsweredElsewhere { rule: String },
    /// No answer came in time. The rule's `on_silence` was run; the question is closed.
    Silent { question: String },
    /// The question will never be sent. The rule's `on_unsent` was run; the question is closed.
    Unsent { question: String },
    /// Another rule has the call: it was the first that spoke. None of this rule's actions count.
    CallTaken { by: String },
    /// Another rule asks the customer on this channel already. None of this rule's actions count.
    QuestionTaken { by: String, channel: Channel },
    /// The question was answered or replaced before its time was up.
    SilenceBroken { question: String },
    /// The rule that asked is gone, is not enabled, or no longer has the question. The other rules are evaluated.
    NobodyHears { question: String },
    /// A call step waited for keys or words, and none came.
    NothingHeard,
    /// The keys or words in a call match none of the choices.
    FitsNoChoice,
}

impl RuleResult {
    /// The stable name: its `verdict`.
    pub const fn as_str(&self) -> &'static str {
        self.into_str()
    }

    /// Returns whether the rule's actions count.
    pub(in crate::rules) const fn counts(&self) -> bool {
        matches!(self, Self::Fired | Self::Answered { .. } | Self::Silent { .. } | Self::Unsent { .. })
    }

    /// Returns whether the rule broke off: an error of its script, or a limit.
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::TooMuch { .. })
    }

    /// Returns whether the rule or its conversation was evaluated, as opposed to left out.
    pub const fn was_evaluated(&self) -> bool {
        !matches!(
            self,
            Self::OtherKind { .. }
                | Self::NoKind { .. }
                | Self::NoKeyword { .. }
                | Self::NotEnabled
                | Self::AnsweredElsewhere { .. }
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
            Self::NoKind { scheduled, steps } => {
                f.write_str("listens to no event")?;
                if *scheduled {
                    f.write_str(": it runs by its schedule")?;
                }
                let Some((first, others)) = steps.split_first() else { return Ok(()) };
                let joint = if *scheduled { ", and" } else { ":" };
                write!(f, "{joint} outbound calls begin at its step \"{first}\"")?;
                others.iter().try_for_each(|step| write!(f, " or \"{step}\""))
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
            Self::Unsent { question } => write!(f, "its question \"{question}\" was never sent"),
            Self::CallTaken { by } => write!(f, "not asked: \"{by}\" has the call"),
            Self::QuestionTaken { by, channel } => write!(f, "not asked: \"{by}\" asks the customer on {channel}"),
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

/// The result of one rule, with the rule's place.
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

/// Words a duration as `3 h 20 min`; below two minutes in seconds.
fn in_words(duration: std::time::Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0..=1) => format!("{} s", duration.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
