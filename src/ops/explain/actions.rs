//! The actions of an event: each with its attempts, its message and its delivery.

use serde::Serialize;
use serde_json::Value as Json;

use crate::domain::{Action, ActionId, ActionState, EventId, Route, TenantId, Timestamp};
use crate::integrations::http_providers::{Providers, request};
use crate::integrations::twilio::codes;
use crate::store::rows::{action, attempt, message};
use crate::store::{Store, StoreError};

/// An action of an explained event.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedAction {
    pub id: ActionId,
    pub rule: String,
    /// Its place among the actions of the rule, from 0.
    pub index: i32,
    pub kind: String,
    pub state: String,
    /// Why it is in this state, where that is worth saying.
    pub reason: Option<String>,
    /// The route: `twilio`, `provider:india`, `email`, `request`; none for effects.
    pub route: Option<String>,
    pub channel: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub body: Option<String>,
    pub origin: String,
    /// The action as the rule asked for it.
    pub action: Json,
    pub planned_at: Timestamp,
    /// When it may leave, or, where its outcome is unknown, when it is looked for.
    pub due_at: Timestamp,
    pub provider_sid: Option<String>,
    pub error: Option<ErrorCode>,
    pub delivery: Option<Delivery>,
    pub attempts: Vec<Attempt>,
}

/// One attempt at the provider.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    pub n: i32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `None` while the attempt is under way, or where its process ended.
    pub outcome: Option<String>,
    pub http_status: Option<i32>,
    pub error: Option<ErrorCode>,
    pub detail: Option<String>,
}

/// The delivery status that the provider reported.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    pub status: String,
    pub error: Option<ErrorCode>,
}

/// An error code of the provider, with its meaning and remedy where they are known.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorCode {
    pub code: i64,
    pub meaning: Option<&'static str>,
    pub remedy: Option<&'static str>,
}

impl ErrorCode {
    /// Looks a code up.
    pub fn new(code: i64) -> Self {
        let known = u32::try_from(code).ok().and_then(codes::lookup);
        Self { code, meaning: known.map(|known| known.meaning), remedy: known.map(|known| known.remedy) }
    }
}

/// Reads an event's actions in their order, each with its attempts and its message.
pub(super) async fn of_event(
    store: &Store,
    providers: &Providers,
    tenant: TenantId,
    event: EventId,
) -> Result<Vec<ExplainedAction>, StoreError> {
    let mut actions = Vec::new();
    for action in store.actions_of(tenant, event).await? {
        let id = ActionId::new(action.id);
        let attempts = store.attempts_of(tenant, id).await?;
        let message = store.message(tenant, id.message()).await?;
        let mut action = explained(action, attempts, message)?;
        action.reason = no_provider(&action, providers).or(action.reason);
        actions.push(action);
    }
    Ok(actions)
}

/// The reason of a send that waits because its provider is not described any more.
fn no_provider(action: &ExplainedAction, providers: &Providers) -> Option<String> {
    let route = action.route.as_deref().and_then(|route| route.parse().ok());
    match route {
        Some(Route::Provider(name))
            if action.state == ActionState::Planned.as_str() && providers.named(&name).is_none() =>
        {
            Some(format!("it waits: PROVIDERS_FILE describes no provider '{name}' any more"))
        }
        _ => None,
    }
}

fn explained(
    action: action::Model,
    attempts: Vec<attempt::Model>,
    message: Option<message::Model>,
) -> Result<ExplainedAction, StoreError> {
    let stored = |error: serde_json::Error| StoreError::Stored(error.to_string());
    let mut planned: Action = serde_json::from_str(&action.payload).map_err(stored)?;
    let body = match &planned {
        Action::Send(send) => Some(send.body.summary()),
        Action::Voice(step) => step.spoken().map(str::to_owned),
        Action::Request(_) | Action::Effect(_) => None,
    };
    // The credentials of a request are not shown.
    if let Action::Request(request) = &mut planned {
        request.url = request::shown(&request.url);
        request.headers.values_mut().for_each(|value| "••••".clone_into(value));
    }
    // A blocked send is a message, too, but nobody has reported on it.
    let delivery = message
        .filter(|message| message.provider_sid.is_some())
        .map(|message| Delivery { status: message.status, error: message.error_code.map(ErrorCode::new) });
    Ok(ExplainedAction {
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
        error: action.error_code.map(ErrorCode::new),
        delivery,
        attempts: attempts.into_iter().map(explained_attempt).collect(),
    })
}

fn explained_attempt(attempt: attempt::Model) -> Attempt {
    Attempt {
        n: attempt.n,
        started_at: Timestamp::from_unix_us(attempt.started_us),
        finished_at: attempt.finished_us.map(Timestamp::from_unix_us),
        outcome: attempt.outcome,
        http_status: attempt.http_status,
        error: attempt.error_code.map(ErrorCode::new),
        detail: attempt.detail,
    }
}
