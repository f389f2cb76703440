//! `/api/v1/appointments`, and the free times to book.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::appointment::By;
use crate::domain::{AppointmentId, AppointmentState, Change, ContactId, Phone, TenantId, Timestamp};
use crate::engine::availability::parse_starts;
use crate::engine::availability::{Availability, FREE_MAX, SlotSearch};
use crate::http::AppState;
use crate::http::views::appointment::{AppointmentView, SlotView};
use crate::store::Store;
use crate::store::tables::appointments as book;
use crate::store::tables::appointments::{BookingError, Filter, Moved, NewAppointment, Order, Starts};

/// The default number of free times.
const FREE: usize = 20;

/// A new appointment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOne {
    /// The customer's number, E.164; an unknown customer is added
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    /// The customer's name, where none is known yet
    #[serde(default)]
    #[schema(max_length = 80)]
    name: String,
    #[schema(example = "cut", min_length = 1, max_length = 80)]
    service: String,
    /// The member of staff; omitted: none, or with `within_hours` any who is free
    staff: Option<String>,
    /// With an offset, or in local time of the business
    #[schema(example = "2026-12-01T10:00:00+01:00")]
    starts_at: String,
    /// The length; default: the service's
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: String,
    /// Your own id of the appointment, unique
    #[schema(min_length = 1, max_length = 255)]
    uid: Option<String>,
    /// Apply the rules for customers: a known service at its usual length, in the future, within opening hours, with free staff
    #[serde(default)]
    within_hours: bool,
}

/// A move; omitted fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// With an offset, or in local time of the business
    #[schema(example = "2026-12-01T11:00:00+01:00")]
    starts_at: Option<String>,
    /// The new member of staff; an empty text: none
    staff: Option<String>,
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    /// The expected version; the change is refused where it differs
    version: Option<i32>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// The expected version; the change is refused where it differs
    version: Option<i32>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The customer confirmed
    Confirm,
    /// The appointment is cancelled
    Cancel,
    /// The appointment took place
    Complete,
    /// The customer did not come
    NoShow,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AppointmentQuery {
    /// Only appointments that end after this time, with an offset
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    from: Option<String>,
    /// Only appointments that start before this time
    #[param(example = "2026-12-02T00:00:00Z", format = DateTime)]
    to: Option<String>,
    /// Only those of this customer
    customer: Option<Uuid>,
    /// `booked`, `confirmed`, `cancelled`, `completed` or `no_show`
    #[param(pattern = "^(booked|confirmed|cancelled|completed|no_show)$")]
    state: Option<String>,
    /// The most rows
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SlotQuery {
    /// The service, by its name
    #[param(example = "cut")]
    service: String,
    /// Only this staff member
    staff: Option<String>,
    /// The earliest start; now by default
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    from: Option<String>,
    /// The end of the period; at most 62 days later
    #[param(example = "2026-12-08T00:00:00Z", format = DateTime)]
    to: Option<String>,
    /// Maximum number of times
    #[param(minimum = 1, maximum = 500, default = 20)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Slots {
    items: Vec<SlotView>,
}

/// List appointments, by start time.
#[utoipa::path(get, path = "/appointments", operation_id = "listAppointments", tag = "appointments", params(AppointmentQuery),
    responses((status = 200, description = "A page of appointments", body = Page<AppointmentView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(choice): Query<AppointmentQuery>,
) -> Result<axum::Json<Page<AppointmentView>>, Problem> {
    let (store, tenant) = (&state.store, caller.0.id);
    let limit = Cursor { limit: choice.limit, after: choice.after }.limit()?;
    let after = match choice.after.map(AppointmentId::new) {
        None => None,
        Some(id) => {
            let last = store.appointment(tenant, id).await?;
            let last = last.ok_or_else(|| Problem::bad_request("after is 'next' of the page before"))?;
            Some((last.starts_at, id))
        }
    };
    let state = choice.state.map(|state| state.parse::<AppointmentState>()).transpose();
    let filter = Filter {
        from: instant("from", choice.from.as_deref())?,
        to: instant("to", choice.to.as_deref())?,
        staff: None,
        contact: choice.customer.map(ContactId::new),
        state: state.map_err(|error| Problem::bad_request(error.to_string()))?,
        after,
        limit: limit + 1,
    };
    let rows = store.appointments(tenant, &filter).await?;
    let page = Page::of(rows, limit, |one| one.id.uuid());
    Ok(axum::Json(Page { items: page.items.into_iter().map(AppointmentView::from).collect(), next: page.next }))
}

/// Book an appointment.
///
/// A staff member is never booked twice: the second request gets 409, `slot_taken`.
#[utoipa::path(post, path = "/appointments", operation_id = "addAppointment", tag = "appointments",
    request_body = NewOne, params(IdempotencyKey),
    responses((status = 201, description = "It is booked", body = AppointmentView), Common, Writing))]
pub async fn add(State(state): State<AppState>, caller: Caller, body: Body<NewOne>) -> Result<Response, Problem> {
    let (store, tenant) = (&state.store, &caller.0);
    once(&state, &caller, body, async |id, new: NewOne| {
        let own = new.uid.is_none();
        let uid = new.uid.unwrap_or_else(|| format!("{id}@api"));
        let asked = NewAppointment {
            tenant: tenant.id,
            zone: tenant.zone,
            customer: Phone::parse_human(&new.phone, tenant.home())
                .map_err(|error| Problem::unfit("not_e164", error))?,
            customer_name: new.name,
            service: new.service,
            new_service: !new.within_hours,
            minutes: new.minutes,
            staff: new.staff,
            starts: starts(&new.starts_at)?,
            note: new.note,
            uid: Some(uid.clone()),
            by: if new.within_hours { By::Customer } else { By::Api },
        };
        let booked = match new.within_hours {
            true => Availability::new(store, tenant).book(&asked).await,
            false => store.book(&asked).await,
        };
        let one = match booked {
            // An earlier try of this very request booked it.
            Err(BookingError::UidTaken(_)) if own => by_uid(store, tenant.id, &uid).await?,
            booked => booked.map_err(refused)?,
        };
        state.pipeline.wake_for_rows(tenant.id);
        Ok((StatusCode::CREATED, AppointmentView::from(one)))
    })
    .await
}

/// Get an appointment.
#[utoipa::path(get, path = "/appointments/{id}", operation_id = "getAppointment", tag = "appointments",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The appointment", body = AppointmentView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<AppointmentView>, Problem> {
    let one = state.store.appointment(caller.0.id, AppointmentId::new(id)).await?;
    Ok(axum::Json(one.ok_or_else(|| Problem::not_found("appointment"))?.into()))
}

/// Move an appointment.
///
/// Its reminders move, too.
#[utoipa::path(patch, path = "/appointments/{id}", operation_id = "moveAppointment", tag = "appointments",
    request_body = Move, params(("id" = Uuid, Path), IdempotencyKey),
    responses((status = 200, description = "The appointment as it stands", body = AppointmentView), Common, Writing))]
pub async fn move_it(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    body: Body<Move>,
) -> Result<Response, Problem> {
    once(&state, &caller, body, async |_, to: Move| {
        let moved = Moved {
            starts: to.starts_at.as_deref().map(starts).transpose()?,
            staff: to.staff.map(|name| Some(name).filter(|name| !name.is_empty())),
            minutes: to.minutes,
        };
        order(&state, caller.0.id, id, Change::Move, Some(moved), to.version).await
    })
    .await
}

/// Confirm, cancel or complete an appointment, or mark it as a no-show.
///
/// A repeat changes nothing.
#[utoipa::path(post, path = "/appointments/{id}/{step}", operation_id = "changeAppointment", tag = "appointments",
    request_body = Which, params(("id" = Uuid, Path), ("step" = Step, Path), IdempotencyKey),
    responses((status = 200, description = "The appointment as it stands", body = AppointmentView), Common, Writing))]
pub async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, step)): Path<(Uuid, Step)>,
    body: Body<Which>,
) -> Result<Response, Problem> {
    let change = match step {
        Step::Confirm => Change::Confirm,
        Step::Cancel => Change::Cancel,
        Step::Complete => Change::Complete,
        Step::NoShow => Change::NoShow,
    };
    once(&state, &caller, body, async |_, which: Which| {
        order(&state, caller.0.id, id, change, None, which.version).await
    })
    .await
}

/// List free times, soonest first.
#[utoipa::path(get, path = "/slots", operation_id = "listSlots", tag = "appointments", params(SlotQuery),
    responses((status = 200, description = "Free times", body = Slots), Common,
        (status = 422, description = "What is looked for cannot be had", body = Problem,
            content_type = "application/problem+json")))]
pub async fn free(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<SlotQuery>,
) -> Result<axum::Json<Slots>, Problem> {
    let limit = query.limit.unwrap_or(FREE);
    if !(1..=FREE_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is 1 to {FREE_MAX}")));
    }
    let from = instant("from", query.from.as_deref())?.unwrap_or_else(|| state.clock.now());
    let to = instant("to", query.to.as_deref())?.unwrap_or(Timestamp::from_unix_us(i64::MAX));
    let wanted = SlotSearch { service: query.service, staff: query.staff, from, to, limit };
    let slots = Availability::new(&state.store, &caller.0).free_slots(&wanted).await.map_err(refused)?;
    Ok(axum::Json(Slots { items: slots.into_iter().map(SlotView::from).collect() }))
}

async fn order(
    state: &AppState,
    tenant: TenantId,
    id: Uuid,
    change: Change,
    to: Option<Moved>,
    version: Option<i32>,
) -> Result<(StatusCode, AppointmentView), Problem> {
    let order = Order { tenant, id: AppointmentId::new(id), change, to, version, by: By::Api };
    let (one, _) = state.store.change_appointment(&order).await.map_err(refused)?;
    state.pipeline.wake_for_rows(tenant);
    Ok((StatusCode::OK, one.into()))
}

async fn by_uid(store: &Store, tenant: TenantId, uid: &str) -> Result<book::Appointment, Problem> {
    store.appointment_by_uid(tenant, uid).await?.ok_or_else(|| Problem::not_found("appointment"))
}

fn starts(text: &str) -> Result<Starts, Problem> {
    parse_starts(text).map_err(|error| Problem::unfit("bad_time", error))
}

pub fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let bad = |_| Problem::bad_request(format!("{name} is a time with its offset, such as 2026-12-01T00:00:00Z"));
    text.map(Timestamp::parse).transpose().map_err(bad)
}

/// A refused booking as a problem with its own code.
pub fn refused(error: BookingError) -> Problem {
    let code = error.code();
    let status = match error {
        BookingError::Store(error) => return error.into(),
        BookingError::NotFound(_) => return Problem::not_found("appointment"),
        BookingError::Taken { .. }
        | BookingError::UidTaken(_)
        | BookingError::NotPossible { .. }
        | BookingError::Changed { .. } => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, code, error.to_string())
}
