//! What became of each action.

use serde::Serialize;
use serde_json::Value as Json;

use crate::domain::{Action, ActionId, ActionState, EventId, Route, TenantId, Timestamp};
use crate::integrations::http_providers::{Providers, request};
use crate::integrations::twilio::codes;
use crate::store::rows::{action, attempt, message};
use crate::store::{Store, StoreError};

#[derive(Serialize)]
pub struct Line {
    pub id: ActionId,
    pub rule: String,
    /// Its place among that rule's actions, from 0.
    pub index: i32,
    pub kind: String,
    pub state: String,
    /// Why it stands there, where that needs saying.
    pub reason: Option<String>,
    /// By which way it leaves: `twilio`, `provider:india`, `email`, `request`; none for effects.
    pub route: Option<String>,
    pub channel: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub body: Option<String>,
    pub origin: String,
    /// As the rule asked for it.
    pub action: Json,
    pub planned_at: Timestamp,
    /// When it may leave, or, where its outcome is unknown, be looked for.
    pub due_at: Timestamp,
    pub provider_sid: Option<String>,
    pub error: Option<Code>,
    pub delivery: Option<Delivery>,
    pub attempts: Vec<Attempt>,
}

/// One try.
#[derive(Serialize)]
pub struct Attempt {
    pub n: i32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `None` while it is under way, or where its process ended.
    pub outcome: Option<String>,
    pub http_status: Option<i32>,
    pub error: Option<Code>,
    pub detail: Option<String>,
}

/// What the provider reported of the message.
#[derive(Serialize)]
pub struct Delivery {
    pub status: String,
    pub error: Option<Code>,
}

/// A provider's code; what it means where it is known.
#[derive(Serialize)]
pub struct Code {
    pub code: i64,
    pub meaning: Option<&'static str>,
    pub remedy: Option<&'static str>,
}

impl Code {
    pub fn new(code: i64) -> Self {
        let known = u32::try_from(code).ok().and_then(codes::lookup);
        Self { code, meaning: known.map(|known| known.meaning), remedy: known.map(|known| known.remedy) }
    }
}

/// An event's actions in their order, each with its tries and its message.
pub async fn lines(
    store: &Store,
    providers: &Providers,
    tenant: TenantId,
    event: EventId,
) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for action in store.actions_of(tenant, event).await? {
        let id = ActionId::new(action.id);
        let attempts = store.attempts_of(tenant, id).await?;
        let message = store.message(tenant, id.message()).await?;
        let mut line = line(action, attempts, message)?;
        line.reason = no_provider(&line, providers).or(line.reason);
        lines.push(line);
    }
    Ok(lines)
}

/// Why a send waits whose provider was taken out.
fn no_provider(line: &Line, providers: &Providers) -> Option<String> {
    let route = line.route.as_deref().and_then(|route| route.parse().ok());
    match route {
        Some(Route::Provider(name))
            if line.state == ActionState::Planned.as_str() && providers.named(&name).is_none() =>
        {
            Some(format!("it waits: PROVIDERS_FILE describes no provider '{name}' any more"))
        }
        _ => None,
    }
}

fn line(
    action: action::Model,
    attempts: Vec<attempt::Model>,
    message: Option<message::Model>,
) -> Result<Line, StoreError> {
    let stored = |error: serde_json::Error| StoreError::Stored(error.to_string());
    let mut planned: Action = serde_json::from_str(&action.payload).map_err(stored)?;
    let body = match &planned {
        Action::Send(send) => Some(send.body.shown()),
        Action::Voice(step) => step.spoken().map(str::to_owned),
        Action::Request(_) | Action::Effect(_) => None,
    };
    // What a request proves its right with is nobody's business here.
    if let Action::Request(request) = &mut planned {
        request.url = request::shown(&request.url);
        request.headers.values_mut().for_each(|value| "••••".clone_into(value));
    }
    // Blocked ones stand in the inbox, too, but nobody has reported on them.
    let delivery = message
        .filter(|message| message.provider_sid.is_some())
        .map(|message| Delivery { status: message.status, error: message.error_code.map(Code::new) });
    Ok(Line {
        id: ActionId::new(action.id),
        rule: action.rule,
        index: action.idx,
        kind: action.kind,
        state: action.state,
        reason: action.reason,
        route: action.route,
        channel: action.channel,
        from: action.sender,
        to: action.recipient,
        body,
        origin: action.origin,
        action: serde_json::to_value(planned).map_err(stored)?,
        planned_at: Timestamp::from_unix_us(action.planned_us),
        due_at: Timestamp::from_unix_us(action.due_us),
        provider_sid: action.provider_sid,
        error: action.error_code.map(Code::new),
        delivery,
        attempts: attempts.into_iter().map(of_attempt).collect(),
    })
}

fn of_attempt(attempt: attempt::Model) -> Attempt {
    Attempt {
        n: attempt.n,
        started_at: Timestamp::from_unix_us(attempt.started_us),
        finished_at: attempt.finished_us.map(Timestamp::from_unix_us),
        outcome: attempt.outcome,
        http_status: attempt.http_status,
        error: attempt.error_code.map(Code::new),
        detail: attempt.detail,
    }
}
