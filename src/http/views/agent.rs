//! A voice agent, and how other calls are answered.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Phone, VoiceAgent, VoiceSettings};

/// A voice agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentView {
    pub name: String,
    /// The number whose calls it takes, E.164; `null`: calls that rules connect to it
    pub number: Option<String>,
    /// The greeting; empty: the business's
    pub greeting: String,
    /// Language tag (BCP 47); `null`: the business's
    pub language: Option<String>,
    /// The voice, by the provider's name
    pub voice: Option<String>,
    /// The source of its answers: `script`, `model` or `stream`
    #[schema(example = "model")]
    pub mode: String,
    /// The task, for the conversation model
    pub instructions: String,
    /// The conversation at the stream's provider; `null`: the installation's
    pub stream_agent: Option<String>,
    /// A configuration key that its mode needs and that is not set; `null`: none
    #[schema(example = "model needs OPENAI_API_KEY, which is not set: rules and the greeting answer meanwhile")]
    pub lacks: Option<String>,
}

impl AgentView {
    pub fn new(agent: VoiceAgent, lacks: Option<String>) -> Self {
        Self {
            lacks,
            name: agent.name,
            number: agent.number.as_ref().map(Phone::to_string),
            greeting: agent.greeting,
            language: agent.language,
            voice: agent.voice,
            mode: agent.mode.to_string(),
            instructions: agent.instructions,
            stream_agent: agent.stream_agent,
        }
    }
}

/// How a business answers calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Voice)]
pub struct VoiceView {
    /// The greeting where no rule and no agent has one; empty: the built-in words
    pub greeting: String,
    /// The text before a call ends because no answer was found in time; empty: the built-in words
    pub fallback: String,
    /// The voice, by the provider's name
    pub voice: Option<String>,
    /// Language tag (BCP 47); `null`: the business's
    pub language: Option<String>,
    /// The number that is dialled for a caller who wants a person, E.164
    pub person: Option<String>,
    /// A call also counts as missed if the caller hangs up before saying a word or pressing a key
    pub silence_is_missed: bool,
    /// A customer who writes STOP is not called either
    pub stop_ends_calls: bool,
    /// Instructions for every conversation model
    pub instructions: String,
    pub agents: Vec<AgentView>,
}

impl VoiceView {
    /// `lacks` says which configuration key an agent needs and is not set.
    pub fn new(settings: VoiceSettings, lacks: impl Fn(&VoiceAgent) -> Option<String>) -> Self {
        let agents = settings.agents.into_iter().map(|agent| {
            let lacks = lacks(&agent);
            AgentView::new(agent, lacks)
        });
        Self {
            greeting: settings.greeting,
            fallback: settings.fallback,
            voice: settings.voice,
            language: settings.language,
            person: settings.person.as_ref().map(Phone::to_string),
            silence_is_missed: settings.silence_is_missed,
            stop_ends_calls: settings.stop_ends_calls,
            instructions: settings.instructions,
            agents: agents.collect(),
        }
    }
}
