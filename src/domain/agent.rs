//! Voice agents: the configuration that answers the calls of a number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::phone::Phone;

/// The most agents of one business.
pub const AGENTS_MAX: usize = 100;
/// The longest instructions of an agent, in characters.
pub const INSTRUCTIONS_CHARS: usize = 4_000;
/// The longest greeting, in characters.
pub const GREETING_CHARS: usize = 500;

/// The source of an agent's answers.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownMode, parse_err_fn = UnknownMode::new)]
pub enum AgentMode {
    /// By rules.
    #[default]
    Script,
    /// By a conversation model, after the rules.
    Model,
    /// By a live conversation over a media stream.
    Stream,
}

impl AgentMode {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A name that is not one of [`AgentMode`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no mode of a voice agent: use script, model or stream")]
pub struct UnknownMode(String);

impl UnknownMode {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A voice agent of a business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoiceAgent {
    /// Unique within the business.
    pub name: String,
    /// The number whose calls it answers. Without one it answers the calls that rules connect to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Phone>,
    /// The first text of a call. By default the business's greeting.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub greeting: String,
    /// A BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The provider's name of a voice, such as `Polly.Lucia`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    pub mode: AgentMode,
    /// Instructions for the conversation model, in addition to the business's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// The id of the conversation at the stream's provider. By default the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_agent: Option<String>,
    /// Settings of a newer version. This version keeps them and ignores them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

/// A business's settings for calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoiceSettings {
    /// The greeting where no rule and no agent has one; `{name}` is the business's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub greeting: String,
    /// The text before a call ends because no answer was found in time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fallback: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// A BCP 47 tag. By default the business's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The number that is dialled for a caller who wants a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Phone>,
    /// A call also counts as missed if the caller hangs up before saying a word or pressing a key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silence_is_missed: bool,
    /// A customer who writes STOP is not called either.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stop_ends_calls: bool,
    /// Instructions for every conversation model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<VoiceAgent>,
    /// Settings of a newer version. This version keeps them and ignores them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

impl VoiceSettings {
    /// Finds an agent by its name.
    pub fn agent(&self, name: &str) -> Option<&VoiceAgent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// Finds the agent that answers the calls of a number.
    pub fn agent_of(&self, number: &str) -> Option<&VoiceAgent> {
        let key = Phone::parse(number).ok()?.key();
        self.agents.iter().find(|agent| agent.number.as_ref().is_some_and(|own| own.key() == key))
    }
}
