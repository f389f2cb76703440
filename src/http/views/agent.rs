//! A voice agent.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Phone, VoiceAgent};

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
