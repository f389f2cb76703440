//! The webhooks for WhatsApp.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;

use crate::http::webhooks::intake;
use crate::http::{AppState, Empty, Refusal};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/twilio/{slug}/whatsapp", post(webhook))
        .route("/api/whatsapp/webhook", post(webhook_without_slug))
}

async fn webhook(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Empty, Refusal> {
    let received = intake::receive(&state, Some(&slug), request).await;
    state.count("whatsapp", received)
}

async fn webhook_without_slug(State(state): State<AppState>, request: Request<Body>) -> Result<Empty, Refusal> {
    let received = intake::receive(&state, None, request).await;
    state.count("whatsapp", received)
}
