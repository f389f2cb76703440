//! `/api/v1/agents`

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, Path};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::problem::{Common, Problem, Writing};
use crate::domain::{AgentMode, Country, Phone, VoiceAgent};
use crate::features::voice::agents::{self as voice_agents, AgentError, Agents};
use crate::http::AppState;
use crate::http::views::agent::AgentView;

#[derive(Debug, Serialize, ToSchema)]
pub struct VoiceAgents {
    items: Vec<AgentView>,
}

/// Replaces the agent; omitted fields are reset.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetAgent {
    /// The number whose calls it takes, E.164, one of the business; omitted: calls that rules connect to it
    #[schema(example = "+34911111111")]
    number: Option<String>,
    /// The greeting; `{name}` is replaced by the business's name
    #[schema(max_length = 500)]
    greeting: String,
    /// Language tag (BCP 47)
    #[schema(example = "es-ES", max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    language: Option<String>,
    /// The voice, by the provider's name
    #[schema(example = "Polly.Lucia", max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    voice: Option<String>,
    /// The source of its answers: `script` (rules, the default), `model` (a conversation model, after the rules) or
    /// `stream` (a live conversation)
    #[schema(value_type = String, pattern = "^(script|model|stream)$", example = "model")]
    mode: AgentMode,
    /// The task, for the conversation model
    #[schema(max_length = 4000)]
    instructions: String,
    /// The conversation at the stream's provider
    #[schema(max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    stream_agent: Option<String>,
}

impl SetAgent {
    fn named(self, name: String, home: Option<Country>) -> Result<VoiceAgent, Problem> {
        let number = self.number.filter(|number| !number.is_empty());
        let number = number.map(|number| Phone::parse_human(&number, home)).transpose();
        let word = |text: Option<String>| voice_agents::optional_text(&text.unwrap_or_default()).map_err(refused);
        Ok(VoiceAgent {
            name,
            number: number.map_err(|error| Problem::unfit("not_e164", error))?,
            greeting: self.greeting,
            language: word(self.language)?,
            voice: word(self.voice)?,
            mode: self.mode,
            instructions: self.instructions,
            stream_agent: word(self.stream_agent)?,
            unknown: BTreeMap::new(),
        })
    }
}

/// List voice agents.
#[utoipa::path(get, path = "/agents", operation_id = "listAgents", tag = "agents",
    responses((status = 200, description = "All of them", body = VoiceAgents), Common))]
pub async fn list(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<VoiceAgents>, Problem> {
    let tenant = caller.current_tenant(&state.directory).await?;
    let items = tenant.settings.voice.agents.iter().map(|agent| view(&state, agent.clone())).collect();
    Ok(axum::Json(VoiceAgents { items }))
}

/// Get a voice agent.
#[utoipa::path(get, path = "/agents/{name}", operation_id = "getAgent", tag = "agents",
    params(("name" = String, Path)),
    responses((status = 200, description = "The agent", body = AgentView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<axum::Json<AgentView>, Problem> {
    let tenant = caller.current_tenant(&state.directory).await?;
    let agent = tenant.settings.voice.agent(&name).cloned();
    Ok(axum::Json(view(&state, agent.ok_or_else(|| Problem::not_found("voice agent"))?)))
}

/// Add or replace a voice agent.
#[utoipa::path(put, path = "/agents/{name}", operation_id = "setAgent", tag = "agents", request_body = SetAgent,
    params(("name" = String, Path, description = "The name by which rules connect callers to it", min_length = 1,
        max_length = 80), IdempotencyKey),
    responses((status = 201, description = "The new agent", body = AgentView),
        (status = 200, description = "The agent as changed", body = AgentView), Common, Writing))]
pub async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    body: Body<SetAgent>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, set: SetAgent| {
        let agent = set.named(name, caller.0.home())?;
        let tenant = caller.current_tenant(&state.directory).await?;
        let is_new = agents(&state).put(&tenant, agent.clone()).await.map_err(refused)?;
        Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, view(&state, agent)))
    })
    .await
}

/// Remove a voice agent.
#[utoipa::path(delete, path = "/agents/{name}", operation_id = "removeAgent", tag = "agents",
    params(("name" = String, Path)),
    responses((status = 204, description = "The agent is removed"), Common))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.current_tenant(&state.directory).await?;
    agents(&state).remove(&tenant, &name).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(state: &AppState, agent: VoiceAgent) -> AgentView {
    let missing_settings = state.voice.missing_settings(&agent);
    AgentView::new(agent, missing_settings)
}

fn agents(state: &AppState) -> Agents<'_> {
    Agents { store: &state.store, directory: &state.directory }
}

fn refused(error: AgentError) -> Problem {
    let code = match error {
        AgentError::Store(error) => return error.into(),
        AgentError::NoAgent { .. } | AgentError::NoTenant(_) => return Problem::not_found("voice agent"),
        AgentError::Taken(_) => return Problem::new(StatusCode::CONFLICT, "number_taken", error.to_string()),
        AgentError::Name | AgentError::Long { .. } | AgentError::Word(_) => "bad_agent",
        AgentError::NotOurs { .. } => "not_your_number",
        AgentError::NotAllowed(_) => "not_allowed",
        AgentError::Many => "too_many",
    };
    Problem::unfit(code, error)
}
