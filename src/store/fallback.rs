//! A message that says what goes out instead of it, and came to nothing: an event tells of it, once for each.
//!
//! It is written in the transaction that ends the message, so that none is forgotten; the sweep finds it.

use super::ledger::Candidate;
use super::sql::Txn;
use super::writer::Means;
use super::{StoreError, events};
use crate::domain::event::FallbackData;
use crate::domain::{Action, ContactId, Event, EventKind, Timestamp};

/// Tells of those of these messages that have a fallback; beside each stands why it came to nothing.
pub(super) async fn tell<'a>(
    txn: &impl Txn,
    means: &Means,
    ended: impl IntoIterator<Item = (&'a Candidate, String)>,
) -> Result<(), StoreError> {
    let now = means.clock.now();
    let mut told = Vec::new();
    for (candidate, reason) in ended {
        if candidate.contact_id.is_none() {
            continue;
        }
        let Action::Send(send) = candidate.planned()? else { continue };
        let Some(text) = send.fallback else { continue };
        let message = candidate.action().to_string();
        let dedupe_key = Some(format!("fallback:{message}"));
        let expires_at = candidate.expires_us.map(Timestamp::from_unix_us);
        let data = FallbackData { message, text, reason, expires_at };
        told.push(Event {
            id: means.ids.next(),
            tenant: candidate.tenant(),
            kind: EventKind::FALLBACK_WANTED,
            channel: Some(send.channel),
            contact: candidate.contact_id.map(ContactId::new),
            occurred_at: now,
            dedupe_key,
            depth: 0,
            data: serde_json::to_value(data).map_err(StoreError::json)?,
        });
    }
    if told.is_empty() {
        return Ok(());
    }
    events::insert(txn, told.iter().map(|event| (event, None))).await
}
