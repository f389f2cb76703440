//! Events that tell how a call goes on.

use super::{CallRow, data_of};
use crate::domain::event::CallData;
use crate::domain::{CallDirection, CallStatus, Channel, Event, EventKind, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::events;

/// Why a call has been missed in which nothing was said, where that counts.
pub(in crate::store) fn silence(known: &CallRow, counts: bool) -> Option<String> {
    let silent = counts && !known.heard && known.facts.direction == CallDirection::In;
    silent.then(|| "hung up before a word or a key".to_owned())
}

/// Whether somebody has just answered a call of ours.
pub(in crate::store) fn is_answered(known: &CallRow, before: CallStatus) -> bool {
    let (rank, answered) = (CallStatus::InProgress.rank(), known.facts.status == CallStatus::InProgress);
    known.facts.direction == CallDirection::Out && before.rank() < rank && answered
}

pub(in crate::store) async fn tell_answered(
    txn: &impl Txn,
    context: &WriterContext,
    known: &CallRow,
    at: Timestamp,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let (status, answered_by) = (known.facts.status.to_string(), known.facts.answered_by.clone());
    let data = CallData { status, answered_by, ..CallData::default() };
    let event = event_of(context, known, EventKind::CALL_ANSWERED, None, data, at)?;
    events::insert(txn, [(&event, None)]).await?;
    committed.events.push(event);
    Ok(())
}

pub(in crate::store) fn event_of(
    context: &WriterContext,
    known: &CallRow,
    kind: EventKind,
    key: Option<&str>,
    data: CallData,
    at: Timestamp,
) -> Result<Event, StoreError> {
    Ok(Event {
        id: context.ids.next(),
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
