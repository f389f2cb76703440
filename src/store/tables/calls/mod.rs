//! Calls: what comes in of them, what is said in them, how they stand.
//!
//! A turn is one question of the provider's, what to say next: it is an event, and its answer is kept beside it, so that
//! a repeat is answered alike.

mod legs;
mod read;
pub(in crate::store) mod placed;
use crate::store::requests::call_report;

use uuid::Uuid;

pub use crate::store::reads::calls::{CallEvent, CallFilter, ListedCall, ListedTurn};
pub(in crate::store) use crate::store::requests::call_report::reports;
pub use legs::{Leg, LegReport, ListedLeg};
pub use read::{CallResult, OpenCall};

use super::contacts::ContactUpsert;
use super::events;
use crate::domain::event::CallData;
use crate::domain::{
    ActionId, CallDirection, CallFacts, CallId, CallState, CallStatus, Channel, ContactId, Event, EventKind, Phone,
    Step, TenantId, Timestamp,
};
use crate::store::StoreError;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::QueuedSend;
use crate::store::writer::Means;

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

/// The provider asks what to say next.
#[derive(Clone, Debug)]
pub struct NewTurn {
    pub caller: Caller,
    pub kind: EventKind,
    /// Names the turn within its call: a repeat has the same.
    pub key: String,
    /// What was heard.
    pub data: CallData,
    pub at: Timestamp,
}

impl NewTurn {
    /// Whether the caller has said or pressed anything, has left a message or has spoken with somebody.
    fn heard(&self) -> bool {
        !self.data.body.is_empty() || self.data.talked()
    }
}

/// What there is of a turn once it is stored.
#[derive(Clone, Debug)]
pub enum Turned {
    New {
        event: Box<Event>,
        call: Box<CallFacts>,
        n: i32,
        /// It is the first that is known of somebody having answered our call: an event tells of it.
        answered: bool,
    },
    /// It was asked before; beside it what was answered, where that is known already.
    Repeat { call: CallId, n: i32, answer: Option<Vec<Step>> },
    /// The call is another tenant's.
    Foreign,
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

/// What the provider says of a call besides.
#[derive(Clone, Debug)]
pub struct CallReport {
    pub caller: Caller,
    pub duration_s: Option<u32>,
    pub recording: Option<Recording>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
    /// A call that ends without a word of the caller's counts as missed.
    pub silence_is_missed: bool,
    /// What is told of its end waits for a summary: see [`Store::untold_calls`].
    pub tell_later: bool,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Recording {
    pub sid: String,
    pub url: String,
    pub seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It moved forward, or something new is known: events tell of it.
    Advanced,
    /// The same, and the call has ended: told of each call once.
    Ended,
    Stale,
    Foreign,
}

/// A call's row.
pub(in crate::store) struct Known {
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

fn read(row: &Row) -> Result<Known, StoreError> {
    let id = CallId::new(row.get(0)?);
    let state: String = row.get(10)?;
    let status: String = row.get(7)?;
    Ok(Known {
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

pub(in crate::store) async fn turns(
    txn: &impl Txn,
    means: &Means,
    turns: &[NewTurn],
    committed: &mut Committed,
) -> Result<Vec<Turned>, StoreError> {
    let mut turned = Vec::with_capacity(turns.len());
    for turn in turns {
        turned.push(one_turn(txn, means, turn, committed).await?);
    }
    Ok(turned)
}

async fn one_turn(
    txn: &impl Txn,
    means: &Means,
    turn: &NewTurn,
    committed: &mut Committed,
) -> Result<Turned, StoreError> {
    let mut known = find_or_make(txn, means, &turn.caller, turn.at).await?;
    if known.tenant != turn.caller.tenant {
        return Ok(Turned::Foreign);
    }
    let asked = "SELECT n, answer FROM call_turns WHERE call_id = ? AND key_text = ?";
    let before = |row: &Row| Ok((row.get::<i32>(0)?, row.get::<Option<String>>(1)?));
    let asked = txn.query(asked, vec![known.id.uuid().into(), turn.key.clone().into()], before).await?;
    if let Some((n, answer)) = asked.into_iter().next() {
        let answer = answer.map(|answer| serde_json::from_str(&answer)).transpose().map_err(StoreError::json)?;
        return Ok(Turned::Repeat { call: known.id, n, answer });
    }
    let n = known.turns + 1;
    if let Some(body) = placed::join(txn, &mut known, &turn.caller, None, turn.at).await?
        && n == 1
    {
        known.facts.state = body.opening(turn.caller.answered_by.as_deref());
    }
    let event = Event {
        id: means.ids.next(),
        tenant: known.tenant,
        kind: turn.kind.clone(),
        channel: Some(Channel::Voice),
        contact: known.contact,
        occurred_at: turn.at,
        dedupe_key: Some(format!("call:{}:{}", known.facts.sid, turn.key)),
        depth: 0,
        data: data_of(&known, turn.data.clone())?,
    };
    // Whoever hung up while they were recorded or put through is asked about once more, as completed: the end itself is
    // for the status callback to tell, with how long it was.
    let before = known.facts.status;
    if turn.data.reached_nobody() {
        known.facts.state.nobody = turn.data.outcome.clone();
    } else if turn.data.talked() {
        known.facts.state.nobody = None;
    }
    let status = if turn.caller.status.is_final() { CallStatus::InProgress } else { turn.caller.status };
    known.facts.status = before.advance(status);
    known.facts.answered_by = turn.caller.answered_by.clone().or(known.facts.answered_by.take());
    txn.execute(
        "UPDATE calls SET turns = ?, heard = ?, status = ?, answered_by = ?, state = ?, action_id = ?
         WHERE id = ? AND tenant_id = ?",
        vec![
            n.into(),
            (known.heard || turn.heard()).into(),
            known.facts.status.as_str().into(),
            known.facts.answered_by.clone().into(),
            serde_json::to_string(&known.facts.state).map_err(StoreError::json)?.into(),
            known.action.map(ActionId::uuid).into(),
            known.id.uuid().into(),
            known.tenant.uuid().into(),
        ],
    )
    .await?;
    txn.execute(
        "INSERT INTO call_turns (call_id, n, tenant_id, key_text, event_id, at_us, heard) VALUES (?, ?, ?, ?, ?, ?, ?)",
        vec![
            known.id.uuid().into(),
            n.into(),
            known.tenant.uuid().into(),
            turn.key.clone().into(),
            event.id.uuid().into(),
            turn.at.unix_us().into(),
            turn.data.body.clone().into(),
        ],
    )
    .await?;
    events::insert(txn, [(&event, None)]).await?;
    if let Some(leg) = Leg::of_turn(&turn.data, turn.at) {
        legs::told(txn, known.tenant, known.id, known.turns, &leg).await?;
    }
    let answered = call_report::is_answered(&known, before);
    if answered {
        // The callback that says so may come later than this: then it tells nothing new.
        call_report::tell_answered(txn, means, &known, turn.at, committed).await?;
    }
    Ok(Turned::New { event: Box::new(event), call: Box::new(known.facts), n, answered })
}

/// What is told of the call, in every event of it.
pub(in crate::store) fn data_of(known: &Known, data: CallData) -> Result<serde_json::Value, StoreError> {
    let CallFacts { sid, peer, number, .. } = &known.facts;
    let (from, to) = known.facts.direction.ends(peer, number);
    let action = known.action.map(|action| action.to_string());
    let (from, to) = (from.to_owned(), to.to_owned());
    let data = CallData { call: known.id.to_string(), sid: sid.clone(), action, from, to, ..data };
    serde_json::to_value(data).map_err(StoreError::json)
}

pub(in crate::store) async fn find_or_make(
    txn: &impl Txn,
    means: &Means,
    caller: &Caller,
    at: Timestamp,
) -> Result<Known, StoreError> {
    let text = format!("{KNOWN} WHERE provider_sid = ?");
    let found = txn.query(&text, vec![caller.sid.clone().into()], read).await?;
    if let Some(known) = found.into_iter().next() {
        return Ok(known);
    }
    let mut contact = None;
    if let Some(phone) = &caller.phone {
        let mut meeting = ContactUpsert::default();
        meeting.meet(caller.tenant, phone, at);
        contact = meeting.upsert(txn, means).await?.into_values().next().map(|(contact, _)| contact);
    }
    let id: CallId = means.ids.next();
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
    Ok(Known {
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
    means: &Means,
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
    let known = find_or_make(txn, means, &caller, means.clock.now()).await?;
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
