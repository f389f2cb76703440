//! An action: a send, a request or an effect, with its attempts.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parsed;
use crate::domain::{Action, Channel, Timestamp};
use crate::integrations::http_providers::request;
use crate::integrations::twilio::codes;
use crate::ops::explain::ExplainedAction;
use crate::store::rows::{action, attempt, message};
use crate::store::{PlannedSend, StoreError};

/// What takes the place of a secret.
const HIDDEN: &str = "••••";

/// A send and its state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accepted)]
pub struct SendStateView {
    /// The id of the send. A message has it once it has left; a call is found by it once the provider has reported it
    pub id: Uuid,
    #[schema(example = "planned")]
    pub state: String,
}

/// An action: what a rule, a person or a program wants done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub struct ActionView {
    pub id: Uuid,
    /// The tenant's slug
    pub tenant: String,
    /// The rule that asked for it
    pub rule: String,
    /// Its place among the actions of the rule, from 0
    pub index: i32,
    #[schema(example = "send_sms")]
    pub kind: String,
    #[schema(example = "planned")]
    pub state: String,
    /// Why it has this state, where that needs an explanation
    pub reason: Option<String>,
    /// The route: `twilio`, `provider:` and its name, `email` or `request`; `null` for effects
    pub route: Option<String>,
    pub channel: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// The text of a message, or what a call says
    pub body: Option<String>,
    /// Where it comes from, such as `rule` or `manual`
    pub origin: String,
    #[schema(value_type = String, format = DateTime)]
    pub planned_at: Timestamp,
    /// When it may leave; of an unknown send, when it is looked for
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    /// How often it was tried
    pub tries: i32,
    pub provider_sid: Option<String>,
    pub error_code: Option<i64>,
}

impl ActionView {
    /// A row as it is stored.
    pub fn from_row(slug: &str, row: action::Model) -> Result<Self, StoreError> {
        let asked = parsed(&row.payload)?;
        Ok(Self::new(slug, row, &asked))
    }

    fn new(slug: &str, row: action::Model, asked: &Action) -> Self {
        let body = match asked {
            Action::Send(send) => Some(send.body.summary()),
            Action::Voice(step) => step.spoken().map(str::to_owned),
            Action::Unaddressed(send) => Some(send.body.summary()),
            Action::Request(_) | Action::Effect(_) => None,
        };
        Self {
            id: row.id,
            tenant: slug.to_owned(),
            rule: row.rule,
            index: row.idx,
            kind: row.kind,
            state: row.state,
            reason: row.reason,
            route: row.route,
            channel: row.channel,
            from: row.sender,
            to: row.recipient,
            body,
            origin: row.origin,
            planned_at: Timestamp::from_unix_us(row.planned_us),
            due_at: Timestamp::from_unix_us(row.due_us),
            tries: row.tries,
            provider_sid: row.provider_sid,
            error_code: row.error_code,
        }
    }
}

/// A send that left or was stopped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettledSend)]
pub struct SettledSendView {
    /// When it left or was stopped
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The tenant's slug
    pub tenant: String,
    #[schema(example = "sent")]
    pub state: String,
    pub channel: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub rule: String,
    /// Why it was stopped
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SettledSendView {
    pub fn new(slug: &str, one: PlannedSend) -> Self {
        let PlannedSend { send, rule, due, state, reason, .. } = one;
        Self {
            at: due,
            tenant: slug.to_owned(),
            state,
            channel: send.channel.map_or("", Channel::as_str).to_owned(),
            text: send.message().map(|send| send.body.summary()).unwrap_or_default(),
            from: send.sender,
            to: send.recipient,
            rule,
            reason,
        }
    }
}

/// An action with its attempts and its delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeAction)]
pub struct ActionDetailsView {
    #[serde(flatten)]
    pub summary: ActionView,
    /// The action as the rule asked for it, without credentials
    #[schema(value_type = Object)]
    pub action: Value,
    pub error: Option<ErrorView>,
    pub delivery: Option<DeliveryView>,
    pub attempts: Vec<AttemptView>,
}

impl ActionDetailsView {
    pub fn new(slug: &str, explained: ExplainedAction) -> Result<Self, StoreError> {
        let ExplainedAction { action, attempts, message } = explained;
        let mut asked: Action = parsed(&action.payload)?;
        if let Action::Request(request) = &mut asked {
            request.url = request::shown(&request.url);
            request.headers.values_mut().for_each(|value| HIDDEN.clone_into(value));
        }
        Ok(Self {
            action: serde_json::to_value(&asked).map_err(|error| StoreError::Stored(error.to_string()))?,
            error: action.error_code.map(ErrorView::new),
            delivery: message.and_then(DeliveryView::from_message),
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
            summary: ActionView::new(slug, action, &asked),
        })
    }
}

/// One attempt at the provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    pub n: i32,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// `null` while the attempt is under way, or where its process ended
    #[schema(example = "sent")]
    pub outcome: Option<String>,
    pub http_status: Option<i32>,
    pub error: Option<ErrorView>,
    pub detail: Option<String>,
}

impl From<attempt::Model> for AttemptView {
    fn from(row: attempt::Model) -> Self {
        Self {
            n: row.n,
            started_at: Timestamp::from_unix_us(row.started_us),
            finished_at: row.finished_us.map(Timestamp::from_unix_us),
            outcome: row.outcome,
            http_status: row.http_status,
            error: row.error_code.map(ErrorView::new),
            detail: row.detail,
        }
    }
}

/// The delivery status that the provider reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    #[schema(example = "delivered")]
    pub status: String,
    pub error: Option<ErrorView>,
}

impl DeliveryView {
    /// A blocked send is a message, too, but nobody has reported on it.
    fn from_message(row: message::Model) -> Option<Self> {
        row.provider_sid.is_some().then(|| Self { status: row.status, error: row.error_code.map(ErrorView::new) })
    }
}

/// An error code of the provider, with its meaning and remedy where they are known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorCode)]
pub struct ErrorView {
    #[schema(example = 21610)]
    pub code: i64,
    pub meaning: Option<&'static str>,
    pub remedy: Option<&'static str>,
}

impl ErrorView {
    /// Looks a code up.
    pub fn new(code: i64) -> Self {
        let known = u32::try_from(code).ok().and_then(codes::lookup);
        Self { code, meaning: known.map(|known| known.meaning), remedy: known.map(|known| known.remedy) }
    }
}
