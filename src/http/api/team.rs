//! `/api/v1/services` and `/api/v1/staff`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::appointments::refused;
use super::body::Body;
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::problem::{Common, Problem, Writing};
use crate::http::AppState;
use crate::http::views::team::{ServiceView, StaffView};
use crate::store::tables::appointments::NewStaff;

/// A service to add, or to change where the name exists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetService {
    #[schema(example = "cut", min_length = 1, max_length = 80)]
    name: String,
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    active: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Services {
    items: Vec<ServiceView>,
}

/// A member of staff to add, or to change where the name exists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMember {
    #[schema(example = "Eva", min_length = 1, max_length = 80)]
    name: String,
    /// Time zone, an IANA name; an empty text: the business's
    zone: Option<String>,
    /// Working hours, such as `mon-fri 09:00-14:00,16:00-20:00`; an empty text: the business's
    hours: Option<String>,
    /// Names of the services; none: all services
    #[schema(max_items = 100)]
    services: Option<Vec<String>>,
    active: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Staff {
    items: Vec<StaffView>,
}

/// The most services of a member of staff in one request.
const SERVICES_MAX: usize = 100;

/// List services.
#[utoipa::path(get, path = "/services", operation_id = "listServices", tag = "team",
    responses((status = 200, description = "All of them", body = Services), Common))]
pub async fn services(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Services>, Problem> {
    let items = state.store.services(caller.0.id).await?.into_iter().map(ServiceView::from).collect();
    Ok(axum::Json(Services { items }))
}

/// Add or change a service, by name.
#[utoipa::path(post, path = "/services", operation_id = "setService", tag = "team", request_body = SetService,
    params(IdempotencyKey),
    responses((status = 200, description = "The service", body = ServiceView), Common, Writing))]
pub async fn set_service(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<SetService>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, new: SetService| {
        let store = &state.store;
        let service = store.set_service(caller.0.id, &new.name, new.minutes, new.active).await.map_err(refused)?;
        Ok((StatusCode::OK, ServiceView::from(service)))
    })
    .await
}

/// List staff.
#[utoipa::path(get, path = "/staff", operation_id = "listStaff", tag = "team",
    responses((status = 200, description = "All of them", body = Staff), Common))]
pub async fn staff(State(state): State<AppState>, caller: Caller) -> Result<axum::Json<Staff>, Problem> {
    let items = state.store.staff(caller.0.id).await?.into_iter().map(StaffView::from).collect();
    Ok(axum::Json(Staff { items }))
}

/// Add or change a member of staff, by name.
#[utoipa::path(post, path = "/staff", operation_id = "setStaff", tag = "team", request_body = SetMember,
    params(IdempotencyKey),
    responses((status = 200, description = "The member of staff", body = StaffView), Common, Writing))]
pub async fn set_staff(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<SetMember>,
) -> Result<Response, Problem> {
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
        Ok((StatusCode::OK, StaffView::from(member)))
    })
    .await
}

/// A value of the member's own; an empty text is the business's.
fn chosen<T: std::str::FromStr<Err: std::fmt::Display>>(code: &'static str, text: &str) -> Result<Option<T>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Problem::unfit(code, error))
}
