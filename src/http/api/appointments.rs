//! `/api/v1/appointments`, and the free times to book.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::once;
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::appointment::By;
use crate::domain::{AppointmentId, AppointmentState, Change, ContactId, Phone, TenantId, Timestamp};
use crate::engine::availability::parse_starts;
use crate::engine::availability::{Availability, FREE_MAX, SlotSearch};
use crate::http::AppState;
use crate::store::Store;
use crate::store::tables::appointments as book;
use crate::store::tables::appointments::{BookingError, Filter, Moved, NewAppointment, Order, Starts};

/// Free times that are given where nothing is said.
const FREE: usize = 20;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, move_it))
        .routes(routes!(change))
        .routes(routes!(free))
}

/// An appointment as it stands.
#[derive(Debug, Serialize, ToSchema)]
struct Appointment {
    id: Uuid,
    /// `null` where the customer was erased
    customer: Option<Uuid>,
    /// Their number, E.164
    phone: Option<String>,
    #[schema(example = "cut")]
    service: String,
    /// `null`: it occupies nobody
    staff: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: String,
    #[schema(value_type = String, format = DateTime)]
    ends_at: String,
    /// What was agreed: the time on the wall in `zone`
    #[schema(example = "2026-12-01T10:00:00")]
    starts_local: String,
    /// IANA
    #[schema(example = "Europe/Madrid")]
    zone: String,
    /// `booked`, `confirmed`, `cancelled`, `completed` or `no_show`
    #[schema(example = "booked")]
    state: String,
    note: String,
    /// Rises by one with every change
    version: i32,
    /// What calendars and other programs know it by
    uid: String,
}

impl From<book::Appointment> for Appointment {
    fn from(one: book::Appointment) -> Self {
        Self {
            id: one.id.uuid(),
            customer: one.contact.map(ContactId::uuid),
            phone: one.customer,
            service: one.service,
            staff: one.staff,
            starts_at: one.starts_at.to_string(),
            ends_at: one.ends_at.to_string(),
            starts_local: one.starts_local.format("%Y-%m-%dT%H:%M:%S").to_string(),
            zone: one.zone.name().to_owned(),
            state: one.state.as_str().to_owned(),
            note: one.note,
            version: one.version,
            uid: one.uid,
        }
    }
}

/// An appointment to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOne {
    /// The customer's number, E.164; one who is not known yet is made a customer
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    /// The customer's name, where none is known yet
    #[serde(default)]
    #[schema(max_length = 80)]
    name: String,
    #[schema(example = "cut", min_length = 1, max_length = 80)]
    service: String,
    /// Who takes it; nobody in particular, unless `within_hours`
    staff: Option<String>,
    /// With its offset, or by the clock on the wall there
    #[schema(example = "2026-12-01T10:00:00+01:00")]
    starts_at: String,
    /// If not as long as the service usually lasts
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: String,
    /// Your own id for it, unique
    #[schema(min_length = 1, max_length = 255)]
    uid: Option<String>,
    /// As customers book: a known service at its usual length, ahead of now, within opening hours, with whoever is free
    #[serde(default)]
    within_hours: bool,
}

/// Where it moves; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// With its offset, or by the clock on the wall there
    #[schema(example = "2026-12-01T11:00:00+01:00")]
    starts_at: Option<String>,
    /// To somebody else; an empty text: to nobody
    staff: Option<String>,
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    /// What its version must be still
    version: Option<i32>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Which {
    /// What its version must be still
    version: Option<i32>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The customer has said that they come
    Confirm,
    /// It will not take place
    Cancel,
    /// It took place
    Complete,
    /// The customer did not come
    NoShow,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// Those that end after this, with its offset from UTC
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    from: Option<String>,
    /// Those that start before this
    #[param(example = "2026-12-02T00:00:00Z", format = DateTime)]
    to: Option<String>,
    /// Only those of this customer
    customer: Option<Uuid>,
    /// `booked`, `confirmed`, `cancelled`, `completed` or `no_show`
    #[param(pattern = "^(booked|confirmed|cancelled|completed|no_show)$")]
    state: Option<String>,
    /// Rows, at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Looking {
    /// What is to be done
    #[param(example = "cut")]
    service: String,
    /// With nobody else
    staff: Option<String>,
    /// Not before this; now where nothing is said
    #[param(example = "2026-12-01T00:00:00Z", format = DateTime)]
    from: Option<String>,
    /// Before this; at most 62 days later
    #[param(example = "2026-12-08T00:00:00Z", format = DateTime)]
    to: Option<String>,
    /// Free times, at most
    #[param(minimum = 1, maximum = 500, default = 20)]
    limit: Option<usize>,
}

/// A time that could be booked when it was looked for.
#[derive(Debug, Serialize, ToSchema)]
struct Slot {
    #[schema(value_type = String, format = DateTime)]
    starts_at: String,
    #[schema(value_type = String, format = DateTime)]
    ends_at: String,
    /// What the clock there shows
    starts_local: String,
    zone: String,
    /// With whom; `null` where nobody is occupied
    staff: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Slots {
    items: Vec<Slot>,
}

/// Appointments, in the order in which they begin
#[utoipa::path(get, path = "/appointments", operation_id = "listAppointments", tag = "appointments", params(Choice),
    responses((status = 200, description = "A page of them", body = Page<Appointment>), Common))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(choice): Query<Choice>,
) -> Result<axum::Json<Page<Appointment>>, Problem> {
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
    Ok(axum::Json(Page { items: page.items.into_iter().map(Appointment::from).collect(), next: page.next }))
}

/// Books an appointment
///
/// Nobody of the staff is booked twice: whoever comes second gets 409, `slot_taken`.
#[utoipa::path(post, path = "/appointments", operation_id = "addAppointment", tag = "appointments",
    request_body = NewOne, params(("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 201, description = "It is booked", body = Appointment), Common, Writing))]
async fn add(State(state): State<AppState>, caller: Caller, body: Body<NewOne>) -> Result<Response, Problem> {
    let (store, tenant) = (&state.store, &caller.0);
    once(&state, &caller, body, async |id, new: NewOne| {
        let own = new.uid.is_none();
        let uid = new.uid.unwrap_or_else(|| format!("{id}@api"));
        let asked = NewAppointment {
            tenant: tenant.id,
            zone: tenant.zone,
            customer: Phone::parse(&new.phone).map_err(|error| Problem::unfit("not_e164", error))?,
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
        state.pipeline.wake_dispatch(tenant.id);
        Ok((StatusCode::CREATED, Appointment::from(one)))
    })
    .await
}

/// One appointment
#[utoipa::path(get, path = "/appointments/{id}", operation_id = "getAppointment", tag = "appointments",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The appointment", body = Appointment), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<Appointment>, Problem> {
    let one = state.store.appointment(caller.0.id, AppointmentId::new(id)).await?;
    Ok(axum::Json(one.ok_or_else(|| Problem::not_found("appointment"))?.into()))
}

/// Moves an appointment
///
/// Its reminders move with it.
#[utoipa::path(patch, path = "/appointments/{id}", operation_id = "moveAppointment", tag = "appointments",
    request_body = Move, params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The appointment as it stands", body = Appointment), Common, Writing))]
async fn move_it(
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

/// Confirms, cancels or completes an appointment, or says that nobody came
///
/// Done twice it is done once.
#[utoipa::path(post, path = "/appointments/{id}/{step}", operation_id = "changeAppointment", tag = "appointments",
    request_body = Which, params(("id" = Uuid, Path), ("step" = Step, Path), ("Idempotency-Key" = Option<String>,
        Header, description = "A repeat with the same key does nothing more", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The appointment as it stands", body = Appointment), Common, Writing))]
async fn change(
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

/// Free times, in order
#[utoipa::path(get, path = "/slots", operation_id = "listSlots", tag = "appointments", params(Looking),
    responses((status = 200, description = "Free times", body = Slots), Common,
        (status = 422, description = "What is looked for cannot be had", body = Problem,
            content_type = "application/problem+json")))]
async fn free(
    State(state): State<AppState>,
    caller: Caller,
    Query(looking): Query<Looking>,
) -> Result<axum::Json<Slots>, Problem> {
    let limit = looking.limit.unwrap_or(FREE);
    if !(1..=FREE_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is 1 to {FREE_MAX}")));
    }
    let from = instant("from", looking.from.as_deref())?.unwrap_or_else(|| state.clock.now());
    let to = instant("to", looking.to.as_deref())?.unwrap_or(Timestamp::from_unix_us(i64::MAX));
    let wanted = SlotSearch { service: looking.service, staff: looking.staff, from, to, limit };
    let slots = Availability::new(&state.store, &caller.0).free_slots(&wanted).await.map_err(refused)?;
    let items = slots.into_iter().map(|slot| Slot {
        starts_at: slot.starts_at.to_string(),
        ends_at: slot.ends_at.to_string(),
        starts_local: slot.starts_local.format("%Y-%m-%dT%H:%M:%S").to_string(),
        zone: slot.zone.name().to_owned(),
        staff: slot.staff,
    });
    Ok(axum::Json(Slots { items: items.collect() }))
}

async fn order(
    state: &AppState,
    tenant: TenantId,
    id: Uuid,
    change: Change,
    to: Option<Moved>,
    version: Option<i32>,
) -> Result<(StatusCode, Appointment), Problem> {
    let order = Order { tenant, id: AppointmentId::new(id), change, to, version, by: By::Api };
    let (one, _) = state.store.change_appointment(&order).await.map_err(refused)?;
    state.pipeline.wake_dispatch(tenant);
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

/// What the book says no to, under its own code.
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
