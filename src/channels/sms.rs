//! SMS: its webhook and its service.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;

use crate::actions::outbox::{Outbox, SendRefused};
use crate::domain::{ActionId, Channel, SendBody};
use crate::intake;
use crate::web::{AppState, Empty, Refusal};

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/twilio/{slug}/sms", post(webhook))
}

async fn webhook(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Empty, Refusal> {
    let received = intake::receive(&state, Some(&slug), request).await;
    state.count("sms", received)
}

/// Sends text messages by hand: planned in the ledger like everything else.
#[derive(Clone)]
pub struct SmsService(pub Outbox);

impl SmsService {
    /// Plans a text from the tenant's sender to `to`, E.164. The gate asks its questions when it leaves.
    pub async fn send(&self, tenant: &str, to: &str, message: &str) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::Sms, to, SendBody::Text(message.to_owned())).await
    }
}
