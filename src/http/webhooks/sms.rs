//! The webhook for SMS.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;

use crate::http::webhooks::intake;
use crate::http::{AppState, Empty, Refusal};

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
