//! `/api/agent`: what a voice agent of somebody else's can have done for whoever is on its line.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::appointments::refused;
use super::body::{Body, Path};
use super::caller::AgentCaller;
use super::once::once;
use super::problem::{Common, Problem, Writing};
use crate::domain::Phone;
use crate::features::voice::tools::{For, MESSAGE_CHARS, ToolError};
use crate::http::AppState;
use crate::store::tables::appointments::NAME_MAX_CHARS;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(call))
}

/// What can be done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Who it is: name, tags and coming appointments
    FindCustomer,
    /// Free times for a service, in order
    FreeSlots,
    /// Books a free time
    BookAppointment,
    /// Moves an appointment of theirs to a free time
    MoveAppointment,
    /// Cancels an appointment of theirs
    CancelAppointment,
    /// Leaves a message for the staff, which rules hear as `message_left`
    LeaveMessage,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::FindCustomer => "find_customer",
            Self::FreeSlots => "free_slots",
            Self::BookAppointment => "book_appointment",
            Self::MoveAppointment => "move_appointment",
            Self::CancelAppointment => "cancel_appointment",
            Self::LeaveMessage => "leave_message",
        }
    }

    /// It changes something, and does not only look.
    const fn writes(self) -> bool {
        !matches!(self, Self::FindCustomer | Self::FreeSlots)
    }
}

/// For whom, and what a tool needs to know.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The number of whoever is on the line, E.164
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    /// `free_slots`, `book_appointment`: what is to be done
    #[schema(example = "cut", max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// With whom
    #[schema(max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    staff: Option<String>,
    /// `free_slots`: not before this
    #[schema(example = "2026-12-01T10:00")]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// `book_appointment`, `move_appointment`: when, by the clock of the business or with an offset
    #[schema(example = "2026-12-01T10:00")]
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// `move_appointment`, `cancel_appointment`: which; the next one where it is left out
    #[serde(skip_serializing_if = "Option::is_none")]
    appointment: Option<String>,
    /// `book_appointment`: what they are called
    #[schema(max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `leave_message`: what they want
    #[schema(max_length = 2000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What came of it: fields of its own for each tool.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
struct Done(Value);

/// Has something done for whoever is on the line
///
/// An agent acts as that customer may: within opening hours, ahead of now, with their own appointments. A token of the
/// scope `agent` opens this and nothing else.
#[utoipa::path(post, path = "/{tool}", operation_id = "callAgentTool", tag = "agent", request_body = Wanted,
    params(("tool" = Tool, Path), ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same \
        key does nothing more; tools that only look pass over it", min_length = 1, max_length = 255)),
    responses((status = 200, description = "What came of it", body = Object), Common, Writing))]
async fn call(
    State(state): State<AppState>,
    AgentCaller(caller): AgentCaller,
    Path(tool): Path<Tool>,
    body: Body<Wanted>,
) -> Result<Response, Problem> {
    // What is only looked up is looked up anew.
    let body = if tool.writes() { body } else { Body { key: None, ..body } };
    once(&state, &caller, body, async |id, wanted: Wanted| {
        let (phone, arguments) = checked(wanted)?;
        let whom = For { tenant: caller.0.clone(), phone: Some(phone) };
        let done = run(&state, &whom, id, tool, &arguments).await?;
        Ok((StatusCode::OK, Done(done)))
    })
    .await
}

/// For whom, and what a tool is given.
fn checked(wanted: Wanted) -> Result<(Phone, Map<String, Value>), Problem> {
    let phone = Phone::parse(&wanted.phone).map_err(|error| Problem::unfit("not_e164", error))?;
    for (name, text) in [("service", &wanted.service), ("staff", &wanted.staff), ("name", &wanted.name)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > NAME_MAX_CHARS) {
            return Err(Problem::unfit("too_long", format!("{name} has at most {NAME_MAX_CHARS} characters")));
        }
    }
    if wanted.message.as_ref().is_some_and(|message| message.chars().count() > MESSAGE_CHARS) {
        return Err(Problem::unfit("too_long", format!("message has at most {MESSAGE_CHARS} characters")));
    }
    let Ok(Value::Object(mut arguments)) = serde_json::to_value(wanted) else {
        // Texts only.
        return Err(Problem::bad_request("the body is an object"));
    };
    arguments.remove("phone");
    Ok((phone, arguments))
}

async fn run(
    state: &AppState,
    whom: &For,
    id: Uuid,
    tool: Tool,
    arguments: &Map<String, Value>,
) -> Result<Value, Problem> {
    state.voice.tools.call_as(id, whom, tool.name(), arguments).await.map_err(|error| match error {
        ToolError::Booking(error) => refused(error),
        ToolError::Store(error) => error.into(),
        error @ ToolError::Nobody => Problem::unfit("no_customer", error),
        error @ (ToolError::Unfit(_) | ToolError::Unknown(_)) => Problem::unfit("unfit", error),
    })
}
