//! Fallbacks: a message with a fallback that was not delivered makes an event, once.
//!
//! The transaction that ends the message stores the event, so that none is lost.

use crate::domain::event::FallbackData;
use crate::domain::{Action, Event, EventId, EventKind, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::QueuedSend;
use crate::store::tables::events;

/// Stores the events of those messages that have a fallback; each message comes with the reason of its failure. Gives the
/// number of events.
pub(in crate::store) async fn insert_events<'a>(
    txn: &impl Txn,
    context: &WriterContext,
    ended: impl IntoIterator<Item = (&'a QueuedSend, String)>,
    committed: &mut Committed,
) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let mut new_events = Vec::new();
    for (send, reason) in ended {
        new_events.extend(wanted(send, reason, context.ids.next(), now)?);
    }
    if !new_events.is_empty() {
        events::insert(txn, new_events.iter().map(|event| (event, None))).await?;
    }
    let count = new_events.len();
    committed.events.extend(new_events);
    Ok(count)
}

/// Makes the event of a message that failed at `now`; `None` where the message has no fallback.
pub fn wanted(send: &QueuedSend, reason: String, id: EventId, now: Timestamp) -> Result<Option<Event>, StoreError> {
    let Some(contact) = send.contact else { return Ok(None) };
    // An action that this version cannot read must not stop the others of its transaction.
    let Ok(Action::Send(message)) = send.planned() else { return Ok(None) };
    let Some(text) = message.fallback.clone() else { return Ok(None) };
    let id_text = send.id.to_string();
    let dedupe_key = Some(format!("fallback:{id_text}"));
    let data = FallbackData { message: id_text, text, reason, expires_at: send.expires_at };
    Ok(Some(Event {
        id,
        tenant: send.tenant,
        kind: EventKind::FALLBACK_WANTED,
        channel: Some(message.channel),
        contact: Some(contact),
        occurred_at: now,
        dedupe_key,
        depth: 0,
        data: serde_json::to_value(data).map_err(StoreError::json)?,
    }))
}
