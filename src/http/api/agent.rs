//! `/api/agent`: tools for an external voice agent, on behalf of the caller on its line.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::appointments::refused;
use super::body::{Body, Path};
use super::caller::{ActsFor, AgentCaller};
use super::once::once;
use super::problem::{Common, Problem, Writing};
use crate::domain::{Country, Phone};
use crate::features::voice::tools::{MESSAGE_CHARS, ToolCustomer, ToolError};
use crate::http::AppState;
use crate::store::tables::appointments::NAME_MAX_CHARS;

/// A tool.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Tool {
    /// Finds the customer: name, tags and coming appointments
    FindCustomer,
    /// Lists free times for a service, soonest first
    FreeSlots,
    /// Books a free time
    BookAppointment,
    /// Moves an appointment of the customer to a free time
    MoveAppointment,
    /// Cancels an appointment of the customer
    CancelAppointment,
    /// Leaves a message for the staff: an event `message_left`
    LeaveMessage,
}

impl Tool {
    const fn name(self) -> &'static str {
        self.into_str()
    }

    /// Whether the tool changes something.
    const fn writes(self) -> bool {
        !matches!(self, Self::FindCustomer | Self::FreeSlots)
    }
}

/// The caller, and the arguments of the tool.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolRequest {
    /// The caller's number, E.164. A token of the scope `agent` may name the customer of a call in progress
    #[schema(example = "+34600111222", pattern = r"^\+[1-9][0-9]{1,14}$")]
    phone: String,
    /// `free_slots`, `book_appointment`: the service
    #[schema(example = "cut", max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// The member of staff
    #[schema(max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    staff: Option<String>,
    /// `free_slots`: the earliest time
    #[schema(example = "2026-12-01T10:00")]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// `book_appointment`, `move_appointment`: the time, local to the business or with an offset
    #[schema(example = "2026-12-01T10:00")]
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// `move_appointment`, `cancel_appointment`: the appointment; default: the next one
    #[serde(skip_serializing_if = "Option::is_none")]
    appointment: Option<String>,
    /// `book_appointment`: the customer's name
    #[schema(max_length = 80)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `leave_message`: the message
    #[schema(max_length = 2000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The result; each tool has its own fields.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Done(Value);

/// Call a tool for the caller on the line.
///
/// The rules for customers apply: within opening hours, in the future, with their own appointments. A token of the scope
/// `agent` opens this route alone, and only while a call with that number is in progress; one of the scope
/// `agent_any_number` opens it for any number.
#[utoipa::path(post, path = "/{tool}", operation_id = "callAgentTool", tag = "agent", request_body = ToolRequest,
    params(("tool" = Tool, Path), ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same \
        key changes nothing and gets the same answer; tools that only read ignore it", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The result", body = Object), Common, Writing))]
pub async fn call(
    State(state): State<AppState>,
    AgentCaller(caller, acts_for): AgentCaller,
    Path(tool): Path<Tool>,
    body: Body<ToolRequest>,
) -> Result<Response, Problem> {
    // A tool that only reads runs again.
    let body = if tool.writes() { body } else { Body { key: None, ..body } };
    once(&state, &caller, body, async |id, wanted: ToolRequest| {
        let (phone, arguments) = validate(wanted, caller.0.home())?;
        if acts_for == ActsFor::Callers && !state.store.has_open_call(caller.0.id, &phone).await? {
            return Err(not_on_the_line(&caller.0.slug));
        }
        let whom = ToolCustomer { tenant: caller.0.clone(), phone: Some(phone) };
        let done = run(&state, &whom, id, tool, &arguments).await?;
        Ok((StatusCode::OK, Done(done)))
    })
    .await
}

fn not_on_the_line(slug: &str) -> Problem {
    let detail = format!(
        "no call with this number is in progress, and this token acts for callers alone: for other numbers make one with \
         'recado tenant token add {slug} --name … --scope agent_any_number'"
    );
    Problem::new(StatusCode::FORBIDDEN, "not_on_the_line", detail)
}

/// Checks the request; returns the caller's number and the arguments of the tool.
fn validate(wanted: ToolRequest, home: Option<Country>) -> Result<(Phone, Map<String, Value>), Problem> {
    let phone = Phone::parse_human(&wanted.phone, home).map_err(|error| Problem::unfit("not_e164", error))?;
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
    whom: &ToolCustomer,
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
