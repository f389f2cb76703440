//! `/api/v1/services` and `/api/v1/staff`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::appointments::refused;
use super::body::Body;
use super::caller::Caller;
use super::once::once;
use super::problem::{Common, Problem, Writing};
use crate::http::AppState;
use crate::store::tables::appointments as book;
use crate::store::tables::appointments::NewStaff;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(services, set_service)).routes(routes!(staff, set_staff))
}

/// What is offered.
#[derive(Debug, Serialize, ToSchema)]
struct Service {
    id: Uuid,
    name: String,
    /// How long it usually lasts
    minutes: u32,
    /// Whether it can be booked still
    active: bool,
}

impl From<book::Service> for Service {
    fn from(one: book::Service) -> Self {
        Self { id: one.id.uuid(), name: one.name, minutes: one.minutes, active: one.active }
    }
}

/// A service to be made, or changed where one is called so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetService {
    #[schema(example = "cut", min_length = 1, max_length = 80)]
    name: String,
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    active: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Services {
    items: Vec<Service>,
}

/// Somebody who takes appointments.
#[derive(Debug, Serialize, ToSchema)]
struct Member {
    id: Uuid,
    name: String,
    /// Theirs, where it is not the business's
    zone: Option<String>,
    /// Theirs, where these are not the business's
    #[schema(example = "mon-fri 09:00-14:00,16:00-20:00")]
    hours: Option<String>,
    active: bool,
    /// What they do; all services where none is named
    services: Vec<String>,
}

impl From<book::StaffMember> for Member {
    fn from(one: book::StaffMember) -> Self {
        Self {
            id: one.id.uuid(),
            name: one.name,
            zone: one.zone.map(|zone| zone.name().to_owned()),
            hours: one.hours.map(|hours| hours.to_string()),
            active: one.active,
            services: one.services.into_iter().collect(),
        }
    }
}

/// Somebody to be added, or changed where somebody is called so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetMember {
    #[schema(example = "Eva", min_length = 1, max_length = 80)]
    name: String,
    /// IANA; an empty text: the business's
    zone: Option<String>,
    /// Such as `mon-fri 09:00-14:00,16:00-20:00`; an empty text: the business's
    hours: Option<String>,
    /// What they do; none: all services
    #[schema(max_items = 100)]
    services: Option<Vec<String>>,
    active: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Staff {
    items: Vec<Member>,
}

/// Services a member of staff is said to do in one request, at most.
const SERVICES_MAX: usize = 100;

/// Services
#[utoipa::path(get, path = "/services", operation_id = "listServices", tag = "team",
    responses((status = 200, description = "All of them", body = Services), Common))]
async fn services(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Services>, Problem> {
    let items = state.store.services(caller.0.id).await?.into_iter().map(Service::from).collect();
    Ok(axum::Json(Services { items }))
}

/// Makes a service, or changes the one that is called so
#[utoipa::path(post, path = "/services", operation_id = "setService", tag = "team", request_body = SetService,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 200, description = "The service", body = Service), Common, Writing))]
async fn set_service(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<SetService>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, new: SetService| {
        let store = &state.store;
        let service = store.set_service(caller.0.id, &new.name, new.minutes, new.active).await.map_err(refused)?;
        Ok((StatusCode::OK, Service::from(service)))
    })
    .await
}

/// Staff
#[utoipa::path(get, path = "/staff", operation_id = "listStaff", tag = "team",
    responses((status = 200, description = "All of them", body = Staff), Common))]
async fn staff(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Staff>, Problem> {
    let items = state.store.staff(caller.0.id).await?.into_iter().map(Member::from).collect();
    Ok(axum::Json(Staff { items }))
}

/// Adds somebody to the staff, or changes who is called so
#[utoipa::path(post, path = "/staff", operation_id = "setStaff", tag = "team", request_body = SetMember,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 200, description = "The member of staff", body = Member), Common, Writing))]
async fn set_staff(State(state): State<AppState>, caller: Caller, body: Body<SetMember>) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, new: SetMember| {
        if new.services.as_ref().is_some_and(|services| services.len() > SERVICES_MAX) {
            return Err(Problem::unfit("too_many", format!("at most {SERVICES_MAX} services are named")));
        }
        let member = NewStaff {
            name: new.name,
            zone: new.zone.map(|zone| chosen("bad_zone", &zone)).transpose()?,
            hours: new.hours.map(|hours| chosen("bad_hours", &hours)).transpose()?,
            services: new.services,
            active: new.active,
        };
        let member = state.store.set_staff(caller.0.id, &member).await.map_err(refused)?;
        Ok((StatusCode::OK, Member::from(member)))
    })
    .await
}

/// What is their own; an empty text is the business's.
fn chosen<T: std::str::FromStr<Err: std::fmt::Display>>(code: &'static str, text: &str) -> Result<Option<T>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Problem::unfit(code, error))
}
