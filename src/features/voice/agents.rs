//! Voice agents of a business: checks and stores them, for the command line and the API alike.

use super::compose::Streams;
use crate::domain::agent::{AGENTS_MAX, GREETING_CHARS, INSTRUCTIONS_CHARS};
use crate::domain::{AgentMode, Phone, VoiceAgent, VoiceSettings};
use crate::store::{Store, StoreError};
use crate::tenants::{Directory, Tenant, TenantService};

/// The longest name of an agent.
pub const NAME_CHARS: usize = 80;
/// The longest language, voice or provider id.
pub const WORD_CHARS: usize = 80;

/// Why an agent or a voice setting was refused.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("an agent's name has 1 to {NAME_CHARS} characters, with no blanks around it")]
    Name,
    #[error("{what} may have {most} characters")]
    Long { what: &'static str, most: usize },
    #[error("'{0}' does not do: use letters, digits, - _ . and :, at most {WORD_CHARS}")]
    Word(String),
    #[error("the agent '{0}' takes the calls of that number already: give this one another, or none")]
    Taken(String),
    #[error(
        "'{slug}' does not send from {number}, so nobody rings it there: add it with 'recado tenant set {slug} --sms {number}'"
    )]
    NotOurs { slug: String, number: Phone },
    #[error("a business may have {AGENTS_MAX} voice agents: remove one first")]
    Many,
    #[error("there is no agent '{name}'; there are: {known}")]
    NoAgent { name: String, known: String },
    #[error("the agent '{0}' at ElevenLabs is not among those that this business may use: the operator can allow it")]
    NotAllowed(String),
    #[error("'{0}' was just removed")]
    NoTenant(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Manages the agents of tenants.
#[derive(Clone, Copy)]
pub struct Agents<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
}

impl Agents<'_> {
    /// Adds an agent or replaces the one with its name; returns whether it is new.
    pub async fn put(&self, tenant: &Tenant, agent: VoiceAgent) -> Result<bool, AgentError> {
        check(&agent)?;
        if let Some(number) = agent.number.as_ref().filter(|number| !self.owns_number(tenant, number)) {
            return Err(AgentError::NotOurs { slug: tenant.slug.clone(), number: number.clone() });
        }
        if let Some(stream) = agent.stream_agent.as_ref().filter(|id| !tenant.settings.sends.allows_stream_agent(id)) {
            return Err(AgentError::NotAllowed(stream.clone()));
        }
        self.change(tenant, |voice| insert_agent(voice, agent)).await
    }

    /// Removes an agent.
    pub async fn remove(&self, tenant: &Tenant, name: &str) -> Result<(), AgentError> {
        self.change(tenant, |voice| {
            let before = voice.agents.len();
            voice.agents.retain(|agent| agent.name != name);
            if voice.agents.len() == before {
                return Err(no_agent(voice, name));
            }
            Ok(())
        })
        .await
    }

    /// Changes the voice settings in one transaction, on their current state. A refused change leaves them as they are.
    pub async fn change<T>(
        &self,
        tenant: &Tenant,
        change: impl FnOnce(&mut VoiceSettings) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let service = TenantService { store: self.store, directory: self.directory };
        let made = service.edit_settings(tenant.id, |settings| change(&mut settings.voice)).await?;
        made.ok_or_else(|| AgentError::NoTenant(tenant.slug.clone()))
    }

    /// True if calls to the number reach this tenant: it is a sender of the tenant, or the installation's.
    fn owns_number(&self, tenant: &Tenant, number: &Phone) -> bool {
        let platform = self.directory.platform();
        let own = tenant.senders.iter().filter_map(|sender| Phone::parse(&sender.number).ok());
        let mut all = own.chain(platform.from_number.clone()).chain(platform.whatsapp_number.clone());
        all.any(|one| one.key() == number.key())
    }
}

/// Names the settings that an agent's mode needs and the installation lacks. Until they are set, rules and the greeting
/// answer.
pub fn missing_settings(agent: &VoiceAgent, has_model: bool, streams: Streams) -> Option<String> {
    let needs = match (agent.mode, streams) {
        (AgentMode::Model, _) if !has_model => "OPENAI_API_KEY",
        (AgentMode::Stream, Streams::No) => "ELEVENLABS_API_KEY",
        (AgentMode::Stream, Streams::Named) if agent.stream_agent.is_none() => "ELEVENLABS_AGENT_ID",
        _ => return None,
    };
    Some(format!("{} needs {needs}, which is not set: rules and the greeting answer meanwhile", agent.mode))
}

/// Parses a language, a voice or a provider's id; `None` for an empty text.
pub fn optional_text(text: &str) -> Result<Option<String>, AgentError> {
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c);
    if text.len() > WORD_CHARS || text.contains(odd) {
        return Err(AgentError::Word(text.chars().take(WORD_CHARS).collect()));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// Checks a text of at most `most` characters.
pub fn check_length(what: &'static str, text: &str, most: usize) -> Result<(), AgentError> {
    if text.chars().count() > most { Err(AgentError::Long { what, most }) } else { Ok(()) }
}

fn check(agent: &VoiceAgent) -> Result<(), AgentError> {
    let name = &agent.name;
    let fits = !name.is_empty() && name.trim() == name && name.chars().count() <= NAME_CHARS;
    if !fits || name.chars().any(char::is_control) {
        return Err(AgentError::Name);
    }
    check_length("a greeting", &agent.greeting, GREETING_CHARS)?;
    check_length("instructions", &agent.instructions, INSTRUCTIONS_CHARS)?;
    [&agent.language, &agent.voice, &agent.stream_agent]
        .into_iter()
        .flatten()
        .try_for_each(|text| optional_text(text).map(drop))
}

fn insert_agent(voice: &mut VoiceSettings, agent: VoiceAgent) -> Result<bool, AgentError> {
    let number = |agent: &VoiceAgent| agent.number.as_ref().map(Phone::key);
    let own = number(&agent);
    let taken = |other: &&VoiceAgent| own.is_some() && number(other) == own && other.name != agent.name;
    if let Some(other) = voice.agents.iter().find(taken) {
        return Err(AgentError::Taken(other.name.clone()));
    }
    let known = voice.agents.iter().position(|known| known.name == agent.name);
    match known {
        Some(at) => voice.agents[at] = agent,
        None if voice.agents.len() >= AGENTS_MAX => return Err(AgentError::Many),
        None => voice.agents.push(agent),
    }
    Ok(known.is_none())
}

fn no_agent(voice: &VoiceSettings, name: &str) -> AgentError {
    let known: Vec<&str> = voice.agents.iter().map(|agent| agent.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    AgentError::NoAgent { name: name.chars().take(NAME_CHARS).collect(), known }
}
