//! `/api/v1/agents`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{Body, Path};
use super::caller::Caller;
use super::once::once;
use super::problem::{Common, Problem, Writing};
use crate::domain::{AgentMode, Phone, VoiceAgent};
use crate::features::voice::agents;
use crate::features::voice::agents::{AgentError, Agents};
use crate::http::AppState;
use crate::tenants::Tenant;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, put, remove))
}

/// Who takes calls, and how.
#[derive(Debug, Serialize, ToSchema)]
struct Agent {
    name: String,
    /// E.164: whose calls it takes; `null`: those that rules connect to it
    number: Option<String>,
    /// What it says first; empty: the business's greeting
    greeting: String,
    /// BCP 47; `null`: the business's
    language: Option<String>,
    /// The provider's name of a voice
    voice: Option<String>,
    /// How it finds its answers: `script`, `model` or `stream`
    #[schema(example = "model")]
    mode: String,
    /// What a conversation model is told of its task
    instructions: String,
    /// Which conversation of the stream's provider it is; `null`: the installation's
    stream_agent: Option<String>,
    /// What its mode needs and the installation does not have; `null`: nothing
    #[schema(example = "model needs OPENAI_API_KEY, which is not set: rules and the greeting answer meanwhile")]
    lacks: Option<String>,
}

impl Agent {
    fn of(state: &AppState, agent: VoiceAgent) -> Self {
        Self {
            lacks: state.voice.lacks(&agent),
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

#[derive(Debug, Serialize, ToSchema)]
struct VoiceAgents {
    items: Vec<Agent>,
}

/// An agent, whole: what is not named is as if it had never been.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct SetAgent {
    /// E.164, one that the business sends from: whose calls it takes; none: those that rules connect to it
    #[schema(example = "+34911111111")]
    number: Option<String>,
    /// What it says first; `{name}` is the business's name
    #[schema(max_length = 500)]
    greeting: String,
    /// BCP 47
    #[schema(example = "es-ES", max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    language: Option<String>,
    /// The provider's name of a voice
    #[schema(example = "Polly.Lucia", max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    voice: Option<String>,
    /// `script` (rules), `model` (a conversation model; rules come first) or `stream` (a live conversation); `script`
    /// where nothing is said
    #[schema(value_type = String, pattern = "^(script|model|stream)$", example = "model")]
    mode: AgentMode,
    /// What a conversation model is told of its task
    #[schema(max_length = 4000)]
    instructions: String,
    /// Which conversation of the stream's provider it is
    #[schema(max_length = 80, pattern = "^[A-Za-z0-9_.:-]*$")]
    stream_agent: Option<String>,
}

impl SetAgent {
    fn named(self, name: String) -> Result<VoiceAgent, Problem> {
        let number = self.number.filter(|number| !number.is_empty());
        let number = number.map(|number| Phone::parse(&number)).transpose();
        let word = |text: Option<String>| agents::word(&text.unwrap_or_default()).map_err(refused);
        Ok(VoiceAgent {
            name,
            number: number.map_err(|error| Problem::unfit("not_e164", error))?,
            greeting: self.greeting,
            language: word(self.language)?,
            voice: word(self.voice)?,
            mode: self.mode,
            instructions: self.instructions,
            stream_agent: word(self.stream_agent)?,
        })
    }
}

/// Voice agents
#[utoipa::path(get, path = "/agents", operation_id = "listAgents", tag = "agents",
    responses((status = 200, description = "All of them", body = VoiceAgents), Common))]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<VoiceAgents>, Problem> {
    let tenant = current(&state, &caller).await?;
    let items = tenant.settings.voice.agents.iter().map(|agent| Agent::of(&state, agent.clone())).collect();
    Ok(axum::Json(VoiceAgents { items }))
}

/// One voice agent
#[utoipa::path(get, path = "/agents/{name}", operation_id = "getAgent", tag = "agents",
    params(("name" = String, Path)),
    responses((status = 200, description = "The agent", body = Agent), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<axum::Json<Agent>, Problem> {
    let tenant = current(&state, &caller).await?;
    let agent = tenant.settings.voice.agent(&name).cloned();
    Ok(axum::Json(Agent::of(&state, agent.ok_or_else(|| Problem::not_found("voice agent"))?)))
}

/// Adds a voice agent, or puts it in the place of the one of this name
#[utoipa::path(put, path = "/agents/{name}", operation_id = "setAgent", tag = "agents", request_body = SetAgent,
    params(("name" = String, Path, description = "By which rules connect callers to it", min_length = 1, max_length = 80),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 201, description = "The new agent", body = Agent),
        (status = 200, description = "The agent as changed", body = Agent), Common, Writing))]
async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    body: Body<SetAgent>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, set: SetAgent| {
        let agent = set.named(name)?;
        let tenant = current(&state, &caller).await?;
        let is_new = kept(&state).put(&tenant, agent.clone()).await.map_err(refused)?;
        Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Agent::of(&state, agent)))
    })
    .await
}

/// Removes a voice agent: it takes no calls any more
#[utoipa::path(delete, path = "/agents/{name}", operation_id = "removeAgent", tag = "agents",
    params(("name" = String, Path)),
    responses((status = 204, description = "It is gone"), Common))]
async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = current(&state, &caller).await?;
    kept(&state).remove(&tenant, &name).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn kept(state: &AppState) -> Agents<'_> {
    Agents { store: &state.store, directory: &state.directory }
}

/// The tenant as it stands: what a command beside this server has changed counts at once.
async fn current(state: &AppState, caller: &Caller) -> Result<Arc<Tenant>, Problem> {
    let directory = &state.directory;
    directory.refresh().await?;
    Ok(directory.now().by_id(caller.0.id).unwrap_or(&caller.0).clone())
}

fn refused(error: AgentError) -> Problem {
    let code = match error {
        AgentError::Store(error) => return error.into(),
        AgentError::NoAgent { .. } | AgentError::NoTenant(_) => return Problem::not_found("voice agent"),
        AgentError::Taken(_) => return Problem::new(StatusCode::CONFLICT, "number_taken", error.to_string()),
        AgentError::Name | AgentError::Long { .. } | AgentError::Word(_) => "bad_agent",
        AgentError::NotOurs { .. } => "not_your_number",
        AgentError::Many => "too_many",
    };
    Problem::unfit(code, error)
}
