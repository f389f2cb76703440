//! A call: its status, the steps it is made of, and its state between two webhooks.
//!
//! ```text
//!   queued (0) ▶ initiated (1) ▶ ringing (2) ▶ in-progress (3) ▶ completed, busy, failed, no-answer, canceled (4)
//! ```
//! A status moves forward only, in whatever order and however often it is reported. Of several final ones the first stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::VariantArray;

use super::id::CallId;
use super::words::{contains, words};

/// The status of a call, by Twilio's names (spec `twilio_api_v2010`, `call.status`; `initiated` is in callbacks only).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum CallStatus {
    Queued,
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
}

impl CallStatus {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Parses the provider's name; `None` for an unknown one, because the set may grow.
    pub fn parse(text: &str) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|status| status.as_str() == text)
    }

    /// The position in the drawing. Statuses of the same rank exclude each other.
    pub const fn rank(self) -> i16 {
        match self {
            Self::Queued => 0,
            Self::Initiated => 1,
            Self::Ringing => 2,
            Self::InProgress => 3,
            Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled => 4,
        }
    }

    /// Whether no further report is expected.
    pub const fn is_final(self) -> bool {
        self.rank() == 4
    }

    /// The status after a report.
    #[must_use]
    pub const fn advance(self, reported: Self) -> Self {
        if reported.rank() > self.rank() { reported } else { self }
    }
}

/// The direction of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum CallDirection {
    /// The customer called.
    In,
    /// We called the customer.
    Out,
}

impl CallDirection {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// The caller and the number called, of the customer's number and ours.
    pub const fn ends<'a>(self, customer: &'a str, ours: &'a str) -> (&'a str, &'a str) {
        match self {
            Self::In => (customer, ours),
            Self::Out => (ours, customer),
        }
    }

    /// Reads a stored name. An unknown one counts as a customer's call.
    pub fn from_stored(text: &str) -> Self {
        text.parse().unwrap_or(Self::In)
    }
}

/// One step of a call. [`crate::features`] turns it into the provider's instructions.
///
/// ```json
/// {"do": "say", "text": "Good morning"}
/// {"do": "gather", "step": "main", "say": "Press 1 …", "choices": {"1": "book"}}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "do", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Step {
    Say(Say),
    Play {
        url: String,
    },
    Pause {
        seconds: u16,
    },
    Gather(Gather),
    Record(Record),
    Dial(Dial),
    /// The caller waits in the queue of this name until a member of staff takes the call.
    Enqueue {
        queue: String,
        /// The next step, after the queue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<String>,
    },
    /// Connects to the longest-waiting caller in the queue of this name.
    DialQueue {
        queue: String,
    },
    /// Connects to the voice agent of this name. By default to the agent of the number called.
    ConnectAgent {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// A live conversation with this agent. In rules it is `connect_agent`.
    Stream {
        agent: String,
    },
    /// Goes on at another step of the same rule.
    Redirect {
        step: String,
    },
    /// Stores a value for later steps: `e.call.state`.
    Remember {
        key: String,
        value: Value,
    },
    Hangup,
    /// Refuses an incoming call, which then costs nothing.
    Reject {
        #[serde(default)]
        busy: bool,
    },
}

impl Step {
    /// The step's stable name, as rules write it.
    pub const fn kind(&self) -> &'static str {
        self.into_str()
    }

    /// Whether the caller notices the step.
    pub const fn is_audible(&self) -> bool {
        !matches!(self, Self::Remember { .. })
    }

    /// The words that the caller hears.
    pub fn spoken(&self) -> Option<&str> {
        let text = match self {
            Self::Say(say) => &say.text,
            Self::Gather(gather) => &gather.say,
            Self::Record(record) => &record.say,
            _ => return None,
        };
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// A step that says a text in the default voice.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(Say { text: text.into(), ..Say::default() })
    }
}

/// Says a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Say {
    pub text: String,
    /// The provider's name of a voice, such as `Polly.Lucia`. By default the agent's voice, or else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// A BCP 47 tag, such as `es-ES`. By default the agent's language, or else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// The kind of input that counts as an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Digits,
    Speech,
    #[default]
    Both,
}

/// The HTTP method by which the provider tells what the caller did. With GET it stands in the query string, which the
/// signature covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionMethod {
    #[default]
    Post,
    Get,
}

impl ActionMethod {
    fn is_post(&self) -> bool {
        *self == Self::Post
    }
}

/// Asks the caller for digits or words, and says what follows if none come or none match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gather {
    /// The step's name: the rule's `on_input` of this name gets the answer.
    pub step: String,
    pub input: Input,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub say: String,
    /// A sound file that is played instead of a spoken text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub play: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The number of digits after which the input is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_on_key: Option<String>,
    /// The silence, in seconds, after which there is no input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    /// The silence, in seconds, after which speech is complete. By default the provider finds the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_timeout_s: Option<u16>,
    /// Words that the caller is likely to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The `on_input` step for each answer, by digits or by words that the caller says among others (`"1|citas"`). If it is
    /// empty, every answer goes to the step's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<String, String>,
    /// The most times that the question is asked.
    pub tries: u8,
    /// The number of times that it was asked before.
    #[serde(skip_serializing_if = "is_zero")]
    pub tried: u8,
    /// The text before it asks again because there was no input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_input: Option<String>,
    /// The text before it asks again because the answer matched no choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_match: Option<String>,
    /// The step after the last try. By default the call ends with a farewell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    #[serde(skip_serializing_if = "ActionMethod::is_post")]
    pub method: ActionMethod,
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            step: String::new(),
            input: Input::default(),
            say: String::new(),
            play: None,
            voice: None,
            language: None,
            digits: None,
            finish_on_key: None,
            timeout_s: None,
            speech_timeout_s: None,
            hints: Vec::new(),
            choices: BTreeMap::new(),
            tries: Self::TRIES,
            tried: 0,
            no_input: None,
            no_match: None,
            otherwise: None,
            method: ActionMethod::default(),
        }
    }
}

impl Gather {
    /// The default of `tries`.
    pub const TRIES: u8 = 2;

    /// The step that an answer leads to: that of the matching choice, or the gather's own if there are no choices. `said` is
    /// folded in case and accents.
    pub fn step_of(&self, digits: &str, said: &str) -> Option<&str> {
        if self.choices.is_empty() {
            return Some(&self.step);
        }
        let named =
            |(names, _): &(&String, &String)| names.split('|').any(|name| matches_choice(name.trim(), digits, said));
        self.choices.iter().find(named).map(|(_, step)| step.as_str())
    }

    /// Whether a key is one of the choices.
    pub fn chooses(&self, key: &str) -> bool {
        self.choices.keys().any(|names| names.split('|').any(|name| name.trim() == key))
    }

    /// The rule's own farewell, for a question that is asked only once. If it was asked again, the caller has heard that
    /// text already.
    pub fn farewell(&self, silent: bool) -> Option<&str> {
        let own = if silent { &self.no_input } else { &self.no_match };
        own.as_deref().filter(|_| self.tries == 1)
    }
}

const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Digits must be equal; words match if the caller says them among others.
fn matches_choice(name: &str, digits: &str, said: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    if !digits.is_empty() {
        return name == digits;
    }
    // The text of speech recognition has full stops and commas.
    contains(&words(said, usize::MAX), &words(name, usize::MAX))
}

/// Records the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The text before the tone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub say: String,
    /// The longest recording, in seconds.
    pub max_s: u16,
    pub beep: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_on_key: Option<String>,
    /// The next step. By default the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
    #[serde(skip_serializing_if = "ActionMethod::is_post")]
    pub method: ActionMethod,
}

impl Default for Record {
    fn default() -> Self {
        Self { say: String::new(), max_s: 120, beep: true, finish_on_key: None, then: None, method: ActionMethod::Post }
    }
}

/// Connects the caller to a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dial {
    /// An E.164 number.
    pub number: String,
    /// Ringing time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    pub record: bool,
    /// The step if nobody answers. By default the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    #[serde(skip_serializing_if = "ActionMethod::is_post")]
    pub method: ActionMethod,
}

/// The state of a call between one webhook and the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallState {
    /// The values that rules have stored.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// The question that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<PendingInput>,
    /// The voice agent that conducts the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The first steps of an outbound call, if no rule has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opening: Vec<Step>,
    /// A live conversation has just begun.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
    /// Failure of the last attempt to reach a person, if nobody has spoken with the caller since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nobody: Option<String>,
    /// The provider's name of a voice, instead of the agent's and the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// A BCP 47 tag, instead of the agent's and the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The conversation with a model so far, in the model's format.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chat: Vec<Value>,
}

/// The input that a call waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInput {
    /// The rule whose `on_input` gets the answer; `None` if the engine itself has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub what: Awaited,
}

/// The event that ends the waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// An answer to a question.
    Input(Box<Gather>),
    /// The end of a recording, of a dialled call or the like; then this step follows.
    Step(String),
    /// The same, but the step follows only if nobody has spoken with the caller.
    Nobody(String),
}

/// A call as rules read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallFacts {
    pub id: CallId,
    /// The provider's id (`CA…`).
    pub sid: String,
    pub direction: CallDirection,
    /// The customer's number, or the provider's text if it is no number.
    pub peer: String,
    /// Our number.
    pub number: String,
    pub status: CallStatus,
    /// The result of the machine detection: `human`, `machine_start` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    pub state: CallState,
    /// The number of webhooks that asked for instructions.
    #[serde(skip)]
    pub turns: i32,
    /// The last turn that began a live conversation.
    #[serde(skip)]
    pub streamed: i32,
}

impl Default for CallFacts {
    fn default() -> Self {
        Self {
            id: CallId::new(uuid::Uuid::nil()),
            sid: String::new(),
            direction: CallDirection::In,
            peer: String::new(),
            number: String::new(),
            status: CallStatus::InProgress,
            answered_by: None,
            duration_s: None,
            state: CallState::default(),
            turns: 0,
            streamed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_never_goes_back_whatever_the_order() {
        for first in CallStatus::VARIANTS.iter().copied() {
            for second in CallStatus::VARIANTS.iter().copied() {
                let after = first.advance(second);
                assert!(after.rank() >= first.rank());
                assert!(!first.is_final() || after == first);
            }
            assert_eq!(CallStatus::parse(first.as_str()), Some(first));
        }
        assert_eq!(CallStatus::parse("paused"), None);
    }

    #[test]
    fn a_choice_is_named_by_its_digits_or_its_words() {
        let gather = Gather {
            step: "main".into(),
            choices: [("1|cita|una cita".into(), "book".into()), ("2|persona".into(), "person".into())].into(),
            ..Gather::default()
        };
        assert_eq!(gather.step_of("1", ""), Some("book"));
        assert_eq!(gather.step_of("2", ""), Some("person"));
        assert_eq!(gather.step_of("12", ""), None);
        assert_eq!(gather.step_of("", "quiero una cita por favor"), Some("book"));
        assert_eq!(gather.step_of("", "con una persona"), Some("person"));
        assert_eq!(gather.step_of("", "una cita."), Some("book"));
        assert_eq!(gather.step_of("", "citas"), None);
        assert_eq!(gather.step_of("", ""), None);
        let open = Gather { step: "name".into(), ..Gather::default() };
        assert_eq!(open.step_of("", "Ana"), Some("name"));
    }

    #[test]
    fn steps_are_written_as_they_are_documented() {
        let voice = Some("Polly.Lucia".to_owned());
        let gather = Gather { step: "main".into(), say: "Press 1".into(), voice, ..Gather::default() };
        let json = serde_json::to_value([Step::say("Hola"), Step::Gather(gather.clone()), Step::Hangup]).unwrap();
        assert_eq!(json[0], serde_json::json!({"do": "say", "text": "Hola"}));
        assert_eq!(json[1]["do"], "gather");
        assert_eq!(json[2], serde_json::json!({"do": "hangup"}));
        let back: Vec<Step> = serde_json::from_value(json).unwrap();
        assert_eq!(back[1], Step::Gather(gather));
    }
}
