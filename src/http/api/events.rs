//! `/api/v1/events`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::{ContactId, Event, EventId, EventKind};
use crate::http::AppState;
use crate::http::views::event::EventView;
use crate::rules::limits::DATA_BYTES;

/// An event of the caller's own, for rules with `.on("…")` of its kind.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// Any kind but the built-in ones
    #[schema(example = "order_shipped", pattern = "^[a-z][a-z0-9_]{0,63}$")]
    kind: String,
    /// The customer that it is about
    customer: Option<Uuid>,
    /// Data for rules: `e.data`
    #[serde(default)]
    #[schema(value_type = Object)]
    data: serde_json::Map<String, Value>,
}

/// List events, newest first.
#[utoipa::path(get, path = "/events", operation_id = "listEvents", tag = "events", params(Cursor),
    responses((status = 200, description = "A page of events", body = Page<EventView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(cursor): Query<Cursor>,
) -> Result<axum::Json<Page<EventView>>, Problem> {
    let limit = cursor.limit()?;
    let rows = state.store.event_page(caller.0.id, cursor.after, limit + 1).await?;
    let view = |row| EventView::from_row(&caller.0.slug, row);
    let events = rows.into_iter().map(view).collect();
    Ok(axum::Json(Page::of(events, limit, |event: &EventView| event.id)))
}

/// Get an event.
#[utoipa::path(get, path = "/events/{id}", operation_id = "getEvent", tag = "events", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The event", body = EventView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<EventView>, Problem> {
    let found = state.store.event(caller.0.id, EventId::new(id)).await?;
    let (event, decided) = found.ok_or_else(|| Problem::not_found("event"))?;
    Ok(axum::Json(EventView::new(&caller.0.slug, event, decided)))
}

/// Send an event.
///
/// Rules with `.on("…")` of its kind decide the actions.
#[utoipa::path(post, path = "/events", operation_id = "tellEvent", tag = "events", request_body = NewEvent,
    params(IdempotencyKey),
    responses((status = 202, description = "The event is stored", body = EventView), Common, Writing))]
pub async fn emit(State(state): State<AppState>, caller: Caller, body: Body<NewEvent>) -> Result<Response, Problem> {
    let tenant = caller.0.id;
    once(&state, &caller, body, async |id, new: NewEvent| {
        let kind = EventKind::parse(&new.kind).map_err(|error| Problem::unfit("bad_kind", error))?;
        if kind.is_built_in() {
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
        state.pipeline.add_event(&event).await?;
        Ok((StatusCode::ACCEPTED, EventView::new(&caller.0.slug, event, None)))
    })
    .await
}
