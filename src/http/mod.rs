//! The HTTP surface: [`server`] accepts connections, [`router`] lists every route, [`webhooks`] and [`api`] have the handlers,
//! [`views`] the JSON of each noun. This module has the state that handlers share, and the empty TwiML.

pub mod calendar;
pub mod docs;
pub mod health;
mod headers;
mod rejection_counts;
pub mod review;
pub mod router;
pub mod server;
pub mod views;
mod webhook_rejection;
pub mod webhooks;
pub mod api;

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub use rejection_counts::RejectionCounts;
pub use webhook_rejection::WebhookRejection;

use crate::domain::{Clock, RefusalKind};
use crate::engine::Engine;
use crate::engine::pipeline::Pipeline;
use crate::engine::sending::circuit::Circuits;
use crate::engine::sending::transports::Transports;
use crate::features::voice::Voice;
use crate::integrations::twilio::twiml;
use crate::store::Store;
use crate::telemetry::{Throttle, metric};
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
    /// The requests to the API that run or wait.
    pub quotas: Arc<api::Quotas>,
    /// For log lines that anybody outside can provoke.
    pub throttle: Arc<Throttle>,
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
            quotas: Arc::default(),
            throttle: Arc::default(),
            instance,
        }
    }

    /// Counts a webhook, and logs a rejection with its likely cause: once a minute for each route, kind and tenant, because
    /// anybody can cause one.
    pub fn record_webhook<T>(
        &self,
        route: &'static str,
        result: Result<T, WebhookRejection>,
    ) -> Result<T, WebhookRejection> {
        let status = match &result {
            Ok(_) => 200,
            Err(rejection) => {
                self.log_rejection(route, rejection);
                self.rejection_counts.count_rejection(route, rejection, self.clock.now());
                rejection.status().as_u16()
            }
        };
        metrics::counter!(metric::WEBHOOKS_TOTAL, "route" => route, "status" => status_label(status)).increment(1);
        result
    }

    fn log_rejection(&self, route: &'static str, rejection: &WebhookRejection) {
        let tenant = rejection.tenant().and_then(|id| self.directory.now().by_id(id).cloned());
        let tenant = tenant.as_ref().map_or("none", |tenant| tenant.slug.as_str());
        let kind = rejection.kind().map_or("own failure", RefusalKind::as_str);
        let Some(more) = self.throttle.admit(&format!("{route} {kind} {tenant}"), self.clock.now()) else { return };
        tracing::warn!(
            route,
            status = rejection.status().as_u16(),
            tenant,
            cause = rejection.cause(),
            checked = rejection.checked_urls(),
            more,
            "a webhook was refused"
        );
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
