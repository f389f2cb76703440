//! The webhooks of calls that our actions place. The action's id stands in their URLs.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, status, turn};
use crate::domain::ActionId;
use crate::http::{AppState, Empty, Refusal};

/// The customer has answered: gives the first steps.
pub async fn answer(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Document, Refusal> {
    let answered = match id_of(&action) {
        Ok(action) => turn::answered(&state, Some(&slug), Some(action), request).await,
        Err(refusal) => Err(refusal),
    };
    state.record_webhook("answer", answered)
}

/// Receives the state of a call that we placed.
pub async fn status(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Empty, Refusal> {
    let told = match id_of(&action) {
        Ok(action) => status::told(&state, Some(&slug), Some(action), request).await,
        Err(refusal) => Err(refusal),
    };
    state.record_webhook("call_status", told.map(|()| Empty))
}

fn id_of(action: &str) -> Result<ActionId, Refusal> {
    action.parse().map_err(|_| Refusal::bad_form(format!("'{action}' is no action's id")))
}
