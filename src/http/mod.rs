//! The HTTP surface: [`router`] lists every route, [`webhooks`] and [`api`] have the handlers, [`views`] the JSON of each
//! noun. This module has the state that handlers share, and the empty TwiML.

pub mod calendar;
pub mod docs;
pub mod health;
mod rejection_counts;
pub mod review;
pub mod router;
pub mod views;
mod webhook_rejection;
pub mod webhooks;
pub mod api;

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub use rejection_counts::RejectionCounts;
pub use webhook_rejection::WebhookRejection;

use crate::domain::Clock;
use crate::engine::Engine;
use crate::engine::pipeline::Pipeline;
use crate::engine::sending::circuit::Circuits;
use crate::engine::sending::transports::Transports;
use crate::features::voice::Voice;
use crate::integrations::twilio::twiml;
use crate::store::Store;
use crate::telemetry::metric;
use crate::tenants::Directory;

/// The state that handlers share.
#[derive(Clone)]
pub struct AppState {
    pub pipeline: Arc<Pipeline>,
    pub store: Store,
    pub directory: Arc<Directory>,
    pub clock: Clock,
    pub transports: Arc<Transports>,
    pub circuits: Arc<Circuits>,
    pub voice: Arc<Voice>,
    /// `APP_DEBUG`: accept unsigned webhooks.
    pub skip_signatures: bool,
    pub rejection_counts: Arc<RejectionCounts>,
    /// A random value, shown at `/health`: it tells whether a URL leads to this server.
    pub instance: Arc<str>,
}

impl AppState {
    pub fn new(engine: &Engine, voice: Arc<Voice>, skip_signatures: bool) -> Self {
        let instance = format!("{:016x}", engine.random.next_u64()).into();
        let Engine { pipeline, store, directory, clock, transports, circuits, .. } = engine.clone();
        let rejection_counts = Arc::default();
        Self {
            pipeline,
            store,
            directory,
            clock,
            transports,
            circuits,
            voice,
            skip_signatures,
            rejection_counts,
            instance,
        }
    }

    /// Counts a webhook, and logs a rejection with its likely cause.
    pub fn record_webhook<T>(
        &self,
        route: &'static str,
        result: Result<T, WebhookRejection>,
    ) -> Result<T, WebhookRejection> {
        let status = match &result {
            Ok(_) => 200,
            Err(rejection) => {
                tracing::warn!(
                    route,
                    status = rejection.status().as_u16(),
                    cause = rejection.cause(),
                    "a webhook was refused"
                );
                self.rejection_counts.count_rejection(route, rejection, self.clock.now());
                rejection.status().as_u16()
            }
        };
        metrics::counter!(metric::WEBHOOKS_TOTAL, "route" => route, "status" => status_label(status)).increment(1);
        result
    }
}

const fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        400 => "400",
        403 => "403",
        404 => "404",
        408 => "408",
        413 => "413",
        503 => "503",
        _ => "other",
    }
}

/// The answer to every message webhook: empty TwiML, since replies go through the ledger.
pub struct Empty;

impl IntoResponse for Empty {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, twiml::CONTENT_TYPE)], twiml::EMPTY_RESPONSE).into_response()
    }
}
