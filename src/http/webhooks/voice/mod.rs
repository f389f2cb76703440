//! Calls: the URLs that a provider asks what to say next, and tells how a call stands. All of one kind run the same code,
//! by GET and POST.
//!
//! | | with a slug | without |
//! |---|---|---|
//! | a call comes in, or whom we rang has answered | `/api/twilio/{slug}/answer`, `…/voice` | `/api/twilio/voice`, `/api/voice/webhook`, `/api/webhooks/twilio` |
//! | what came of a question | `…/gather` | `/api/webhooks/twilio/gather` |
//! | how the call stands | `…/status` | `/api/twilio/status`, `/api/voice/status-callback`, `/api/webhooks/twilio/status` |
//! | whom we rang has answered; how that call stands | `…/calls/{action}/answer`, `…/calls/{action}/status` | |
//! | a recording | `…/recording` | |
//! | while a caller waits in a queue | `…/queue` | |
//! | while an answer is being looked for | `…/wait` | |
//! | a live conversation (WebSocket) | | `/api/twilio/stream/{token}` |
//! | where nothing else answers | `…/fallback` | `/api/twilio/fallback` |

mod form;
pub mod lost;
pub mod outbound;
mod queue;
mod status;
mod stream;
mod turn;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use crate::domain::Channel;
use crate::http::webhooks::intake::Webhook;
use crate::http::{AppState, Refusal};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::twiml;
use crate::tenants::{Snapshot, Tenant};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/twilio/{slug}/answer", both(turn::answer_of))
        .route("/api/twilio/{slug}/voice", both(turn::answer_of))
        .route("/api/twilio/voice", both(turn::answer))
        .route("/api/voice/webhook", both(turn::answer))
        .route("/api/webhooks/twilio", both(turn::answer))
        .route("/api/twilio/{slug}/gather", both(turn::gather_of))
        .route("/api/webhooks/twilio/gather", both(turn::gather))
        .route("/api/twilio/{slug}/wait", both(turn::wait))
        .route("/api/twilio/stream/{token}", get(stream::open))
        .route("/api/twilio/{slug}/status", both(status::status_of))
        .route("/api/twilio/status", both(status::status))
        .route("/api/voice/status-callback", both(status::status))
        .route("/api/webhooks/twilio/status", both(status::status))
        .route("/api/twilio/{slug}/calls/{action}/answer", both(outbound::answer))
        .route("/api/twilio/{slug}/calls/{action}/status", both(outbound::status))
        .route("/api/twilio/{slug}/recording", both(status::recording))
        .route("/api/twilio/{slug}/queue", both(queue::wait))
        .route("/api/twilio/{slug}/fallback", both(turn::fallback_of))
        .route("/api/twilio/fallback", both(turn::fallback))
}

fn both<H, T>(handler: H) -> MethodRouter<AppState>
where
    H: axum::handler::Handler<T, AppState> + Clone,
    T: 'static,
{
    get(handler.clone()).post(handler)
}

/// A document for the provider.
struct Document(String);

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, twiml::CONTENT_TYPE)], self.0).into_response()
    }
}

/// Whom a call concerns where the URL names nobody: by our number, which is the one that was rung, or, where we rang, the
/// one that rang; then by a tenant's own account.
fn by_content(snapshot: &Snapshot, params: &Params) -> Result<Arc<Tenant>, Refusal> {
    let outbound = params.get("Direction").is_some_and(|direction| direction.starts_with("outbound"));
    let ours = params.get(if outbound { "From" } else { "To" }).unwrap_or_default();
    let account = params.get("AccountSid").unwrap_or_default();
    snapshot
        .by_number(Channel::Voice, ours)
        .or_else(|| snapshot.by_number(Channel::Sms, ours))
        .or_else(|| snapshot.by_own_account(account))
        .cloned()
        .ok_or_else(|| {
            Refusal::unknown_tenant(
                "no tenant owns the number that was rung; add it with 'recado tenant set'".to_owned(),
            )
        })
}

/// The tenant of a webhook whose account has signed it.
fn verified(state: &AppState, slug: Option<&str>, webhook: &mut Webhook) -> Result<Arc<Tenant>, Refusal> {
    let snapshot = state.directory.now();
    let tenant = match slug {
        Some(slug) => snapshot
            .by_slug(slug)
            .cloned()
            .ok_or_else(|| Refusal::unknown_tenant(format!("no tenant has the slug '{slug}'")))?,
        None => by_content(&snapshot, &webhook.params)?,
    };
    webhook.verify(state, &tenant).map_err(|refusal| refusal.of(tenant.id))?;
    Ok(tenant)
}
