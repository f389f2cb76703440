//! Calls: what comes in of them, what is said in them, how they stand.
//!
//! A turn is one question of the provider's, what to say next: it is an event, and its answer is kept beside it, so that
//! a repeat is answered alike.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::contacts::Meeting;
use super::fresh::Committed;
use super::sql::{Cut, Row, Txn};
use super::writer::Means;
use super::{Store, StoreError, events, placed, sql, writer};
use crate::domain::event::{CallData, Line};
use crate::domain::{
    ActionId, CallDirection, CallFacts, CallId, CallState, CallStatus, Channel, ContactId, Event, EventId, EventKind,
    Phone, Step, TenantId, Timestamp,
};

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
    /// Whether the caller has said or pressed anything.
    fn heard(&self) -> bool {
        !self.data.body.is_empty()
    }
}

/// What there is of a turn once it is stored.
#[derive(Clone, Debug)]
pub enum Turned {
    New {
        event: Box<Event>,
        call: Box<CallFacts>,
        n: i32,
    },
    /// It was asked before; beside it what was answered, where that is known already.
    Repeat {
        call: CallId,
        n: i32,
        answer: Option<Vec<Step>>,
    },
    /// The call is another tenant's.
    Foreign,
}

/// What was answered in a turn, and what the call is afterwards.
#[derive(Clone, Debug)]
pub struct TurnAnswer {
    pub call: CallId,
    pub n: i32,
    pub steps: Vec<Step>,
    /// Who found it: `rules`, `agent`, `model`, `greeting`, `fallback`.
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
    Stale,
    Foreign,
}

/// A call's row.
pub(super) struct Known {
    id: CallId,
    pub tenant: TenantId,
    contact: Option<ContactId>,
    pub facts: CallFacts,
    turns: i32,
    heard: bool,
    recording: Option<String>,
    pub action: Option<ActionId>,
}

const KNOWN: &str =
    "SELECT id, tenant_id, contact_id, provider_sid, direction, peer, number, status, answered_by, duration_s,
    state, turns, heard, recording_sid, streamed, action_id FROM calls";

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
    })
}

pub(super) async fn turns(txn: &impl Txn, means: &Means, turns: &[NewTurn]) -> Result<Vec<Turned>, StoreError> {
    let mut turned = Vec::with_capacity(turns.len());
    for turn in turns {
        turned.push(one_turn(txn, means, turn).await?);
    }
    Ok(turned)
}

async fn one_turn(txn: &impl Txn, means: &Means, turn: &NewTurn) -> Result<Turned, StoreError> {
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
    known.facts.status = known.facts.status.advance(turn.caller.status);
    known.facts.answered_by = turn.caller.answered_by.clone().or(known.facts.answered_by);
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
    Ok(Turned::New { event: Box::new(event), call: Box::new(known.facts), n })
}

/// What is told of the call, in every event of it.
fn data_of(known: &Known, data: CallData) -> Result<serde_json::Value, StoreError> {
    let CallFacts { sid, peer, number, .. } = &known.facts;
    let (from, to) = match known.facts.direction {
        CallDirection::In => (peer, number),
        CallDirection::Out => (number, peer),
    };
    let action = known.action.map(|action| action.to_string());
    let (from, to) = (from.clone(), to.clone());
    let data = CallData { call: known.id.to_string(), sid: sid.clone(), action, from, to, ..data };
    serde_json::to_value(data).map_err(StoreError::json)
}

async fn find_or_make(txn: &impl Txn, means: &Means, caller: &Caller, at: Timestamp) -> Result<Known, StoreError> {
    let text = format!("{KNOWN} WHERE provider_sid = ?");
    let found = txn.query(&text, vec![caller.sid.clone().into()], read).await?;
    if let Some(known) = found.into_iter().next() {
        return Ok(known);
    }
    let mut contact = None;
    if let Some(phone) = &caller.phone {
        let mut meeting = Meeting::default();
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
    })
}

/// Writes down what was answered.
pub(super) async fn answer(txn: &impl Txn, tenant: TenantId, answer: &TurnAnswer) -> Result<(), StoreError> {
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

pub(super) async fn reports(
    txn: &impl Txn,
    means: &Means,
    reports: &[CallReport],
    committed: &mut Committed,
) -> Result<Vec<Reported>, StoreError> {
    let mut reported = Vec::with_capacity(reports.len());
    for report in reports {
        reported.push(one_report(txn, means, report, committed).await?);
    }
    Ok(reported)
}

async fn one_report(
    txn: &impl Txn,
    means: &Means,
    report: &CallReport,
    committed: &mut Committed,
) -> Result<Reported, StoreError> {
    let mut known = find_or_make(txn, means, &report.caller, report.at).await?;
    if known.tenant != report.caller.tenant {
        return Ok(Reported::Foreign);
    }
    let before = known.facts.status;
    placed::join(txn, &mut known, &report.caller, report.error_code, report.at).await?;
    let after = before.advance(report.caller.status);
    let ends = after.is_final() && !before.is_final();
    let recording = report.recording.as_ref().filter(|new| known.recording.as_deref() != Some(&new.sid));
    if after == before && recording.is_none() {
        return Ok(Reported::Stale);
    }
    known.facts.status = after;
    known.facts.duration_s = report.duration_s.or(known.facts.duration_s);
    known.facts.answered_by = report.caller.answered_by.clone().or(known.facts.answered_by.take());
    let mut told = Vec::new();
    let outbound = known.facts.direction == CallDirection::Out;
    if outbound && before.rank() < CallStatus::InProgress.rank() && after == CallStatus::InProgress {
        told.push((EventKind::CALL_ANSWERED, None));
    }
    if recording.is_some() {
        told.push((EventKind::RECORDING_READY, None));
    }
    let later = ends && after == CallStatus::Completed && report.tell_later;
    if ends {
        told.extend(ends_as(&known, after, report).filter(|(kind, _)| !(later && *kind == EventKind::CALL_COMPLETED)));
    }
    txn.execute(
        "UPDATE calls SET status = ?, answered_by = ?, duration_s = ?, action_id = ?, recording_sid = coalesce(?, recording_sid),
           recording_url = coalesce(?, recording_url), error_code = coalesce(?, error_code),
           detail = coalesce(?, detail), ended_us = coalesce(ended_us, ?), told = (told OR ?)
         WHERE id = ? AND tenant_id = ?",
        vec![
            after.as_str().into(),
            known.facts.answered_by.clone().into(),
            known.facts.duration_s.and_then(|seconds| i32::try_from(seconds).ok()).into(),
            known.action.map(ActionId::uuid).into(),
            recording.map(|one| one.sid.clone()).into(),
            recording.map(|one| one.url.clone()).into(),
            report.error_code.into(),
            report.detail.clone().into(),
            ends.then(|| report.at.unix_us()).into(),
            (ends && !later).into(),
            known.id.uuid().into(),
            known.tenant.uuid().into(),
        ],
    )
    .await?;
    let transcript = if ends && !later { transcript(txn, known.tenant, known.id).await? } else { Vec::new() };
    for (kind, reason) in told {
        let data = CallData {
            status: after.to_string(),
            duration_s: known.facts.duration_s,
            answered_by: known.facts.answered_by.clone(),
            error_code: report.error_code,
            recording_url: report.recording.as_ref().map(|one| one.url.clone()),
            recording_s: report.recording.as_ref().and_then(|one| one.seconds),
            transcript: if kind == EventKind::CALL_COMPLETED { transcript.clone() } else { Vec::new() },
            reason,
            ..CallData::default()
        };
        let key = recording.filter(|_| kind == EventKind::RECORDING_READY).map(|one| one.sid.as_str());
        let event = event_of(means, &known, kind, key, data, report.at)?;
        events::insert(txn, [(&event, None)]).await?;
        committed.events.push(event);
    }
    Ok(Reported::Advanced)
}

/// What is told of a call that ends so.
fn ends_as(
    known: &Known,
    status: CallStatus,
    report: &CallReport,
) -> impl Iterator<Item = (EventKind, Option<String>)> + use<> {
    let because = |text: &str| Some(text.to_owned());
    let outbound = known.facts.direction == CallDirection::Out;
    let (first, second) = match status {
        CallStatus::Completed => {
            let silent = !outbound && !known.heard && report.silence_is_missed;
            let missed = silent.then(|| (EventKind::CALL_MISSED, because("hung up before a word or a key")));
            (Some((EventKind::CALL_COMPLETED, None)), missed)
        }
        CallStatus::Failed => (Some((EventKind::CALL_FAILED, report.detail.clone())), None),
        // Whom we rang did not answer: nobody of ours has missed anything.
        _ if outbound => (Some((EventKind::CALL_FAILED, because(status.as_str()))), None),
        _ => (Some((EventKind::CALL_MISSED, because(status.as_str()))), None),
    };
    first.into_iter().chain(second)
}

fn event_of(
    means: &Means,
    known: &Known,
    kind: EventKind,
    key: Option<&str>,
    data: CallData,
    at: Timestamp,
) -> Result<Event, StoreError> {
    Ok(Event {
        id: means.ids.next(),
        tenant: known.tenant,
        channel: Some(Channel::Voice),
        contact: known.contact,
        occurred_at: at,
        dedupe_key: Some(format!(
            "{kind}:{}{}",
            known.facts.sid,
            key.map_or_else(String::new, |key| format!(":{key}"))
        )),
        depth: 0,
        data: data_of(known, data)?,
        kind,
    })
}

/// What was heard and said in a call, in its order.
async fn transcript(txn: &impl Txn, tenant: TenantId, call: CallId) -> Result<Vec<Line>, StoreError> {
    let text = "SELECT heard, answer FROM call_turns WHERE call_id = ? AND tenant_id = ? ORDER BY n";
    let read = |row: &Row| Ok((row.get::<String>(0)?, row.get::<Option<String>>(1)?));
    let rows = txn.query(text, vec![call.uuid().into(), tenant.uuid().into()], read).await?;
    lines(rows)
}

fn lines(turns: Vec<(String, Option<String>)>) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for (heard, answer) in turns {
        if !heard.is_empty() {
            lines.push(Line { who: "caller".to_owned(), text: heard });
        }
        let steps: Vec<Step> =
            answer.map_or(Ok(Vec::new()), |answer| serde_json::from_str(&answer)).map_err(StoreError::json)?;
        lines.extend(
            steps.iter().filter_map(Step::spoken).map(|text| Line { who: "us".to_owned(), text: text.to_owned() }),
        );
    }
    Ok(lines)
}

/// What became of a call that had to wait for its summary.
#[derive(Clone, Debug, Default, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CallResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

const LISTED: &str = "SELECT id, provider_sid, direction, peer, number, status, answered_by, duration_s, recording_url,
    error_code, detail, result, started_us, ended_us FROM calls";

/// A call as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedCall {
    pub id: CallId,
    pub sid: String,
    pub direction: CallDirection,
    pub from: String,
    pub to: String,
    pub status: CallStatus,
    pub answered_by: Option<String>,
    pub duration_s: Option<u32>,
    pub recording_url: Option<String>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
    #[serde(flatten)]
    pub result: CallResult,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// One turn of a call, for who asks what was said and why.
#[derive(Clone, Debug, Serialize)]
pub struct ListedTurn {
    pub n: i32,
    pub event: EventId,
    pub at: Timestamp,
    pub heard: String,
    pub answer: Option<Vec<Step>>,
    pub how: Option<String>,
    pub took_ms: Option<i32>,
}

impl Store {
    /// The call of a provider's id.
    pub async fn call_by_sid(&self, tenant: TenantId, sid: &str) -> Result<Option<CallFacts>, StoreError> {
        let text = format!("{KNOWN} WHERE provider_sid = ? AND tenant_id = ?");
        let row = sql::query_one(&self.read, &text, vec![sid.into(), tenant.uuid().into()]).await?;
        row.map(|row| Ok(read(&Row::Sea(&row))?.facts)).transpose()
    }

    /// Calls as they stand, for the events that are of them.
    pub async fn calls(&self, tenant: TenantId, ids: &[CallId]) -> Result<BTreeMap<CallId, CallFacts>, StoreError> {
        let text = format!("{KNOWN} WHERE tenant_id = ? AND id IN ({{list}})");
        let list = ids.iter().map(|id| id.uuid().into()).collect();
        let mut calls = BTreeMap::new();
        for row in sql::query_in(&self.read, &text, &[tenant.uuid().into()], list).await? {
            let known = read(&Row::Sea(&row))?;
            calls.insert(known.id, known.facts);
        }
        Ok(calls)
    }

    /// What was answered in a turn, where that is known.
    pub async fn turn_answer(&self, tenant: TenantId, call: CallId, n: i32) -> Result<Option<Vec<Step>>, StoreError> {
        let text = "SELECT answer FROM call_turns WHERE call_id = ? AND n = ? AND tenant_id = ?";
        let row = sql::query_one(&self.read, text, vec![call.uuid().into(), n.into(), tenant.uuid().into()]).await?;
        let answer: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        answer.map(|answer| serde_json::from_str(&answer).map_err(StoreError::json)).transpose()
    }

    /// Calls that have ended before `before` and of which that is not told yet: oldest first, of all tenants.
    pub async fn untold_calls(&self, before: Timestamp, limit: usize) -> Result<Vec<(TenantId, CallId)>, StoreError> {
        let text = "SELECT tenant_id, id FROM calls WHERE told = false AND ended_us IS NOT NULL AND ended_us < ?
            ORDER BY ended_us LIMIT ?";
        let rows = sql::query(&self.read, text, vec![before.unix_us().into(), (limit as i64).into()]).await?;
        rows.iter()
            .map(|row| Ok((TenantId::new(row.try_get_by_index(0)?), CallId::new(row.try_get_by_index(1)?))))
            .collect()
    }

    /// What was said in a call.
    pub async fn transcript(&self, tenant: TenantId, call: CallId) -> Result<Vec<Line>, StoreError> {
        let text = "SELECT heard, answer FROM call_turns WHERE call_id = ? AND tenant_id = ? ORDER BY n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        lines(
            rows.iter()
                .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
                .collect::<Result<_, StoreError>>()?,
        )
    }

    /// A live conversation begins in this turn of a call that is under way; `None` where one has already, or the call is
    /// over: a stream's token is good once.
    pub async fn begin_stream(&self, call: CallId, n: i32) -> Result<Option<(TenantId, CallFacts)>, StoreError> {
        let txn = writer::begin(&self.write).await?;
        let set = "UPDATE calls SET streamed = ? WHERE id = ? AND streamed < ? AND turns = ? AND ended_us IS NULL";
        let values = vec![n.into(), call.uuid().into(), n.into(), n.into()];
        if sql::execute(&txn, set, values).await? == 0 {
            return Ok(None);
        }
        let text = format!("{KNOWN} WHERE id = ?");
        let row = sql::query_one(&txn, &text, vec![call.uuid().into()]).await?;
        txn.commit().await?;
        let known = row.map(|row| read(&Row::Sea(&row))).transpose()?;
        Ok(known.map(|known| (known.tenant, known.facts)))
    }

    /// What was said in a live conversation.
    pub async fn add_lines(&self, tenant: TenantId, call: CallId, lines: &[Line]) -> Result<(), StoreError> {
        let txn = writer::begin(&self.write).await?;
        let text = format!("{KNOWN} WHERE id = ? AND tenant_id = ?");
        let Some(row) = sql::query_one(&txn, &text, vec![call.uuid().into(), tenant.uuid().into()]).await? else {
            return Ok(());
        };
        let first = read(&Row::Sea(&row))?.turns + 1;
        let now = self.clock().now().unix_us();
        let insert = "INSERT INTO call_turns (call_id, n, tenant_id, key_text, event_id, at_us, heard, answer, how)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'stream')";
        for (n, line) in (first..).zip(lines) {
            let (heard, said) = if line.who == "caller" { (line.text.as_str(), "") } else { ("", line.text.as_str()) };
            let steps: Vec<Step> = if said.is_empty() { Vec::new() } else { vec![Step::say(said)] };
            let values = vec![
                call.uuid().into(),
                n.into(),
                tenant.uuid().into(),
                format!("stream:{n}").into(),
                Uuid::nil().into(),
                now.into(),
                heard.into(),
                serde_json::to_string(&steps).map_err(StoreError::json)?.into(),
            ];
            sql::execute(&txn, insert, values).await?;
        }
        let last = first + lines.len() as i32 - 1;
        let heard = lines.iter().any(|line| line.who == "caller");
        let set = "UPDATE calls SET turns = ?, streamed = ?, heard = (heard OR ?) WHERE id = ? AND tenant_id = ?";
        let values = vec![last.into(), last.into(), heard.into(), call.uuid().into(), tenant.uuid().into()];
        sql::execute(&txn, set, values).await?;
        Ok(txn.commit().await?)
    }

    /// Tells that a call has ended, with its summary; `false` where that was told already.
    pub async fn tell_call(
        &self,
        tenant: TenantId,
        call: CallId,
        transcript: Vec<Line>,
        result: CallResult,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let txn = writer::begin(&self.write).await?;
        let text = format!("{KNOWN} WHERE id = ? AND tenant_id = ?");
        let rows = sql::query(&txn, &text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let known = read(&Row::Sea(row))?;
        let values = vec![
            serde_json::to_string(&result).map_err(StoreError::json)?.into(),
            call.uuid().into(),
            tenant.uuid().into(),
        ];
        let set = "UPDATE calls SET told = true, result = ? WHERE id = ? AND tenant_id = ? AND told = false";
        if sql::execute(&txn, set, values).await? == 0 {
            return Ok(false);
        }
        let data = CallData {
            status: known.facts.status.to_string(),
            duration_s: known.facts.duration_s,
            answered_by: known.facts.answered_by.clone(),
            transcript,
            sentiment: result.sentiment,
            summary: result.summary,
            ..CallData::default()
        };
        let event = event_of(&self.means, &known, EventKind::CALL_COMPLETED, None, data, at)?;
        events::insert(&txn, [(&event, None)]).await?;
        txn.commit().await?;
        Ok(true)
    }

    /// A tenant's calls, the newest first, at most `limit`.
    pub async fn list_calls(&self, tenant: TenantId, limit: usize) -> Result<Vec<ListedCall>, StoreError> {
        let text = format!("{LISTED} WHERE tenant_id = ? ORDER BY started_us DESC LIMIT ?");
        let rows = sql::query(&self.read, &text, vec![tenant.uuid().into(), (limit as i64).into()]).await?;
        rows.iter().map(|row| listed(&Row::Sea(row))).collect()
    }

    /// One of them, by the provider's id or ours.
    pub async fn listed_call(&self, tenant: TenantId, wanted: &str) -> Result<Option<ListedCall>, StoreError> {
        let id: Option<CallId> = wanted.parse().ok();
        let text = format!("{LISTED} WHERE tenant_id = ? AND (provider_sid = ? OR id = ?)");
        let id = id.map(CallId::uuid).unwrap_or_default();
        let row = sql::query_one(&self.read, &text, vec![tenant.uuid().into(), wanted.into(), id.into()]).await?;
        row.map(|row| listed(&Row::Sea(&row))).transpose()
    }

    /// What was heard and said in a call, and who found the answers.
    pub async fn call_turns(&self, tenant: TenantId, call: CallId) -> Result<Vec<ListedTurn>, StoreError> {
        let text = "SELECT n, event_id, at_us, heard, answer, how, took_ms FROM call_turns
            WHERE call_id = ? AND tenant_id = ? ORDER BY n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let turn = |row: &sea_orm::QueryResult| {
            let answer: Option<String> = row.try_get_by_index(4)?;
            Ok(ListedTurn {
                n: row.try_get_by_index(0)?,
                event: EventId::new(row.try_get_by_index(1)?),
                at: Timestamp::from_unix_us(row.try_get_by_index(2)?),
                heard: row.try_get_by_index(3)?,
                answer: answer.map(|answer| serde_json::from_str(&answer)).transpose().map_err(StoreError::json)?,
                how: row.try_get_by_index(5)?,
                took_ms: row.try_get_by_index(6)?,
            })
        };
        rows.iter().map(turn).collect()
    }
}

fn listed(row: &Row) -> Result<ListedCall, StoreError> {
    let (peer, number): (String, String) = (row.get(3)?, row.get(4)?);
    let direction = CallDirection::from_stored(&row.get::<String>(2)?);
    let (from, to) = if direction == CallDirection::In { (peer, number) } else { (number, peer) };
    let status: String = row.get(5)?;
    let result: Option<String> = row.get(11)?;
    Ok(ListedCall {
        id: CallId::new(row.get(0)?),
        sid: row.get(1)?,
        direction,
        from,
        to,
        status: CallStatus::parse(&status).ok_or_else(|| StoreError::Stored(format!("a call is '{status}'")))?,
        answered_by: row.get(6)?,
        duration_s: row.get::<Option<i32>>(7)?.and_then(|seconds| u32::try_from(seconds).ok()),
        recording_url: row.get(8)?,
        error_code: row.get(9)?,
        detail: row.get(10)?,
        result: result
            .map_or(Ok(CallResult::default()), |result| serde_json::from_str(&result))
            .map_err(StoreError::json)?,
        started_at: Timestamp::from_unix_us(row.get(12)?),
        ended_at: row.get::<Option<i64>>(13)?.map(Timestamp::from_unix_us),
    })
}
