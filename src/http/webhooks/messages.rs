//! The webhooks for inbound messages, one for each channel that receives them.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;

use crate::config::webhook_urls::WHATSAPP_WITHOUT_SLUG;
use crate::domain::Channel;
use crate::http::webhooks::inbound;
use crate::http::{AppState, Empty, WebhookRejection};

pub fn routes() -> Router<AppState> {
    let without_slug = Router::new().route(WHATSAPP_WITHOUT_SLUG, post(whatsapp_without_slug));
    Channel::INBOUND.into_iter().fold(without_slug, |router, channel| {
        let name = channel.as_str();
        let webhook = move |State(state): State<AppState>, Path(slug): Path<String>, request: Request<Body>| {
            receive(state, name, Some(slug), request)
        };
        router.route(&format!("/api/twilio/{{slug}}/{name}"), post(webhook))
    })
}

async fn whatsapp_without_slug(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    receive(state, Channel::WhatsApp.as_str(), None, request).await
}

async fn receive(
    state: AppState,
    name: &'static str,
    slug: Option<String>,
    request: Request<Body>,
) -> Result<Empty, WebhookRejection> {
    let received = inbound::receive(&state, slug.as_deref(), request).await;
    state.record_webhook(name, received.map(|()| Empty))
}
