//! A call: where it stands, what is said in it, what it waits for.
//!
//! ```text
//!   queued (0) ▶ initiated (1) ▶ ringing (2) ▶ in-progress (3) ▶ completed, busy, failed, no-answer, canceled (4)
//! ```
//! Statuses move forward only, in whatever order and however often they are told; of several final ones the first stays.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CallId;

/// Where a call stands, by Twilio's names (spec `twilio_api_v2010`, `call.status`; `initiated` comes in callbacks only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::Failed,
        Self::NoAnswer,
        Self::Canceled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
        }
    }

    /// `None` for what is not known here: the set may grow.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub const fn rank(self) -> i16 {
        match self {
            Self::Queued => 0,
            Self::Initiated => 1,
            Self::Ringing => 2,
            Self::InProgress => 3,
            Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled => 4,
        }
    }

    /// Nothing more will be heard of it.
    pub const fn is_final(self) -> bool {
        self.rank() == 4
    }

    /// The later of the two; of two final ones `self`.
    #[must_use]
    pub const fn advance(self, told: Self) -> Self {
        if told.rank() > self.rank() { told } else { self }
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallDirection {
    /// A customer rang us.
    In,
    /// We rang a customer.
    Out,
}

impl CallDirection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// Who rang and who was rung, of the customer and ours.
    pub const fn ends<'a>(self, customer: &'a str, ours: &'a str) -> (&'a str, &'a str) {
        match self {
            Self::In => (customer, ours),
            Self::Out => (ours, customer),
        }
    }

    /// The stored name; anything else counts as somebody who rang us.
    pub fn from_stored(text: &str) -> Self {
        if text == Self::Out.as_str() { Self::Out } else { Self::In }
    }
}

/// One thing that is done in a call. What it becomes for the provider is the channel's matter.
///
/// ```json
/// {"do": "say", "text": "Good morning"}
/// {"do": "gather", "step": "main", "say": "Press 1 …", "choices": {"1": "book"}}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
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
    /// The caller waits in the queue of this name until somebody takes them out.
    Enqueue {
        queue: String,
        /// The step that follows once they are out of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<String>,
    },
    /// The caller is put through to whoever waits longest in the queue of this name.
    DialQueue {
        queue: String,
    },
    /// To the voice agent of this name, or that of the number that was rung.
    ConnectAgent {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// A live conversation with this agent. Rules say `connect_agent`.
    Stream {
        agent: String,
    },
    /// Goes on at another step of the same rule, as if the call had just come there.
    Redirect {
        step: String,
    },
    /// Kept with the call, for its later steps: `e.call.state`.
    Remember {
        key: String,
        value: Value,
    },
    Hangup,
    /// An incoming call is not taken, and costs nothing.
    Reject {
        #[serde(default)]
        busy: bool,
    },
}

impl Step {
    /// As rules write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Say(_) => "say",
            Self::Play { .. } => "play",
            Self::Pause { .. } => "pause",
            Self::Gather(_) => "gather",
            Self::Record(_) => "record",
            Self::Dial(_) => "dial",
            Self::Enqueue { .. } => "enqueue",
            Self::DialQueue { .. } => "dial_queue",
            Self::ConnectAgent { .. } => "connect_agent",
            Self::Stream { .. } => "stream",
            Self::Redirect { .. } => "redirect",
            Self::Remember { .. } => "remember",
            Self::Hangup => "hangup",
            Self::Reject { .. } => "reject",
        }
    }

    /// Whether the caller hears something or is led somewhere by it.
    pub const fn is_heard(&self) -> bool {
        !matches!(self, Self::Remember { .. })
    }

    /// The words that the caller hears of it.
    pub fn spoken(&self) -> Option<&str> {
        let text = match self {
            Self::Say(say) => &say.text,
            Self::Gather(gather) => &gather.say,
            Self::Record(record) => &record.say,
            _ => return None,
        };
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(Say { text: text.into(), ..Say::default() })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Say {
    pub text: String,
    /// The provider's name of a voice, such as `Polly.Lucia`; else the agent's, else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// BCP 47, such as `es-ES`; else the agent's, else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// What counts as an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Digits,
    Speech,
    #[default]
    Both,
}

/// Asks the caller for digits, words or either, and says what is done where none come or they fit nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gather {
    /// By this name the rule's `on_input` hears it.
    pub step: String,
    pub input: Input,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub say: String,
    /// A sound file that is played instead of something said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub play: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// As soon as so many digits have come, they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_on_key: Option<String>,
    /// Seconds without a key or a word after which none will come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    /// Seconds of silence after which what was said is complete; none where the provider finds the end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_timeout_s: Option<u16>,
    /// Words that are likely to be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Which `on_input` an answer leads to: by digits, or by words that are among what was said (`"1|citas"`). Empty where
    /// any answer goes to the step's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<String, String>,
    /// How often it is asked altogether.
    pub tries: u8,
    /// How often it was asked before this.
    #[serde(skip_serializing_if = "is_zero")]
    pub tried: u8,
    /// Said before it is asked again where nothing came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_input: Option<String>,
    /// Said before it is asked again where the answer fits nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_match: Option<String>,
    /// The step that follows after the last try; else the call ends with a word of farewell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
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
        }
    }
}

impl Gather {
    pub const TRIES: u8 = 2;

    /// Where this answer leads: the step of the choice that it names, or the gather's own where there are no choices.
    /// `said` is folded in case and accents.
    pub fn step_of(&self, digits: &str, said: &str) -> Option<&str> {
        if self.choices.is_empty() {
            return Some(&self.step);
        }
        let named = |(names, _): &(&String, &String)| names.split('|').any(|name| names_it(name.trim(), digits, said));
        self.choices.iter().find(named).map(|(_, step)| step.as_str())
    }

    /// Whether this key is one of the choices.
    pub fn chooses(&self, key: &str) -> bool {
        self.choices.keys().any(|names| names.split('|').any(|name| name.trim() == key))
    }

    /// The rule's own words for the end of a question that is asked only once; of one that was asked again they have been
    /// heard already.
    pub fn farewell(&self, silent: bool) -> Option<&str> {
        let own = if silent { &self.no_input } else { &self.no_match };
        own.as_deref().filter(|_| self.tries == 1)
    }
}

const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Digits are meant whole; a word, or several, where they are said among others.
fn names_it(name: &str, digits: &str, said: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    if !digits.is_empty() {
        return name == digits;
    }
    // What a recogniser writes down has full stops and commas.
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        format!(" {} ", words.collect::<Vec<_>>().join(" "))
    };
    words(said).contains(&words(&super::fold::fold(name)))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Said before the tone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub say: String,
    /// Seconds.
    pub max_s: u16,
    pub beep: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_on_key: Option<String>,
    /// The step that follows; else the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self { say: String::new(), max_s: 120, beep: true, finish_on_key: None, then: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dial {
    /// E.164.
    pub number: String,
    /// Seconds that it rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    pub record: bool,
    /// The step that follows where nobody takes it; else the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
}

/// What belongs to a call between one webhook and the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallState {
    /// What rules remember.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// The question that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The voice agent that the call was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Said first where no rule says anything: of a call of ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opening: Vec<Step>,
    /// The call was just given to a live conversation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
    /// How the last try to find somebody for the caller came to nothing, where nobody has spoken with them since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nobody: Option<String>,
    /// Before the agent's and the business's: the provider's name of a voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// Before the agent's and the business's: BCP 47.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What was said to and fro with a conversation model, as it wants it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chat: Vec<Value>,
}

/// What is waited for in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Whose `on_input` hears the answer; none where the engine itself has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub what: Awaited,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    Input(Box<Gather>),
    /// What becomes of something else that is under way (a recording, a number that is dialled); then this step.
    Step(String),
    /// The same, where nobody has spoken with the caller meanwhile.
    Nobody(String),
}

/// What rules read of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallFacts {
    pub id: CallId,
    /// The provider's (`CA…`).
    pub sid: String,
    pub direction: CallDirection,
    /// The customer's number, or what the provider gave where it is none.
    pub peer: String,
    /// Ours.
    pub number: String,
    pub status: CallStatus,
    /// `human`, `machine_start` and the like, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    pub state: CallState,
    /// Its questions of the provider's so far, and the last of them that was answered with a live conversation which began.
    #[serde(skip)]
    pub turns: i32,
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
        for first in CallStatus::ALL {
            for second in CallStatus::ALL {
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
