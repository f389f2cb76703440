//! Sends of unknown outcome, and attempts whose process has died.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::actions::{QueuedSend, SEND_COLUMNS, SEND_WIDTH};
use crate::domain::{ActionId, Route, Timestamp, abort};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// More orphans than this are marked in later rounds. The sends in flight of one process are fewer.
const ORPHANS_MAX: usize = 4_096;

impl Store {
    /// Lists sends of all tenants and one route that are of unknown outcome and due to be reconciled.
    pub async fn unknowns(&self, route: &Route, limit: usize) -> Result<Vec<Unknown>, StoreError> {
        unknowns(&self.read, route, self.context.clock.now(), limit).await
    }

    /// Marks attempts unknown that were begun before `began_before` and whose process has died. They are due at
    /// `look_at`. Those `in_flight` are this process's own: their outcomes are still to come.
    pub async fn orphans_to_unknown(
        &self,
        began_before: Timestamp,
        look_at: Timestamp,
        in_flight: &HashSet<ActionId>,
    ) -> Result<usize, StoreError> {
        let mut orphans = orphans(&self.read, began_before).await?;
        orphans.retain(|(action, _)| !in_flight.contains(&ActionId::new(*action)));
        if orphans.is_empty() {
            return Ok(0);
        }
        let txn = begin(&self.write).await?;
        let count = to_unknown(&txn, &orphans, look_at).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(count)
    }
}

/// Lists attempts that were begun before `began_before` and have no outcome: the action and the attempt's number. It runs
/// every second, so it takes no write lock.
async fn orphans(db: &impl ConnectionTrait, began_before: Timestamp) -> Result<Vec<(Uuid, i32)>, StoreError> {
    let text = "SELECT id, tries FROM actions WHERE state = 'sending' AND tried_us < ? ORDER BY tried_us LIMIT ?";
    let values = vec![began_before.unix_us().into(), (ORPHANS_MAX as i64).into()];
    let rows = sql::query(db, text, values).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// Marks attempts unknown whose process has died, unless they have ended or were followed by others meanwhile.
async fn to_unknown(txn: &impl Txn, orphans: &[(Uuid, i32)], look_at: Timestamp) -> Result<usize, StoreError> {
    let values: Vec<Value> =
        orphans.iter().flat_map(|(id, n)| [(*id).into(), (*n).into(), look_at.unix_us().into()]).collect();
    let text = "UPDATE actions SET state = 'unknown', due_us = v.column3,
           reason = 'the process ended while this was being sent; the provider may have taken it'
         FROM (VALUES {rows}) AS v
         WHERE actions.id = v.column1 AND actions.tries = v.column2 AND actions.state = 'sending' RETURNING actions.id";
    let marked: Vec<Uuid> = txn.changed(text, 3, 0, Cut::Padded, values).await?;
    Ok(marked.len())
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
