//! The REST API: what programs of a tenant's own can do, under `/api/v1`.
//!
//! Its description is made of the handlers themselves and served at `/api/openapi.json`, with a page to try it at
//! `/api/docs/`. A handler is its extractors and a few lines; errors are `application/problem+json` with a stable `code`.
//!
//! How to add a route: a handler with `#[utoipa::path]` that names each status it gives (those in [`problem`] by their
//! types), and its line in the module's `routes()`; a new module's also in [`routes`].

mod agent;
mod agents;
mod appointments;
mod body;
mod caller;
mod calls;
mod campaigns;
mod customers;
mod docs;
mod events;
mod messages;
mod numbers;
mod once;
mod page;
mod problem;
mod team;
mod tenant;

use axum::Router;
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

/// All routes, and their description beside them.
pub fn routes() -> Router<AppState> {
    let api = OpenApiRouter::with_openapi(Description::openapi()).nest(
        "/api/v1",
        customers::routes()
            .merge(messages::routes())
            .merge(calls::routes())
            .merge(events::routes())
            .merge(campaigns::routes())
            .merge(agents::routes())
            .merge(appointments::routes())
            .merge(team::routes())
            .merge(tenant::routes())
            .merge(numbers::routes()),
    );
    let api = api.nest("/api/agent", agent::routes());
    let (router, description) = api.split_for_parts();
    let unknown = Router::new().route("/api/v1/{*rest}", axum::routing::any(unknown));
    router.method_not_allowed_fallback(wrong_method).merge(docs::routes(description)).merge(unknown)
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this URL does not take this method")
}

async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_url", "there is no such URL: see /api/docs/")
}
