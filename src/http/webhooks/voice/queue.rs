//! The instructions for a caller who waits in a queue.

use axum::body::Body;
use axum::extract::{Path, Request, State};

use super::{Document, verified};
use crate::http::webhooks::inbound::Webhook;
use crate::http::{AppState, WebhookRejection};

/// The provider asks again and again while the caller waits; nothing is stored.
pub async fn wait(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    request: Request<Body>,
) -> Result<Document, WebhookRejection> {
    let result = answer_queue(&state, &slug, request).await;
    state.record_webhook("queue", result)
}

async fn answer_queue(state: &AppState, slug: &str, request: Request<Body>) -> Result<Document, WebhookRejection> {
    let mut webhook = Webhook::read(request).await?;
    let tenant = verified(state, Some(slug), &mut webhook)?;
    let position = webhook.params.filled("QueuePosition").and_then(|n| n.parse().ok());
    let leaves = webhook.params.filled("Digits").is_some();
    Ok(Document(state.voice.queue_document(&tenant, position, leaves)))
}
