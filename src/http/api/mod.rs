//! The REST API under `/api/v1`, for programs of a tenant.
//!
//! Its description is made from the handlers and served at `/api/openapi.json`, with a page to try it at `/api/docs/`.
//! Errors are `application/problem+json` with a stable `code`. The routes are listed in [`super::router`].
//!
//! # How to add an endpoint
//!
//! 1. `http/api/noun.rs`: the handler. `#[utoipa::path]` names its path below `/api/v1`, an `operation_id` of its own and
//!    each status that it answers; `Common` stands for the errors that all handlers have. `Caller` is the tenant that the
//!    token opens. A handler that writes takes `Body`, runs in `once`, and names `IdempotencyKey` and `Writing`, too. A
//!    list is a `Page`.
//! 2. `http/router.rs`: a line in `api_v1`, with method and path in a comment. Handlers of one path stand in one `routes!`.
//! 3. For a new noun: a line `mod` here, and the module in the `use` of `http/router.rs`.
//! 4. For a new noun: its JSON in `http/views/noun.rs`, which derives `Serialize` and `ToSchema`, and a line `mod` in
//!    `http/views/mod.rs`.
//! 5. For a new query: a method of [`crate::store::Store`] in `store/reads/noun.rs`, and a line `mod` in
//!    `store/reads/mod.rs`. The query names the tenant. A type that it gives is listed in `store/mod.rs`, unless it is one of
//!    `store/rows/`.
//! 6. A test in `tests/it/http/`.
//!
//! Tried with a new noun and a new query: 7 files. Where both exist it takes 2. The description at `/api/openapi.json`
//! follows.

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
mod quotas;
pub(super) mod team;
pub(super) mod tenant;

use axum::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

pub use caller::{hash_of_token, new_token};
pub use quotas::{Quotas, RUNNING_MAX, TENANT_OPEN_MAX, TOKEN_OPEN_MAX};

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

/// Returns a router without routes, with the description of the whole API.
pub(super) fn base_router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Answers a method that the route does not accept.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this URL does not take this method")
}

/// Answers an unknown route.
pub(super) async fn unknown_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_url", "there is no such URL: see /api/docs/")
}
