//! The REST API under `/api/v1`, for programs of a tenant.
//!
//! Its description is made from the handlers and served at `/api/openapi.json`, with a page to try it at `/api/docs/`.
//! Errors are `application/problem+json` with a stable `code`. The routes are listed in [`super::router`].

pub(super) mod agent;
pub(super) mod agents;
pub(super) mod appointments;
mod body;
mod caller;
pub(super) mod calls;
pub(super) mod campaigns;
pub(super) mod customers;
pub(super) mod docs;
pub(super) mod events;
pub(super) mod messages;
pub(super) mod numbers;
mod once;
mod page;
mod problem;
pub(super) mod team;
pub(super) mod tenant;

use axum::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

pub use caller::{hash_of_token, new_token};

use crate::http::AppState;
use problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Recado",
        description = "Customers, messages, calls, events and appointments of one tenant. A token opens exactly one tenant: \
            `recado tenant token add SLUG --name …` makes it, with `--scope agent` one that opens `/api/agent/` alone. Every error is a problem (RFC 9457) whose `code` is stable."
    ),
    components(schemas(appointments::Step, agent::Tool)),
    modifiers(&TokenScheme),
    security(("token" = [])),
)]
struct Description;

struct TokenScheme;

impl utoipa::Modify for TokenScheme {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        api.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// A router without routes, with what the description says of the whole API.
pub(super) fn described() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Answers a method that the URL does not take.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this URL does not take this method")
}

/// Answers a URL that there is not.
pub(super) async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_url", "there is no such URL: see /api/docs/")
}
