//! `/api/v1/messages`

use std::collections::BTreeMap;

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
use crate::domain::action::Template;
use crate::domain::{
    ActionId, Channel, ContactId, EventId, MessageId, Route, SendBody, SendQueue, TenantId, Timestamp,
};
use crate::engine::sending::by_hand::{BODY_MAX_CHARS, Outbox, SendRefused};
use crate::http::AppState;
use crate::store::StoreError;
use crate::store::rows::message;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, send)).routes(routes!(show))
}

/// A message in either direction.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    id: Uuid,
    /// `null` where the customer was erased
    customer: Option<Uuid>,
    /// `in` or `out`
    direction: String,
    #[schema(example = "sms")]
    channel: String,
    from: String,
    to: String,
    body: String,
    /// Of an inbound one `received`; else the delivery status
    status: String,
    provider_sid: Option<String>,
    error_code: Option<i64>,
    #[schema(value_type = String, format = DateTime)]
    at: String,
}

impl From<message::Model> for Message {
    fn from(row: message::Model) -> Self {
        let (from, to) = if row.direction == "in" { (row.peer, row.ours) } else { (row.ours, row.peer) };
        Self {
            id: row.id,
            customer: row.contact_id,
            direction: row.direction,
            channel: row.channel,
            from,
            to,
            body: row.body,
            status: row.status,
            provider_sid: row.provider_sid,
            error_code: row.error_code,
            at: Timestamp::from_unix_us(row.at_us).to_string(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Only those of this customer
    customer: Option<Uuid>,
    /// Rows, at most
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

/// A message to be sent: `text`, or for WhatsApp outside its window `template`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    #[schema(value_type = String, pattern = "^(sms|whatsapp)$", example = "sms")]
    channel: Channel,
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    to: String,
    #[schema(min_length = 1, max_length = 1600)]
    text: Option<String>,
    template: Option<NewTemplate>,
}

/// An approved WhatsApp template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTemplate {
    /// A Content SID (`HX…`), or the tenant's name for one
    content: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

/// What became of a send so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The message's id from when it leaves; `recado explain` takes it at once
    pub id: Uuid,
    #[schema(example = "planned")]
    pub state: String,
}

/// Messages, the newest first
#[utoipa::path(get, path = "/messages", operation_id = "listMessages", tag = "messages", params(Whose),
    responses((status = 200, description = "A page of them", body = Page<Message>), Common))]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(whose): Query<Whose>,
) -> Result<axum::Json<Page<Message>>, Problem> {
    let limit = Cursor { limit: whose.limit, after: whose.after }.limit()?;
    let contact = whose.customer.map(ContactId::new);
    let rows = state.store.message_page(caller.0.id, contact, whose.after, limit + 1).await?;
    let messages = rows.into_iter().map(Message::from).collect();
    Ok(axum::Json(Page::of(messages, limit, |message: &Message| message.id)))
}

/// One message
#[utoipa::path(get, path = "/messages/{id}", operation_id = "getMessage", tag = "messages", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The message", body = Message), Common))]
async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<Message>, Problem> {
    let row = state.store.message(caller.0.id, MessageId::new(id)).await?;
    Ok(axum::Json(row.ok_or_else(|| Problem::not_found("message"))?.into()))
}

/// Sends a message
///
/// It goes through the ledger like any other: opt-outs, windows and rates hold.
#[utoipa::path(post, path = "/messages", operation_id = "sendMessage", tag = "messages", request_body = NewMessage,
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key does nothing more",
        min_length = 1, max_length = 255)),
    responses((status = 202, description = "It is in the ledger", body = Accepted), Common, Writing))]
async fn send(State(state): State<AppState>, caller: Caller, body: Body<NewMessage>) -> Result<Response, Problem> {
    let outbox = Outbox { store: state.store.clone(), directory: state.directory.clone() };
    once(&state, &caller, body, async |id, new: NewMessage| {
        let (channel, to) = (new.channel, new.to.clone());
        let content = content(new)?;
        let action: ActionId =
            outbox.plan_as(EventId::new(id), &caller.0, channel, &to, content).await.map_err(refused)?;
        Ok((StatusCode::ACCEPTED, accepted(&state, caller.0.id, action).await?))
    })
    .await
}

/// Wakes the queue of a send that was just planned, and gives what became of it so far.
pub async fn accepted(state: &AppState, tenant: TenantId, action: ActionId) -> Result<Accepted, Problem> {
    let row = state.store.action(tenant, action).await?;
    if let Some(route) = row.as_ref().and_then(|row| row.route.as_deref()) {
        let route: Route = route.parse().map_err(|error| StoreError::Stored(format!("{error}")))?;
        state.pipeline.wake_perform(SendQueue::new(tenant, route));
    }
    let state = row.map_or_else(|| "planned".to_owned(), |row| row.state);
    Ok(Accepted { id: action.uuid(), state })
}

fn content(new: NewMessage) -> Result<SendBody, Problem> {
    match (new.channel, new.text, new.template) {
        (Channel::Email | Channel::Voice, ..) => Err(Problem::unfit("bad_channel", "channel is sms or whatsapp")),
        (_, Some(text), None) if text.contains('\0') => {
            Err(Problem::unfit("bad_text", "the text has a NUL in it, which no phone shows: take it out"))
        }
        (_, Some(text), None) => Ok(SendBody::Text(text)),
        (Channel::WhatsApp, None, Some(template)) => {
            Ok(SendBody::Template(Template { content: template.content, variables: template.variables }))
        }
        _ => Err(Problem::unfit("bad_message", "give either text, or, for WhatsApp, template")),
    }
}

pub fn refused(error: SendRefused) -> Problem {
    let code = match error {
        SendRefused::Number(_) => "not_e164",
        SendRefused::TooLong(_) | SendRefused::SpokenTooLong(_) | SendRefused::MailTooLong(..) => "too_long",
        SendRefused::Empty => "empty",
        SendRefused::Email(_) | SendRefused::NoTenant(_) => "bad_message",
        SendRefused::Blocked(_) => "blocked",
        SendRefused::Store(error) => return error.into(),
    };
    const { assert!(BODY_MAX_CHARS == 1_600, "the description says so") };
    Problem::unfit(code, error)
}
