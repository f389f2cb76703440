//! Calls of ours: their URLs, in which our action's id stands, and the service that calls by hand.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, status, turn};
use crate::actions::outbox::{Outbox, SendRefused};
use crate::domain::{ActionId, CallBody, Channel, SendBody};
use crate::web::{AppState, Empty, Refusal};

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

/// Calls by hand: planned in the ledger like everything else.
#[derive(Clone)]
pub struct CallService(pub Outbox);

impl CallService {
    /// Plans a call from the tenant's number to `to`, E.164. The gate asks its questions when it leaves.
    pub async fn call(&self, tenant: &str, to: &str, body: CallBody) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::Voice, to, SendBody::Call(body)).await
    }
}
