//! The webhook for SMS.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use crate::http::webhooks::inbound;
use crate::http::{AppState, Empty, Refusal};

pub async fn webhook(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Empty, Refusal> {
    let received = inbound::receive(&state, Some(&slug), request).await;
    state.record_webhook("sms", received.map(|()| Empty))
}
