//! Sends of unknown outcome, and attempts whose process has died.

use std::sync::Arc;

use sea_orm::ConnectionTrait;

use super::actions::{QueuedSend, SEND_COLUMNS, SEND_WIDTH};
use crate::domain::{Route, Timestamp, abort};
use crate::store::db::sql;
use crate::store::db::sql::{Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;

impl Store {
    /// Lists sends of all tenants and one route that are of unknown outcome and due to be reconciled.
    pub async fn unknowns(&self, route: &Route, limit: usize) -> Result<Vec<Unknown>, StoreError> {
        unknowns(&self.read, route, self.context.clock.now(), limit).await
    }

    /// Marks attempts unknown that were begun before `began_before` and whose process has died. They are due at
    /// `look_at`.
    pub async fn orphans_to_unknown(&self, began_before: Timestamp, look_at: Timestamp) -> Result<u64, StoreError> {
        if !has_orphans(&self.read, began_before).await? {
            return Ok(0);
        }
        let txn = begin(&self.write).await?;
        let count = orphans_to_unknown(&txn, began_before, look_at).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(count)
    }
}

/// Whether there are orphaned attempts. It runs every second, so it needs no write lock.
pub(in crate::store) async fn has_orphans(
    db: &impl ConnectionTrait,
    began_before: Timestamp,
) -> Result<bool, StoreError> {
    let text = "SELECT 1 FROM actions WHERE state = 'sending' AND tried_us < ? LIMIT 1";
    Ok(sql::query_one(db, text, vec![began_before.unix_us().into()]).await?.is_some())
}

/// Marks attempts unknown whose process has died.
///
/// Attempts since `began_before` stay, because a living process may be sending them.
pub(in crate::store) async fn orphans_to_unknown(
    txn: &impl Txn,
    began_before: Timestamp,
    look_at: Timestamp,
) -> Result<u64, StoreError> {
    txn.execute(
        "UPDATE actions SET state = 'unknown', due_us = ?, reason = ? WHERE state = 'sending' AND tried_us < ?",
        vec![
            look_at.unix_us().into(),
            "the process ended while this was being sent; the provider may have taken it".into(),
            began_before.unix_us().into(),
        ],
    )
    .await
}

/// A send of unknown outcome.
#[derive(Clone, Debug)]
pub struct Unknown {
    pub send: Arc<QueuedSend>,
    /// The account of the send, whose list is searched.
    pub account_sid: String,
}

/// Lists sends of one route that are of unknown outcome and due to be reconciled.
pub(in crate::store) async fn unknowns(
    db: &impl ConnectionTrait,
    route: &Route,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Unknown>, StoreError> {
    let text = format!(
        "SELECT {SEND_COLUMNS}, coalesce(a.account_sid, '') FROM actions a
         WHERE a.state = 'unknown' AND a.route = ? AND a.due_us <= ? ORDER BY a.due_us LIMIT ?"
    );
    let values = vec![route.to_string().into(), now.unix_us().into(), (limit as i64).into()];
    let read = |row: &Row| Ok(Unknown { send: Arc::new(QueuedSend::read(row)?), account_sid: row.get(SEND_WIDTH)? });
    sql::query(db, &text, values).await?.iter().map(|row| read(&Row::Sea(row))).collect()
}
