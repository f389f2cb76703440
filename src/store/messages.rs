//! Rows of the inbox.

use sea_orm::Value;
use uuid::Uuid;

use super::StoreError;
use super::sql::{Cut, Txn};

/// Columns of a message row, in the order of [`insert`]'s values.
const COLUMNS: usize = 19;

const INSERT: &str =
    "INSERT INTO messages (id, tenant_id, contact_id, channel, direction, origin, peer, peer_key, ours,
  body, extra, status, status_rank, provider_sid, error_code, segments, at_us, late, repeats) VALUES {rows}";

/// A row stays as it is where one with its id exists, but for what moves forward: the status, and what was not known.
const MERGE: &str = " ON CONFLICT (id) DO UPDATE SET
  provider_sid = coalesce(messages.provider_sid, excluded.provider_sid),
  status = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status ELSE messages.status END,
  error_code = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.error_code ELSE messages.error_code END,
  status_rank = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status_rank ELSE messages.status_rank END";

/// New rows only.
pub(super) async fn insert(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    txn.rows(INSERT, COLUMNS, Cut::Exact, values).await
}

/// New rows, or the same again with a status that may have moved forward.
pub(super) async fn merge(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    txn.rows(&format!("{INSERT}{MERGE}"), COLUMNS, Cut::Exact, values).await
}

/// Statuses of messages by id; an outbound message has its action's id, which no other tenant's has.
pub(super) async fn statuses(txn: &impl Txn, ids: Vec<Value>) -> Result<Vec<(Uuid, String)>, StoreError> {
    txn.query_in("SELECT id, status FROM messages WHERE id IN ({list})", &[], ids, |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}
