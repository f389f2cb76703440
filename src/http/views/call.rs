//! A call.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::customer_history::HistoryView;
use crate::domain::{ContactId, Step, TenantId};
use crate::store::{CallEvent, ListedCall, ListedLeg, ListedTurn, Store, StoreError};

/// A call in either direction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallView {
    pub id: Uuid,
    /// The provider's (`CA…`)
    pub sid: String,
    /// `in`: the customer called; `out`: we called the customer
    pub direction: String,
    pub from: String,
    pub to: String,
    /// `null` where the number is nobody's, or the customer was erased
    pub customer: Option<Uuid>,
    /// The send that placed it: the `id` of `POST /calls`
    pub action: Option<Uuid>,
    /// The voice agent that answered it
    pub agent: Option<String>,
    #[schema(example = "completed")]
    pub status: String,
    /// `human`, `machine_start` and so on, where answering machines are detected
    pub answered_by: Option<String>,
    /// Seconds
    pub duration_s: Option<u32>,
    pub recording_sid: Option<String>,
    /// Of the last recording
    pub recording_url: Option<String>,
    pub error_code: Option<i64>,
    /// Why it failed, as the provider says
    pub detail: Option<String>,
    /// How the customer felt, from -1 to 1; where a conversation model was asked
    pub sentiment: Option<f64>,
    /// Two lines; where a conversation model was asked
    pub summary: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<String>,
}

impl From<ListedCall> for CallView {
    fn from(one: ListedCall) -> Self {
        Self {
            id: one.id.uuid(),
            sid: one.sid,
            direction: one.direction.as_str().to_owned(),
            from: one.from,
            to: one.to,
            customer: one.customer.map(ContactId::uuid),
            action: one.action.map(|action| action.uuid()),
            agent: one.agent,
            status: one.status.to_string(),
            answered_by: one.answered_by,
            duration_s: one.duration_s,
            recording_sid: one.recording_sid,
            recording_url: one.recording_url,
            error_code: one.error_code,
            detail: one.detail,
            sentiment: one.result.sentiment,
            summary: one.result.summary,
            started_at: one.started_at.to_string(),
            ended_at: one.ended_at.map(|at| at.to_string()),
        }
    }
}

/// A call with its legs, its transcript, its notes and its events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeCall)]
pub struct CallDetailsView {
    #[serde(flatten)]
    pub call: CallView,
    /// Names of the rules that ran in it
    pub rules: Vec<String>,
    /// Whom the caller was connected to
    pub legs: Vec<LegView>,
    /// What was said
    pub transcript: Vec<SpokenView>,
    /// The turns: what was heard, and the answer
    pub turns: Vec<TurnView>,
    /// What rules have noted because of the call, in it and after it; the oldest first
    pub notes: Vec<HistoryView>,
    /// The events of the call
    pub events: Vec<CallEventView>,
}

impl CallDetailsView {
    /// Reads all that is kept of a call.
    pub async fn load(store: &Store, tenant: TenantId, call: ListedCall) -> Result<Self, StoreError> {
        let transcript = store.transcript(tenant, call.id).await?;
        Ok(Self {
            rules: store.rules_of_call(tenant, call.id).await?,
            legs: store.call_legs(tenant, call.id).await?.into_iter().map(LegView::from).collect(),
            transcript: transcript.into_iter().map(|line| SpokenView { who: line.who, text: line.text }).collect(),
            turns: store.call_turns(tenant, call.id).await?.into_iter().map(TurnView::from).collect(),
            notes: store.notes_of_call(tenant, &call).await?.into_iter().map(HistoryView::from).collect(),
            events: store.events_of_call(tenant, &call).await?.into_iter().map(CallEventView::from).collect(),
            call: call.into(),
        })
    }
}

/// A leg: a number that was dialled within the call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallLeg)]
pub struct LegView {
    /// The turn whose answer dialled it
    pub turn: i32,
    /// The provider's (`CA…`)
    pub sid: Option<String>,
    /// A number, or `queue:` and its name
    pub to: String,
    #[schema(example = "no-answer")]
    pub status: String,
    pub duration_s: Option<u32>,
    #[schema(value_type = String, format = DateTime)]
    pub began_at: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<String>,
}

impl From<ListedLeg> for LegView {
    fn from(one: ListedLeg) -> Self {
        Self {
            turn: one.n,
            sid: one.sid,
            to: one.to,
            status: one.status.to_string(),
            duration_s: one.duration_s,
            began_at: one.began_at.to_string(),
            ended_at: one.ended_at.map(|at| at.to_string()),
        }
    }
}

/// A line of what was said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Spoken)]
pub struct SpokenView {
    /// `caller` or `us`
    pub who: String,
    pub text: String,
}

/// One turn: the provider asks what to do next.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallTurn)]
pub struct TurnView {
    pub n: i32,
    #[schema(value_type = String, format = DateTime)]
    pub at: String,
    /// The keys or words of the caller
    pub heard: String,
    /// The steps of the answer; `null` while there is none
    #[serde(rename = "answer")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub steps: Option<Vec<Step>>,
    /// Where the answer comes from: `rules`, `agent`, `model`, `stream`, `greeting` or `fallback`
    pub how: Option<String>,
    /// Milliseconds
    pub took_ms: Option<i32>,
    /// The event of the turn
    pub event: Uuid,
}

impl From<ListedTurn> for TurnView {
    fn from(one: ListedTurn) -> Self {
        Self {
            n: one.n,
            at: one.at.to_string(),
            heard: one.heard,
            steps: one.answer,
            how: one.how,
            took_ms: one.took_ms,
            event: one.event.uuid(),
        }
    }
}

/// An event of the call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fired)]
pub struct CallEventView {
    pub id: Uuid,
    #[schema(example = "call_completed")]
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: String,
}

impl From<CallEvent> for CallEventView {
    fn from(one: CallEvent) -> Self {
        Self { id: one.id.uuid(), kind: one.kind, at: one.at.to_string() }
    }
}
