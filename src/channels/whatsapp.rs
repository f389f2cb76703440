//! WhatsApp: its webhooks and its service.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;

use crate::actions::outbox::{Outbox, SendRefused};
use crate::domain::action::Template;
use crate::domain::{ActionId, Channel, SendBody};
use crate::intake;
use crate::web::{AppState, Empty, Refusal};

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

/// Sends WhatsApp messages by hand; the same face as `SmsService`.
#[derive(Clone)]
pub struct WhatsAppService(pub Outbox);

impl WhatsAppService {
    /// Plans a free-form message: it leaves only within 24 hours of the customer's last one.
    pub async fn send(&self, tenant: &str, to: &str, message: &str) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::WhatsApp, to, SendBody::Text(message.to_owned())).await
    }

    /// Plans an approved template, which may leave at any time.
    pub async fn send_template(&self, tenant: &str, to: &str, template: Template) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::WhatsApp, to, SendBody::Template(template)).await
    }
}
