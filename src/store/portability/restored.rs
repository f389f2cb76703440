//! A database that was put back from a copy. What happened between the copy and now is not in it: sends have left since,
//! and messages were answered. So nothing that may have left before is sent again without a look at the provider's list.
//!
//! Such a send waits as `unknown`, tried at the restore, until [`crate::engine::reconcile`] has looked for it:
//!
//! - what was open in the copy;
//! - what is planned afterwards for a cause from before the restore: a message that the catch-up brings, a timer that was
//!   due, a campaign that had begun;
//! - for a while, what such events cause in turn.

use crate::domain::Timestamp;
use crate::store::context::Restored;
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::old_causes::RESTORED;
use crate::store::tables::tenants;

/// The setting that holds a [`Restored`] as JSON.
const SETTING: &str = "restored";

/// The result of [`Store::mark_restored`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkedRestored {
    pub restored: Restored,
    /// Sends that are looked for at the provider first.
    pub open: u64,
    /// Events that the copy has not decided yet.
    pub undecided: i64,
    /// Sends that wait for a person, as before.
    pub held: i64,
}

impl Store {
    /// Notes that this database was put back from a copy, and makes its open sends unknown. No server may run.
    pub async fn mark_restored(&self) -> Result<MarkedRestored, StoreError> {
        let restored_at = self.clock().now();
        let txn = begin(&self.write).await?;
        let last = "SELECT occurred_us FROM events ORDER BY id DESC LIMIT 1";
        let last: Option<i64> = first(&txn, last).await?;
        let copied_at = last.map_or(restored_at, Timestamp::from_unix_us).min(restored_at);
        let restored = Restored { copied_at, restored_at };
        let open = "UPDATE actions SET state = 'unknown', due_us = ?, reason = ?, tried_us = ?,
               first_try_us = CASE WHEN first_try_us < ? THEN first_try_us ELSE ? END
             WHERE route IS NOT NULL AND (state = 'sending' OR state = 'unknown' OR (state = 'planned' AND due_us <= ?))";
        let now = restored_at.unix_us();
        let copied = copied_at.unix_us();
        let values = vec![now.into(), RESTORED.into(), now.into(), copied.into(), copied.into(), now.into()];
        let open = sql::execute(&txn, open, values).await?;
        let undecided = first(&txn, "SELECT count(*) FROM events WHERE handled_us IS NULL").await?.unwrap_or_default();
        let held = first(&txn, "SELECT count(*) FROM actions WHERE state = 'held'").await?.unwrap_or_default();
        let value = serde_json::to_string(&restored).map_err(StoreError::json)?;
        tenants::put(&txn, SETTING, &value).await?;
        txn.commit().await?;
        Ok(MarkedRestored { restored, open, undecided, held })
    }

    /// Reads whether the database was put back from a copy. A server calls it before it decides or sends.
    pub async fn load_restored(&self) -> Result<Option<Restored>, StoreError> {
        if let Some(value) = self.setting(SETTING).await? {
            let restored = serde_json::from_str(&value).map_err(StoreError::json)?;
            // Set once, at the start.
            let _ = self.context.restored.set(restored);
        }
        Ok(self.restored())
    }

    /// When the database was put back from a copy, if it was, as [`Store::load_restored`] has read it.
    pub fn restored(&self) -> Option<Restored> {
        self.context.restored.get().copied()
    }
}

async fn first(db: &impl sea_orm::ConnectionTrait, text: &str) -> Result<Option<i64>, StoreError> {
    let row = sql::query_one(db, text, vec![]).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}
