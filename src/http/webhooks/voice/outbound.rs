//! The webhooks of calls that our actions place. The action's id stands in their URLs.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, status, turn};
use crate::domain::ActionId;
use crate::http::{AppState, Empty, WebhookRejection};

/// The customer has answered: gives the first steps.
pub async fn answer(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = match id_of(&action) {
        Ok(action) => turn::answer_call(&state, Some(&slug), Some(action), request).await,
        Err(rejection) => Err(rejection),
    };
    state.record_webhook("answer", result)
}

/// Receives the state of a call that we placed.
pub async fn status(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    let received = match id_of(&action) {
        Ok(action) => status::receive_status(&state, Some(&slug), Some(action), request).await,
        Err(rejection) => Err(rejection),
    };
    state.record_webhook("call_status", received.map(|()| Empty))
}

fn id_of(action: &str) -> Result<ActionId, WebhookRejection> {
    action.parse().map_err(|_| WebhookRejection::bad_form(format!("'{action}' is no action's id")))
}
