//! `/api/v1/events`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::once;
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{ContactId, Event, EventId, EventKind, Timestamp};
use crate::http::AppState;
use crate::rules::limits::DATA_BYTES;
use crate::store::rows::event;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, emit)).routes(routes!(show))
}

/// Something that happened, or that a program says has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct Happened {
    id: Uuid,
    #[schema(example = "order_shipped")]
    kind: String,
    channel: Option<String>,
    customer: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: String,
    /// When the rules decided what it leads to; `null` while it waits
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<String>,
    #[schema(value_type = Object)]
    data: Value,
}

impl From<event::Model> for Happened {
    fn from(row: event::Model) -> Self {
        let at = |us| Timestamp::from_unix_us(us).to_string();
        Self {
            id: row.id,
            kind: row.kind,
            channel: row.channel,
            customer: row.contact_id,
            occurred_at: at(row.occurred_us),
            decided_at: row.handled_us.map(at),
            data: serde_json::from_str(&row.data).unwrap_or_default(),
        }
    }
}

impl Happened {
    fn of(event: Event, decided: Option<Timestamp>) -> Self {
        Self {
            id: event.id.uuid(),
            kind: event.kind.as_str().to_owned(),
            channel: event.channel.map(|channel| channel.as_str().to_owned()),
            customer: event.contact.map(ContactId::uuid),
            occurred_at: event.occurred_at.to_string(),
            decided_at: decided.map(|at| at.to_string()),
            data: event.data,
        }
    }
}

/// An event of the caller's own, for rules that listen to its kind.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEvent {
    /// Not one that the engine itself makes
    #[schema(example = "order_shipped", pattern = "^[a-z][a-z0-9_]{0,63}$")]
    kind: String,
    /// Whom it is about
    customer: Option<Uuid>,
    /// What rules read as `e.data`
    #[serde(default)]
    #[schema(value_type = Object)]
    data: serde_json::Map<String, Value>,
}

/// Events, the newest first
#[utoipa::path(get, path = "/events", operation_id = "listEvents", tag = "events", params(Cursor),
    responses((status = 200, description = "A page of them", body = Page<Happened>), Common))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<Happened>>, Problem> {
    let limit = cursor.limit()?;
    let rows = state.store.event_page(caller.0.id, cursor.after, limit + 1).await?;
    let events = rows.into_iter().map(Happened::from).collect();
    Ok(axum::Json(Page::of(events, limit, |event: &Happened| event.id)))
}

/// One event
#[utoipa::path(get, path = "/events/{id}", operation_id = "getEvent", tag = "events", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The event", body = Happened), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<Happened>, Problem> {
    let found = state.store.event(caller.0.id, EventId::new(id)).await?;
    let (event, decided) = found.ok_or_else(|| Problem::not_found("event"))?;
    Ok(axum::Json(Happened::of(event, decided)))
}

/// Tells of an event
///
/// Rules with `.on("…")` of its kind decide what it leads to.
#[utoipa::path(post, path = "/events", operation_id = "tellEvent", tag = "events", request_body = NewEvent,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 202, description = "It is stored, and will be decided", body = Happened), Common, Writing))]
async fn emit(State(state): State<AppState>, caller: Caller, body: Body<NewEvent>) -> Result<Response, Problem> {
    let tenant = caller.0.id;
    once(&state, &caller, body, async |id, new: NewEvent| {
        let kind = EventKind::parse(&new.kind).map_err(|error| Problem::unfit("bad_kind", error))?;
        if EventKind::BUILT_IN.contains(&kind) {
            let detail = format!("'{kind}' events are made by the engine alone: use a kind of your own");
            return Err(Problem::unfit("bad_kind", detail));
        }
        let data = Value::Object(new.data);
        let text = data.to_string();
        if text.len() > DATA_BYTES || text.contains("\\u0000") {
            let detail = format!("data has at most {DATA_BYTES} bytes of JSON, and no NUL in it");
            return Err(Problem::unfit("bad_data", detail));
        }
        let contact = new.customer.map(ContactId::new);
        if let Some(contact) = contact
            && state.store.contact_facts(tenant, &[contact], None).await?.0.is_empty()
        {
            return Err(Problem::unfit("no_such_customer", "there is no such customer"));
        }
        let event = Event {
            id: EventId::new(id),
            tenant,
            kind,
            channel: None,
            contact,
            occurred_at: state.clock.now(),
            dedupe_key: None,
            depth: 0,
            data,
        };
        state.pipeline.tell(&event).await?;
        Ok((StatusCode::ACCEPTED, Happened::of(event, None)))
    })
    .await
}
