//! Calls: their rows, their turns and their legs.
//!
//! In a turn the provider asks what to say next. The turn is an event, and its answer is stored with it, so that a
//! repeat gets the same answer.

pub(in crate::store) mod call_events;
pub(in crate::store) mod legs;
mod read;
pub(in crate::store) mod placed;

use std::sync::LazyLock;

use sea_orm::Value;
use uuid::Uuid;

pub use legs::{Leg, LegReport, ListedLeg};
pub use read::{CallResult, OpenCall};

use super::contacts::ContactUpsert;
use crate::domain::event::{CallData, TranscriptLine};
use crate::domain::{
    ActionId, CallDirection, CallFacts, CallId, CallState, CallStatus, ContactId, Phone, Step, TenantId, Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::rows::{call, call_turn};
use crate::store::tables::actions::QueuedSend;

/// A call as the provider describes it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub tenant: TenantId,
    /// The provider's account (`AC…`), which several tenants may share; `None` where it is not known.
    pub account: Option<String>,
    /// The provider's id (`CA…`). It is unique within its account: another account could sign any.
    pub sid: String,
    pub direction: CallDirection,
    /// The customer's number, as the provider gave it.
    pub peer: String,
    /// The same number, if it is a phone number.
    pub phone: Option<Phone>,
    /// Our number.
    pub number: String,
    /// The send that began the call.
    pub action: Option<ActionId>,
    pub status: CallStatus,
    pub answered_by: Option<String>,
}

/// The answer of a turn, and the state of the call after it.
#[derive(Clone, Debug)]
pub struct TurnAnswer {
    pub call: CallId,
    pub n: i32,
    pub steps: Vec<Step>,
    /// The source of the answer: `rules`, `agent`, `model`, `greeting`, `call` (the call's own opening words),
    /// `fallback`.
    pub how: &'static str,
    pub took_ms: u32,
    pub state: CallState,
}

/// A call's row.
pub(in crate::store) struct CallRow {
    pub id: CallId,
    pub tenant: TenantId,
    pub contact: Option<ContactId>,
    pub facts: CallFacts,
    pub turns: i32,
    pub heard: bool,
    pub recording: Option<String>,
    /// The send that began the call.
    pub action: Option<ActionId>,
    /// The provider has reported the end.
    pub ended: bool,
}

const KNOWN: &str =
    "SELECT id, tenant_id, contact_id, provider_sid, direction, peer, number, status, answered_by, duration_s,
    state, turns, heard, recording_sid, streamed, action_id, ended_us FROM calls";

fn read(row: &Row) -> Result<CallRow, StoreError> {
    let id = CallId::new(row.get(0)?);
    let state: String = row.get(10)?;
    let status: String = row.get(7)?;
    Ok(CallRow {
        id,
        tenant: TenantId::new(row.get(1)?),
        contact: row.get::<Option<Uuid>>(2)?.map(ContactId::new),
        facts: CallFacts {
            id,
            sid: row.get(3)?,
            direction: CallDirection::from_stored(&row.get::<String>(4)?),
            peer: row.get(5)?,
            number: row.get(6)?,
            status: CallStatus::parse(&status).ok_or_else(|| StoreError::Stored(format!("a call is '{status}'")))?,
            answered_by: row.get(8)?,
            duration_s: row.get::<Option<i32>>(9)?.and_then(|seconds| u32::try_from(seconds).ok()),
            state: serde_json::from_str(&state).map_err(StoreError::json)?,
            turns: row.get(11)?,
            streamed: row.get(14)?,
        },
        turns: row.get(11)?,
        heard: row.get(12)?,
        recording: row.get(13)?,
        action: row.get::<Option<Uuid>>(15)?.map(ActionId::new),
        ended: row.get::<Option<i64>>(16)?.is_some(),
    })
}

/// Adds the call to the data of an event.
pub(in crate::store) fn data_of(known: &CallRow, data: CallData) -> Result<serde_json::Value, StoreError> {
    let CallFacts { sid, peer, number, .. } = &known.facts;
    let (from, to) = known.facts.direction.ends(peer, number);
    let action = known.action.map(|action| action.to_string());
    let (from, to) = (from.to_owned(), to.to_owned());
    let data = CallData { call: known.id.to_string(), sid: sid.clone(), action, from, to, ..data };
    serde_json::to_value(data).map_err(StoreError::json)
}

static INSERT: LazyLock<String> = LazyLock::new(|| call::TABLE.insert());
static INSERT_TURNS: LazyLock<String> = LazyLock::new(|| call_turn::TABLE.insert());

/// Finds the call of the provider's id, or stores it with its customer. The call of another tenant is found only if it
/// came through the same account.
pub(in crate::store) async fn find_or_make(
    txn: &impl Txn,
    context: &WriterContext,
    caller: &Caller,
    at: Timestamp,
) -> Result<CallRow, StoreError> {
    let text = format!(
        "{KNOWN} WHERE provider_sid = ? AND (tenant_id = ? OR account_sid = ?)
         ORDER BY CASE WHEN tenant_id = ? THEN 0 ELSE 1 END LIMIT 1"
    );
    let tenant = caller.tenant.uuid();
    let values = vec![caller.sid.clone().into(), tenant.into(), caller.account.clone().into(), tenant.into()];
    let found = txn.query(&text, values, read).await?;
    if let Some(known) = found.into_iter().next() {
        return Ok(known);
    }
    let mut contact = None;
    if let Some(phone) = &caller.phone {
        let mut upsert = ContactUpsert::default();
        let phone = phone.clone().into();
        upsert.add(caller.tenant, &phone, at);
        contact = upsert.upsert(txn, context).await?.get(caller.tenant, &phone).map(|(contact, _)| contact);
    }
    let id: CallId = context.ids.next();
    let state = CallState::default();
    let row = call::NewRow {
        tenant: caller.tenant,
        id,
        contact,
        sid: &caller.sid,
        direction: caller.direction,
        peer: &caller.peer,
        peer_key: caller.phone.as_ref().map_or_else(|| caller.peer.clone(), Phone::key),
        number: &caller.number,
        answered_by: caller.answered_by.clone(),
        state: serde_json::to_string(&state).map_err(StoreError::json)?,
        started: at,
        account: caller.account.as_deref(),
    };
    txn.rows(&INSERT, call::TABLE.width(), Cut::Exact, call::new_row(row).to_vec()).await?;
    Ok(CallRow {
        id,
        tenant: caller.tenant,
        contact,
        facts: CallFacts {
            id,
            sid: caller.sid.clone(),
            direction: caller.direction,
            peer: caller.peer.clone(),
            number: caller.number.clone(),
            status: CallStatus::Queued,
            answered_by: caller.answered_by.clone(),
            duration_s: None,
            state,
            turns: 0,
            streamed: 0,
        },
        turns: 0,
        heard: false,
        recording: None,
        action: None,
        ended: false,
    })
}

/// Stores the row of a call that we have begun, so that its end is looked up if the provider does not report it.
pub(in crate::store) async fn begun(
    txn: &impl Txn,
    context: &WriterContext,
    send: &QueuedSend,
    sid: &str,
) -> Result<(), StoreError> {
    let caller = Caller {
        tenant: send.tenant,
        account: None,
        sid: sid.to_owned(),
        direction: CallDirection::Out,
        phone: Phone::parse(&send.recipient).ok(),
        peer: send.recipient.clone(),
        number: send.sender.clone(),
        action: Some(send.id),
        status: CallStatus::Queued,
        answered_by: None,
    };
    let known = find_or_make(txn, context, &caller, context.clock.now()).await?;
    let set = "UPDATE calls SET action_id = coalesce(action_id, ?), account_sid = coalesce(account_sid,
          (SELECT a.account_sid FROM actions a WHERE a.id = ? AND a.tenant_id = calls.tenant_id))
        WHERE id = ? AND tenant_id = ?";
    let id = send.id.uuid();
    let values = vec![id.into(), id.into(), known.id.uuid().into(), send.tenant.uuid().into()];
    txn.execute(set, values).await?;
    Ok(())
}

/// Inserts the values of turns, each from [`call_turn::new_row`].
pub(in crate::store) async fn insert_turns(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    txn.rows(&INSERT_TURNS, call_turn::TABLE.width(), Cut::Exact, values).await
}

/// Stores the answer of a turn.
pub(in crate::store) async fn answer(txn: &impl Txn, tenant: TenantId, answer: &TurnAnswer) -> Result<(), StoreError> {
    txn.execute(
        "UPDATE call_turns SET answer = ?, how = ?, took_ms = ? WHERE call_id = ? AND n = ? AND tenant_id = ?",
        vec![
            serde_json::to_string(&answer.steps).map_err(StoreError::json)?.into(),
            answer.how.into(),
            i32::try_from(answer.took_ms).unwrap_or(i32::MAX).into(),
            answer.call.uuid().into(),
            answer.n.into(),
            tenant.uuid().into(),
        ],
    )
    .await?;
    txn.execute(
        "UPDATE calls SET state = ? WHERE id = ? AND tenant_id = ?",
        vec![
            serde_json::to_string(&answer.state).map_err(StoreError::json)?.into(),
            answer.call.uuid().into(),
            tenant.uuid().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Makes the lines of a transcript from the turns.
pub(in crate::store) fn lines(turns: Vec<(String, Option<String>)>) -> Result<Vec<TranscriptLine>, StoreError> {
    let mut lines = Vec::new();
    for (heard, answer) in turns {
        if !heard.is_empty() {
            lines.push(TranscriptLine { who: "caller".to_owned(), text: heard });
        }
        let steps: Vec<Step> =
            answer.map_or(Ok(Vec::new()), |answer| serde_json::from_str(&answer)).map_err(StoreError::json)?;
        lines.extend(
            steps
                .iter()
                .filter_map(Step::spoken)
                .map(|text| TranscriptLine { who: "us".to_owned(), text: text.to_owned() }),
        );
    }
    Ok(lines)
}
