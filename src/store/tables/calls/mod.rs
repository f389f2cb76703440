//! Calls: what comes in of them, what is said in them, how they stand.
//!
//! A turn is one question of the provider's, what to say next: it is an event, and its answer is kept beside it, so that
//! a repeat is answered alike.

pub(in crate::store) mod legs;
mod read;
pub(in crate::store) mod told;
pub(in crate::store) mod placed;

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
use crate::store::tables::actions::QueuedSend;

/// Whose call it is, as the provider tells it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub tenant: TenantId,
    /// The provider's id (`CA…`).
    pub sid: String,
    pub direction: CallDirection,
    /// The customer's number as it was given.
    pub peer: String,
    /// The same, where it is one.
    pub phone: Option<Phone>,
    /// Ours.
    pub number: String,
    /// The send of ours that began it.
    pub action: Option<ActionId>,
    pub status: CallStatus,
    pub answered_by: Option<String>,
}

/// What was answered in a turn, and what the call is afterwards.
#[derive(Clone, Debug)]
pub struct TurnAnswer {
    pub call: CallId,
    pub n: i32,
    pub steps: Vec<Step>,
    /// Who found it: `rules`, `agent`, `model`, `greeting`, `call` (the words it was begun with), `fallback`.
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
    /// The send of ours that began it.
    pub action: Option<ActionId>,
    /// Its end was reported.
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

/// What is told of the call, in every event of it.
pub(in crate::store) fn data_of(known: &CallRow, data: CallData) -> Result<serde_json::Value, StoreError> {
    let CallFacts { sid, peer, number, .. } = &known.facts;
    let (from, to) = known.facts.direction.ends(peer, number);
    let action = known.action.map(|action| action.to_string());
    let (from, to) = (from.to_owned(), to.to_owned());
    let data = CallData { call: known.id.to_string(), sid: sid.clone(), action, from, to, ..data };
    serde_json::to_value(data).map_err(StoreError::json)
}

pub(in crate::store) async fn find_or_make(
    txn: &impl Txn,
    context: &WriterContext,
    caller: &Caller,
    at: Timestamp,
) -> Result<CallRow, StoreError> {
    let text = format!("{KNOWN} WHERE provider_sid = ?");
    let found = txn.query(&text, vec![caller.sid.clone().into()], read).await?;
    if let Some(known) = found.into_iter().next() {
        return Ok(known);
    }
    let mut contact = None;
    if let Some(phone) = &caller.phone {
        let mut upsert = ContactUpsert::default();
        upsert.add(caller.tenant, phone, at);
        contact = upsert.upsert(txn, context).await?.into_values().next().map(|(contact, _)| contact);
    }
    let id: CallId = context.ids.next();
    let key = caller.phone.as_ref().map_or_else(|| caller.peer.clone(), Phone::key);
    let state = CallState::default();
    txn.rows(
        "INSERT INTO calls (id, tenant_id, contact_id, provider_sid, direction, peer, peer_key, number, action_id, status,
           answered_by, state, turns, heard, started_us, told, streamed) VALUES {rows}",
        17,
        Cut::Exact,
        vec![
            id.uuid().into(),
            caller.tenant.uuid().into(),
            contact.map(ContactId::uuid).into(),
            caller.sid.clone().into(),
            caller.direction.as_str().into(),
            caller.peer.clone().into(),
            key.into(),
            caller.number.clone().into(),
            // Once it is known to be the tenant's.
            None::<Uuid>.into(),
            CallStatus::Queued.as_str().into(),
            caller.answered_by.clone().into(),
            serde_json::to_string(&state).map_err(StoreError::json)?.into(),
            0i32.into(),
            false.into(),
            at.unix_us().into(),
            false.into(),
            0i32.into(),
        ],
    )
    .await?;
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

/// A call of ours has begun: from here on its row is there, so that its end is asked for where nobody tells of it.
pub(in crate::store) async fn begun(
    txn: &impl Txn,
    context: &WriterContext,
    send: &QueuedSend,
    sid: &str,
) -> Result<(), StoreError> {
    let caller = Caller {
        tenant: send.tenant,
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
    let set = "UPDATE calls SET action_id = coalesce(action_id, ?) WHERE id = ? AND tenant_id = ?";
    let values = vec![send.id.uuid().into(), known.id.uuid().into(), send.tenant.uuid().into()];
    txn.execute(set, values).await?;
    Ok(())
}

/// Writes down what was answered.
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

/// The words of turns, as lines of a transcript.
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
