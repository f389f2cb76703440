//! A turn of a call: the provider asks what to say next. The turn is an event, and its answer is stored with it.

use crate::domain::event::CallData;
use crate::domain::{ActionId, CallFacts, CallId, CallStatus, Channel, Event, EventKind, Step, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::rows::call_turn;
use crate::store::tables::calls::{
    Caller, Leg, TurnAnswer, answer, call_events, data_of, find_or_make, insert_turns, legs, placed,
};
use crate::store::tables::events;
use crate::store::writer;
use crate::store::writer::{Request, Writer};

/// The provider's question what to say next.
#[derive(Clone, Debug)]
pub struct NewTurn {
    pub caller: Caller,
    pub kind: EventKind,
    /// The name of the turn within its call. A repeat has the same name.
    pub key: String,
    /// The words and keys of the caller.
    pub data: CallData,
    pub at: Timestamp,
}

impl NewTurn {
    /// Whether the caller has said or pressed anything, left a message, or spoken with somebody.
    fn heard(&self) -> bool {
        !self.data.body.is_empty() || self.data.talked()
    }
}

/// The result of storing a turn.
#[derive(Clone, Debug)]
pub enum Turned {
    New {
        event: Box<Event>,
        call: Box<CallFacts>,
        n: i32,
        /// The turn is the first report that our call was answered; there is an event of it.
        call_answered: bool,
    },
    /// The turn is known. `answer` has its steps, if it is answered.
    Repeat { call: CallId, n: i32, answer: Option<Vec<Step>> },
    /// The call belongs to another tenant.
    Foreign,
}

impl Writer {
    /// Stores a turn of a call.
    pub async fn turn(&self, turn: NewTurn) -> Result<Turned, StoreError> {
        self.ask(turn).await
    }

    /// Stores the answer of a turn, and the state of the call after it.
    pub async fn said(&self, tenant: TenantId, answer: TurnAnswer) -> Result<(), StoreError> {
        self.ask(AnswerRequest { tenant, answer }).await
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

/// The answer of a turn, to be stored.
struct AnswerRequest {
    tenant: TenantId,
    answer: TurnAnswer,
}

impl Request for AnswerRequest {
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
    let known_turn = "SELECT n, answer FROM call_turns WHERE call_id = ? AND key_text = ?";
    let read = |row: &Row| Ok((row.get::<i32>(0)?, row.get::<Option<String>>(1)?));
    let found = txn.query(known_turn, vec![known.id.uuid().into(), turn.key.clone().into()], read).await?;
    if let Some((n, answer)) = found.into_iter().next() {
        let answer = answer.map(|answer| serde_json::from_str(&answer)).transpose().map_err(StoreError::json)?;
        return Ok(Turned::Repeat { call: known.id, n, answer });
    }
    let n = known.turns + 1;
    if let Some(body) = placed::join(txn, context, &mut known, &turn.caller, None, turn.at).await?
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
    // A caller who hung up during a recording or a transfer makes one more turn, with the status completed. The status
    // callback reports the end itself, with the duration.
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
    let row = call_turn::NewRow {
        tenant: known.tenant,
        call: known.id,
        n,
        key: turn.key.clone(),
        event: event.id,
        at: turn.at,
        heard: &turn.data.body,
        answer: None,
        how: None,
    };
    insert_turns(txn, call_turn::new_row(row).to_vec()).await?;
    events::insert(txn, [(&event, None)]).await?;
    if let Some(leg) = Leg::from_turn(&turn.data, turn.at) {
        legs::record(txn, known.tenant, known.id, known.turns, &leg).await?;
    }
    let call_answered = call_events::is_answered(&known, before);
    if call_answered {
        // The provider's callback of the same may come later. It changes nothing then.
        call_events::insert_answered(txn, context, &known, turn.at, committed).await?;
    }
    Ok(Turned::New { event: Box::new(event), call: Box::new(known.facts), n, call_answered })
}
