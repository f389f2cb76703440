//! Calls of ours: their URLs, in which our action's id stands, and the service that calls by hand.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, status, turn};
use crate::actions::call::{UnfitCall, check};
use crate::actions::outbox::{Outbox, SendRefused};
use crate::directory::Tenant;
use crate::domain::{ActionId, CallBody, Channel, EventId, SendBody};
use crate::rules::RuleSet;
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

/// Why nobody is called.
#[derive(Debug, thiserror::Error)]
pub enum CallRefused {
    #[error(transparent)]
    Unfit(#[from] UnfitCall),
    #[error(transparent)]
    Send(#[from] SendRefused),
}

/// Calls by hand, and of programs: planned in the ledger like everything else.
#[derive(Clone)]
pub struct CallService(pub Outbox);

impl CallService {
    /// Plans a call from the tenant's number to `to`, E.164, under an event of this identity: planned again with the same,
    /// it stays the one call. `rules` are those by which it would begin now. The gate asks its questions when it leaves.
    pub async fn call(
        &self,
        rules: &RuleSet,
        event: EventId,
        tenant: &Tenant,
        to: &str,
        body: CallBody,
    ) -> Result<ActionId, CallRefused> {
        check(rules, tenant, &body)?;
        Ok(self.0.plan_as(event, tenant, Channel::Voice, to, SendBody::Call(body)).await?)
    }
}
