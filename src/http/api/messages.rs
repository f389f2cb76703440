//! `/api/v1/messages`

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::body::{Body, Path, Query};
use super::caller::Caller;
use super::once::{IdempotencyKey, once};
use super::page::{Cursor, Page};
use super::problem::{Common, Problem, Writing};
use crate::domain::action::Template;
use crate::domain::{ActionId, Channel, ContactId, EventId, MessageId, Route, SendBody, SendQueue, TenantId};
use crate::engine::sending::by_hand::{BODY_MAX_CHARS, Outbox, SendRefused};
use crate::http::AppState;
use crate::http::views::action::SendStateView;
use crate::http::views::message::{MessageView, outbound_ids};
use crate::store::{Listed, StoreError};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Only messages of this customer
    customer: Option<Uuid>,
    /// The most rows
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before
    after: Option<Uuid>,
}

/// A message to send: `text`, or `template` for WhatsApp outside the session window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    #[schema(schema_with = channel_schema)]
    channel: Channel,
    /// E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    to: String,
    #[schema(min_length = 1, max_length = 1600)]
    text: Option<String>,
    template: Option<NewTemplate>,
}

fn channel_schema() -> Object {
    let pattern = format!("^({})$", Channel::INBOUND.map(Channel::as_str).join("|"));
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples([Channel::Sms.as_str()]).build()
}

/// An approved WhatsApp template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTemplate {
    /// A Content SID (`HX…`), or the tenant's name for one
    content: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

/// List messages, newest first.
#[utoipa::path(get, path = "/messages", operation_id = "listMessages", tag = "messages", params(MessageQuery),
    responses((status = 200, description = "A page of messages", body = Page<MessageView>), Common))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<MessageQuery>,
) -> Result<axum::Json<Page<MessageView>>, Problem> {
    let limit = Cursor { limit: query.limit, after: query.after }.limit()?;
    let contact = query.customer.map(ContactId::new);
    let rows = state.store.message_page(caller.0.id, contact, query.after, limit + 1).await?;
    let listed: Vec<Listed> = rows.into_iter().map(Listed::Message).collect();
    let reasons = state.store.reasons(caller.0.id, &outbound_ids(&listed)).await?;
    let messages = MessageView::from_listed(&caller.0.slug, listed, reasons, state.clock.now());
    Ok(axum::Json(Page::of(messages, limit, |message: &MessageView| message.id)))
}

/// Get a message.
#[utoipa::path(get, path = "/messages/{id}", operation_id = "getMessage", tag = "messages", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The message", body = MessageView), Common))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<MessageView>, Problem> {
    let row = state.store.message(caller.0.id, MessageId::new(id)).await?;
    let row = row.ok_or_else(|| Problem::not_found("message"))?;
    let reason = state.store.reasons(caller.0.id, &[row.id]).await?.remove(&row.id);
    Ok(axum::Json(MessageView::from_message(&caller.0.slug, row, reason)))
}

/// Send a message.
///
/// Opt-outs, session windows and rates apply as to every send.
#[utoipa::path(post, path = "/messages", operation_id = "sendMessage", tag = "messages", request_body = NewMessage,
    params(IdempotencyKey),
    responses((status = 202, description = "The send is planned", body = SendStateView), Common, Writing))]
pub async fn send(State(state): State<AppState>, caller: Caller, body: Body<NewMessage>) -> Result<Response, Problem> {
    let outbox = Outbox { store: state.store.clone(), directory: state.directory.clone(), by: Some(caller.by()) };
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
pub async fn accepted(state: &AppState, tenant: TenantId, action: ActionId) -> Result<SendStateView, Problem> {
    let row = state.store.action(tenant, action).await?;
    if let Some(route) = row.as_ref().and_then(|row| row.route.as_deref()) {
        let route: Route = route.parse().map_err(|error| StoreError::Stored(format!("{error}")))?;
        state.pipeline.wake_perform(SendQueue::new(tenant, route));
    }
    let state = row.map_or_else(|| "planned".to_owned(), |row| row.state);
    Ok(SendStateView { id: action.uuid(), state })
}

fn content(new: NewMessage) -> Result<SendBody, Problem> {
    match (new.channel, new.text, new.template) {
        (channel, ..) if !channel.spec().receives => {
            Err(Problem::unfit("bad_channel", format!("channel is {}", Channel::inbound_names())))
        }
        (_, Some(text), None) if text.contains('\0') => {
            Err(Problem::unfit("bad_text", "the text has a NUL in it, which no phone shows: take it out"))
        }
        (_, Some(text), None) => Ok(SendBody::Text(text)),
        (channel, None, Some(template)) if channel.spec().templates => {
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
