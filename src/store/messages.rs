//! Rows of the inbox.

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{StoreError, sql};

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
pub(super) async fn insert(db: &impl ConnectionTrait, values: Vec<Value>) -> Result<(), StoreError> {
    sql::rows(db, INSERT, COLUMNS, values).await?;
    Ok(())
}

/// New rows, or the same again with a status that may have moved forward.
pub(super) async fn merge(db: &impl ConnectionTrait, values: Vec<Value>) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    sql::rows(db, &format!("{INSERT}{MERGE}"), COLUMNS, values).await?;
    Ok(())
}

/// Status and error of messages by id, within a tenant's rows.
pub(super) async fn statuses(db: &impl ConnectionTrait, ids: Vec<Value>) -> Result<Vec<QueryResult>, StoreError> {
    Ok(sql::query_in(db, "SELECT id, tenant_id, status, status_rank FROM messages WHERE id IN ({list})", &[], ids)
        .await?)
}
