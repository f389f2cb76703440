//! The events of a call.

use super::{CallRow, data_of};
use crate::domain::event::CallData;
use crate::domain::{CallDirection, CallStatus, Channel, Event, EventKind, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::events;

/// Gives the reason why a silent inbound call counts as missed; `None` where `counts` is false or something was said.
pub(in crate::store) fn missed_by_silence(known: &CallRow, counts: bool) -> Option<String> {
    let silent = counts && !known.heard && known.facts.direction == CallDirection::In;
    silent.then(|| "hung up before a word or a key".to_owned())
}

/// Whether an outbound call has been answered since its status was `before`.
pub(in crate::store) fn is_answered(known: &CallRow, before: CallStatus) -> bool {
    let (rank, answered) = (CallStatus::InProgress.rank(), known.facts.status == CallStatus::InProgress);
    known.facts.direction == CallDirection::Out && before.rank() < rank && answered
}

/// Stores the event that an outbound call was answered.
pub(in crate::store) async fn insert_answered(
    txn: &impl Txn,
    context: &WriterContext,
    known: &CallRow,
    at: Timestamp,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let (status, answered_by) = (known.facts.status.to_string(), known.facts.answered_by.clone());
    let data = CallData { status, answered_by, ..CallData::default() };
    let event = new_event(context, known, EventKind::CALL_ANSWERED, None, data, at)?;
    events::insert(txn, [(&event, None)]).await?;
    committed.events.push(event);
    Ok(())
}

/// Makes an event of a call. Its dedupe key is the kind, the provider's id of the call and `key`.
pub(in crate::store) fn new_event(
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
