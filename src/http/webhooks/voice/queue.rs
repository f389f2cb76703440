//! What a caller hears who waits in a queue.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, verified};
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, Refusal};

/// The provider asks again and again while the caller waits; nothing is stored.
pub async fn wait(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, Refusal> {
    let waits = waits(&state, &slug, request).await;
    state.record_webhook("queue", waits)
}

async fn waits(state: &AppState, slug: &str, request: Request<Body>) -> Result<Document, Refusal> {
    let mut webhook = Webhook::read(request).await?;
    let tenant = verified(state, Some(slug), &mut webhook)?;
    let position = webhook.params.filled("QueuePosition").and_then(|n| n.parse().ok());
    let leaves = webhook.params.filled("Digits").is_some();
    Ok(Document(state.voice.waiting(&tenant, position, leaves)))
}
