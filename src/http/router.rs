//! Every route of the server, in one list.
//!
//! - **pages** take no token: health, the manual, links that we have signed.
//! - **webhooks** are called by providers, and prove it by a signature, or by a code in the URL.
//! - **the API** is called by programs of a tenant, with a token. The paths of its routes stand in the attributes of
//!   their handlers, from which its description is made; the comments here repeat them.
//!
//! How to add a route: a handler in the module of its noun, and its line here. A handler is its extractors and a few
//! lines. A handler of the API names each status that it answers in `#[utoipa::path]`; common errors by their types.

use axum::Router;
use axum::middleware::map_response_with_state;
use axum::routing::{MethodRouter, any, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{
    self, agent, agents, appointments, calls, campaigns, customers, events, messages, numbers, team, tenant,
};
use super::webhooks::voice::{outbound, queue, status as call_status, stream, turn};
use super::webhooks::{provider, status};
use super::{AppState, calendar, docs, headers, health, review};

/// All routes of the public listener.
pub fn router(state: AppState) -> Router {
    // Programs and people have their own connections to the database, so that they do not hold up calls and messages.
    let for_requests = AppState { store: state.store.for_requests(), ..state.clone() };
    let requests = Router::new().merge(pages()).merge(api()).with_state(for_requests);
    let routes = webhooks().with_state(state.clone()).merge(requests);
    routes.layer(map_response_with_state(state, headers::add))
}

/// The routes of the operators' listener, `METRICS_LISTEN`. It is not for the public.
pub fn operators(state: AppState, metrics: PrometheusHandle) -> Router {
    let metrics = Router::new().route("/metrics", get(health::metrics)).with_state(metrics);
    Router::new().route("/ready", get(health::ready_in_detail)).with_state(state).merge(metrics)
}

fn pages() -> Router<AppState> {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/calendar/{file}", get(calendar::calendar))
        .route("/r/{token}", get(review::show).post(review::submit))
        .route("/docs", get(docs::redirect))
        .route("/docs/", get(docs::index))
        .route("/docs/style.css", get(docs::style))
        .route("/docs/{topic}", get(docs::show))
}

fn webhooks() -> Router<AppState> {
    Router::new()
        // Messages
        // /api/twilio/{slug}/sms and the like: one for each channel that receives messages.
        .merge(super::webhooks::messages::routes())
        .route("/api/twilio/{slug}/messages/{action}/status", post(status::webhook))
        .route("/api/providers/{provider}/{slug}/{action}/{mac}", get(provider::webhook).post(provider::webhook))
        // Calls
        .route("/api/twilio/{slug}/answer", both(turn::answer_of))
        .route("/api/twilio/{slug}/voice", both(turn::answer_of))
        .route("/api/twilio/voice", both(turn::answer))
        .route("/api/voice/webhook", both(turn::answer))
        .route("/api/webhooks/twilio", both(turn::answer))
        .route("/api/twilio/{slug}/gather", both(turn::gather_of))
        .route("/api/webhooks/twilio/gather", both(turn::gather))
        .route("/api/twilio/{slug}/wait", both(turn::wait))
        .route("/api/twilio/stream/{token}", get(stream::open))
        .route("/api/twilio/{slug}/status", both(call_status::status_of))
        .route("/api/twilio/status", both(call_status::status))
        .route("/api/voice/status-callback", both(call_status::status))
        .route("/api/webhooks/twilio/status", both(call_status::status))
        .route("/api/twilio/{slug}/calls/{action}/answer", both(outbound::answer))
        .route("/api/twilio/{slug}/calls/{action}/status", both(outbound::status))
        .route("/api/twilio/{slug}/recording", both(call_status::recording))
        .route("/api/twilio/{slug}/queue", both(queue::wait))
        .route("/api/twilio/{slug}/fallback", both(turn::fallback_of))
        .route("/api/twilio/fallback", both(turn::fallback))
}

/// Routes below `/api/v1` for tokens of the scope `full`.
fn api_v1() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        // GET, PATCH /tenant
        .routes(routes!(tenant::show, tenant::change))
        // GET, POST /customers
        .routes(routes!(customers::list, customers::add))
        // GET, PATCH /customers/{id}
        .routes(routes!(customers::show, customers::change))
        // GET /customers/{id}/history
        .routes(routes!(customers::history))
        // POST /customers/{id}/notes
        .routes(routes!(customers::note))
        // GET, POST /messages
        .routes(routes!(messages::list, messages::send))
        // GET /messages/{id}
        .routes(routes!(messages::show))
        // GET, POST /calls
        .routes(routes!(calls::list, calls::begin))
        // GET /calls/{id}
        .routes(routes!(calls::show))
        // GET, POST /events
        .routes(routes!(events::list, events::emit))
        // GET /events/{id}
        .routes(routes!(events::show))
        // GET, POST /campaigns
        .routes(routes!(campaigns::list, campaigns::add))
        // GET /campaigns/{id}
        .routes(routes!(campaigns::show))
        // POST /campaigns/{id}/state
        .routes(routes!(campaigns::set_state))
        // GET, POST /campaigns/{id}/members
        .routes(routes!(campaigns::members, campaigns::add_members))
        // POST /campaigns/{id}/members/import
        .routes(routes!(campaigns::import_members))
        // GET /agents
        .routes(routes!(agents::list))
        // GET, PUT, DELETE /agents/{name}
        .routes(routes!(agents::show, agents::put, agents::remove))
        // GET, POST /appointments
        .routes(routes!(appointments::list, appointments::add))
        // GET, PATCH /appointments/{id}
        .routes(routes!(appointments::show, appointments::move_it))
        // POST /appointments/{id}/{step}
        .routes(routes!(appointments::change))
        // GET /slots
        .routes(routes!(appointments::free))
        // GET, POST /services
        .routes(routes!(team::services, team::set_service))
        // GET, POST /staff
        .routes(routes!(team::staff, team::set_staff))
        // GET, POST /numbers
        .routes(routes!(numbers::list, numbers::buy))
        // GET /numbers/available
        .routes(routes!(numbers::available))
        // POST /numbers/{number}/configure
        .routes(routes!(numbers::configure))
        // DELETE /numbers/{number}
        .routes(routes!(numbers::release))
}

/// Routes below `/api/agent` for tokens of the scopes `full` and `agent`.
fn api_agent() -> OpenApiRouter<AppState> {
    // POST /{tool}
    OpenApiRouter::new().routes(routes!(agent::call))
}

fn api() -> Router<AppState> {
    let routes = api::base_router().nest("/api/v1", api_v1()).nest("/api/agent", api_agent());
    let (router, description) = routes.split_for_parts();
    let unknown = Router::new().route("/api/v1/{*rest}", any(api::unknown_route));
    router.method_not_allowed_fallback(api::wrong_method).merge(api::docs::routes(description)).merge(unknown)
}

/// A webhook of a call may come as GET or as POST: the number's configuration decides.
fn both<H, T>(handler: H) -> MethodRouter<AppState>
where
    H: axum::handler::Handler<T, AppState> + Clone,
    T: 'static,
{
    get(handler.clone()).post(handler)
}
