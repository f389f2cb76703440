//! Voice agents: who takes the calls of a number, and how.

use serde::{Deserialize, Serialize};

use super::Phone;

/// The most agents of one business.
pub const AGENTS_MAX: usize = 100;
/// The longest text that an agent is given, in characters.
pub const INSTRUCTIONS_CHARS: usize = 4_000;
pub const GREETING_CHARS: usize = 500;

/// How an agent finds its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentMode {
    /// Rules.
    #[default]
    Script,
    /// A conversation model; rules come first.
    Model,
    /// A live conversation over a media stream.
    Stream,
}

impl AgentMode {
    pub const ALL: [Self; 3] = [Self::Script, Self::Model, Self::Stream];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Model => "model",
            Self::Stream => "stream",
        }
    }
}

impl std::fmt::Display for AgentMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no mode of a voice agent: use script, model or stream")]
pub struct UnknownMode(String);

impl std::str::FromStr for AgentMode {
    type Err = UnknownMode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

/// One agent, as a business has set it up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoiceAgent {
    /// Unique within the business.
    pub name: String,
    /// The number whose calls it takes; without one it takes those that rules connect to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Phone>,
    /// Said first; else the business's greeting.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub greeting: String,
    /// BCP 47.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The provider's name of a voice, such as `Polly.Lucia`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    pub mode: AgentMode,
    /// What a conversation model is told of its task, besides the business's own instructions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// Which conversation of the stream's provider it is; else the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_agent: Option<String>,
}

/// How a business answers calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoiceSettings {
    /// Said to whom no rule and no agent knows; `{name}` is the business's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub greeting: String,
    /// Said where no answer is found in time, before the call ends.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fallback: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// BCP 47; else the business's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who is rung where a caller wants a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Phone>,
    /// A call counts as missed, too, where the caller hangs up before a word or a key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silence_is_missed: bool,
    /// Whoever writes STOP is not called by this business either.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stop_ends_calls: bool,
    /// What every conversation model is told of this business.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<VoiceAgent>,
}

impl VoiceSettings {
    pub fn agent(&self, name: &str) -> Option<&VoiceAgent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// Who takes the calls of this number.
    pub fn agent_of(&self, number: &str) -> Option<&VoiceAgent> {
        let key = Phone::parse(number).ok()?.key();
        self.agents.iter().find(|agent| agent.number.as_ref().is_some_and(|own| own.key() == key))
    }
}
