//! Reports of calls: the status only moves forward, and each event is stored once, in any order of the reports.

use crate::domain::event::{CallData, TranscriptLine};
use crate::domain::{ActionId, CallDirection, CallId, CallStatus, EventKind, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::calls::call_events::{is_answered, missed_by_silence, new_event};
use crate::store::tables::calls::{CallRow, Caller, find_or_make, lines, placed};
use crate::store::tables::events;
use crate::store::writer;
use crate::store::writer::{Request, Writer};

/// A provider's report of a call.
#[derive(Clone, Debug)]
pub struct CallReport {
    pub caller: Caller,
    pub duration_s: Option<u32>,
    pub recording: Option<Recording>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
    /// A call that ends without a word of the caller counts as missed.
    pub silence_is_missed: bool,
    /// The event of the call's end waits for a summary: see [`crate::store::Store::untold_calls`].
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
    /// The report was new. Events were stored.
    Advanced,
    /// The report was new, and the call has ended. A call ends once.
    Ended,
    Stale,
    Foreign,
}

impl Writer {
    /// Applies a provider's report of a call.
    pub async fn call(&self, report: CallReport) -> Result<Reported, StoreError> {
        self.ask(report).await
    }
}

impl Request for CallReport {
    type Reply = Reported;

    const STEP: writer::Step = writer::Step::CallReport;

    async fn execute(
        reports: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Reported>, StoreError> {
        let mut reported = Vec::with_capacity(reports.len());
        for report in reports {
            reported.push(one_report(txn, context, report, committed).await?);
        }
        Ok(reported)
    }
}

async fn one_report(
    txn: &impl Txn,
    context: &WriterContext,
    report: &CallReport,
    committed: &mut Committed,
) -> Result<Reported, StoreError> {
    let mut known = find_or_make(txn, context, &report.caller, report.at).await?;
    if known.tenant != report.caller.tenant {
        return Ok(Reported::Foreign);
    }
    let before = known.facts.status;
    let body = placed::join(txn, context, &mut known, &report.caller, report.error_code, report.at).await?;
    // No turn has opened the call yet, and perhaps none will.
    let state = body.filter(|_| known.turns == 0).map(|body| body.unopened());
    let state = state.map(|state| serde_json::to_string(&state)).transpose().map_err(StoreError::json)?;
    let after = before.advance(report.caller.status);
    let ends = after.is_final() && !known.ended;
    let recording = report.recording.as_ref().filter(|new| known.recording.as_deref() != Some(&new.sid));
    // A later callback of the same status may say more: who answered, the duration, the error.
    let duration = report.duration_s.filter(|_| known.facts.duration_s.is_none());
    let who = report.caller.answered_by.as_ref().filter(|_| known.facts.answered_by.is_none());
    let says_more = duration.is_some() || who.is_some() || report.error_code.is_some() || report.detail.is_some();
    let is_news = after != before || ends || recording.is_some();
    if !is_news && !says_more {
        return Ok(Reported::Stale);
    }
    known.facts.status = after;
    known.facts.duration_s = report.duration_s.filter(|_| ends).or(duration).or(known.facts.duration_s);
    known.facts.answered_by = match is_news {
        true => report.caller.answered_by.clone().or(known.facts.answered_by.take()),
        false => known.facts.answered_by.take().or(report.caller.answered_by.clone()),
    };
    let mut new_events = Vec::new();
    if is_answered(&known, before) {
        new_events.push((EventKind::CALL_ANSWERED, None));
    }
    if recording.is_some() {
        new_events.push((EventKind::RECORDING_READY, None));
    }
    let later = ends && after == CallStatus::Completed && report.tell_later;
    if ends {
        new_events
            .extend(ends_as(&known, after, report).filter(|(kind, _)| !(later && *kind == EventKind::CALL_COMPLETED)));
    }
    txn.execute(
        "UPDATE calls SET status = ?, answered_by = ?, duration_s = ?, action_id = ?,
           state = coalesce(?, state), recording_sid = coalesce(?, recording_sid),
           recording_url = coalesce(?, recording_url), error_code = coalesce(?, error_code),
           detail = coalesce(?, detail), ended_us = coalesce(ended_us, ?), told = (told OR ?)
         WHERE id = ? AND tenant_id = ?",
        vec![
            after.as_str().into(),
            known.facts.answered_by.clone().into(),
            known.facts.duration_s.and_then(|seconds| i32::try_from(seconds).ok()).into(),
            known.action.map(ActionId::uuid).into(),
            state.into(),
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
    for (kind, reason) in new_events {
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
        let event = new_event(context, &known, kind, key, data, report.at)?;
        events::insert(txn, [(&event, None)]).await?;
        committed.events.push(event);
    }
    Ok(match (ends, is_news) {
        (true, _) => Reported::Ended,
        (false, true) => Reported::Advanced,
        (false, false) => Reported::Stale,
    })
}

/// The events of a call that ends with this status.
fn ends_as(
    known: &CallRow,
    status: CallStatus,
    report: &CallReport,
) -> impl Iterator<Item = (EventKind, Option<String>)> + use<> {
    let because = |text: &str| Some(text.to_owned());
    let outbound = known.facts.direction == CallDirection::Out;
    let (first, second) = match status {
        CallStatus::Completed => {
            let missed = match &known.facts.state.nobody {
                Some(outcome) => because(outcome),
                // The words of a live conversation are known a moment later: see `tell_call`.
                None if known.facts.streamed != 0 => None,
                None => missed_by_silence(known, report.silence_is_missed),
            };
            let missed = missed.filter(|_| !outbound).map(|why| (EventKind::CALL_MISSED, Some(why)));
            (Some((EventKind::CALL_COMPLETED, None)), missed)
        }
        CallStatus::Failed => (Some((EventKind::CALL_FAILED, report.detail.clone())), None),
        // An outbound call that was not answered is not a missed call.
        _ if outbound => (Some((EventKind::CALL_FAILED, because(status.as_str()))), None),
        _ => (Some((EventKind::CALL_MISSED, because(status.as_str()))), None),
    };
    first.into_iter().chain(second)
}

/// Reads the transcript of a call.
async fn transcript(txn: &impl Txn, tenant: TenantId, call: CallId) -> Result<Vec<TranscriptLine>, StoreError> {
    let text = "SELECT heard, answer FROM call_turns WHERE call_id = ? AND tenant_id = ? ORDER BY n";
    let read = |row: &Row| Ok((row.get::<String>(0)?, row.get::<Option<String>>(1)?));
    let rows = txn.query(text, vec![call.uuid().into(), tenant.uuid().into()], read).await?;
    lines(rows)
}
