//! The webhooks of calls that our actions place. The action's id stands in their URLs.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, status, turn};
use crate::domain::ActionId;
use crate::http::{AppState, Empty, Refusal};

/// Whom we rang has answered: what is said first.
pub(super) async fn answer(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Document, Refusal> {
    let answered = match id_of(&action) {
        Ok(action) => turn::answered(&state, Some(&slug), Some(action), request).await,
        Err(refusal) => Err(refusal),
    };
    state.tally("answer", answered)
}

/// How a call of ours stands.
pub(super) async fn status(
    State(state): State<AppState>,
    Path((slug, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Empty, Refusal> {
    let told = match id_of(&action) {
        Ok(action) => status::told(&state, Some(&slug), Some(action), request).await,
        Err(refusal) => Err(refusal),
    };
    state.count("call_status", told)
}

fn id_of(action: &str) -> Result<ActionId, Refusal> {
    action.parse().map_err(|_| Refusal::bad_form(format!("'{action}' is no action's id")))
}
