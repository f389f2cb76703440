//! Fallbacks: a message that has one and was not delivered makes an event, once.
//!
//! It is written in the transaction that ends the message, so that none is forgotten; the sweep finds it.

use crate::domain::event::FallbackData;
use crate::domain::{Action, Event, EventId, EventKind, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::tables::actions::QueuedSend;
use crate::store::tables::events;

/// Tells of those of these messages that have a fallback; beside each stands why it came to nothing. Gives how many events
/// there are of it.
pub(in crate::store) async fn tell<'a>(
    txn: &impl Txn,
    context: &WriterContext,
    ended: impl IntoIterator<Item = (&'a QueuedSend, String)>,
) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let mut told = Vec::new();
    for (send, reason) in ended {
        told.extend(wanted(send, reason, context.ids.next(), now)?);
    }
    if !told.is_empty() {
        events::insert(txn, told.iter().map(|event| (event, None))).await?;
    }
    Ok(told.len())
}

/// The event that tells of a message that came to nothing at `now`; `None` where nothing goes out instead of it.
pub fn wanted(send: &QueuedSend, reason: String, id: EventId, now: Timestamp) -> Result<Option<Event>, StoreError> {
    let Some(contact) = send.contact else { return Ok(None) };
    let Action::Send(message) = send.planned()? else { return Ok(None) };
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
