//! The actions of an event: each with its attempts and its message.

use crate::domain::{ActionId, ActionState, EventId, Route, TenantId};
use crate::integrations::http_providers::Providers;
use crate::store::rows::{action, attempt, message};
use crate::store::{Store, StoreError};

/// An action of an explained event.
#[derive(Clone, Debug)]
pub struct ExplainedAction {
    pub action: action::Model,
    pub attempts: Vec<attempt::Model>,
    /// The message that it has become.
    pub message: Option<message::Model>,
}

/// Reads an event's actions in their order, each with its attempts and its message.
pub(super) async fn of_event(
    store: &Store,
    providers: &Providers,
    tenant: TenantId,
    event: EventId,
) -> Result<Vec<ExplainedAction>, StoreError> {
    let mut actions = Vec::new();
    for mut action in store.actions_of(tenant, event).await? {
        let id = ActionId::new(action.id);
        let attempts = store.attempts_of(tenant, id).await?;
        let message = store.message(tenant, id.message()).await?;
        action.reason = no_provider(&action, providers).or(action.reason);
        actions.push(ExplainedAction { action, attempts, message });
    }
    Ok(actions)
}

/// The reason of a send that waits because its provider is not described any more.
fn no_provider(action: &action::Model, providers: &Providers) -> Option<String> {
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
