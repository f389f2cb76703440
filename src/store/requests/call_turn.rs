//! A turn of a call: the provider asks what to say next. It is an event; its answer is kept beside it.

use crate::domain::event::CallData;
use crate::domain::{ActionId, CallFacts, CallId, CallStatus, Channel, Event, EventKind, Step, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::calls::{Caller, Leg, TurnAnswer, answer, data_of, find_or_make, legs, placed, told};
use crate::store::tables::events;
use crate::store::writer;
use crate::store::writer::{Request, Writer};

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

impl Writer {
    /// Stores that the provider asks what to say next in a call.
    pub async fn turn(&self, turn: NewTurn) -> Result<Turned, StoreError> {
        self.ask(turn).await
    }

    /// Writes down what is said in a turn, and what the call is after it.
    pub async fn said(&self, tenant: TenantId, answer: TurnAnswer) -> Result<(), StoreError> {
        self.ask(Answered { tenant, answer }).await
    }
}

impl Request for NewTurn {
    type Reply = Turned;

    const STEP: writer::Step = writer::Step::CallTurn;

    async fn execute(
        turns: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Turned>, StoreError> {
        let mut turned = Vec::with_capacity(turns.len());
        for turn in turns {
            turned.push(one_turn(txn, context, turn, committed).await?);
        }
        Ok(turned)
    }
}

/// What was answered in a turn of a tenant's call.
struct Answered {
    tenant: TenantId,
    answer: TurnAnswer,
}

impl Request for Answered {
    type Reply = ();

    const STEP: writer::Step = writer::Step::TurnAnswer;

    async fn execute(
        answers: &[Self],
        txn: &impl Txn,
        _context: &WriterContext,
        _committed: &mut Committed,
    ) -> Result<Vec<()>, StoreError> {
        for one in answers {
            answer(txn, one.tenant, &one.answer).await?;
        }
        Ok(vec![(); answers.len()])
    }
}

async fn one_turn(
    txn: &impl Txn,
    context: &WriterContext,
    turn: &NewTurn,
    committed: &mut Committed,
) -> Result<Turned, StoreError> {
    let mut known = find_or_make(txn, context, &turn.caller, turn.at).await?;
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
        id: context.ids.next(),
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
    if let Some(leg) = Leg::from_turn(&turn.data, turn.at) {
        legs::told(txn, known.tenant, known.id, known.turns, &leg).await?;
    }
    let answered = told::is_answered(&known, before);
    if answered {
        // The callback that says so may come later than this: then it tells nothing new.
        told::tell_answered(txn, context, &known, turn.at, committed).await?;
    }
    Ok(Turned::New { event: Box::new(event), call: Box::new(known.facts), n, answered })
}
