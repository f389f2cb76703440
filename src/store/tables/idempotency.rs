//! Idempotency keys: a repeated request gets the same answer and does nothing.
//!
//! A request holds its key, together with an id for the row that it makes. If the process dies, a repeat takes the key
//! over after [`HELD_FOR`] and works with the same id: a row that was made already meets its primary key.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::id::{Id, noun};
use crate::domain::{TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// The time after which a repeat is a new request.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// The longest time of a request.
const HELD_FOR: Duration = Duration::from_secs(30);
/// Old keys that one request deletes, a little more than come in.
const DROPPED_ROWS: i64 = 10;

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The key is free. The row of the request gets this id.
    Work { id: Uuid },
    /// The request is done, with this answer.
    Done { status: u16, body: String },
    /// Another request with the key is in progress.
    UnderWay,
    /// The key belongs to a different request.
    Other,
}

impl Store {
    /// Takes a key for a request; `request` is the hash of the request.
    pub async fn begin_idempotent(&self, tenant: TenantId, key: &str, request: &str) -> Result<Begun, StoreError> {
        let now = self.clock().now();
        let made: Id<noun::Event> = self.ids().next();
        let txn = begin(&self.write).await?;
        let oldest = now.minus(IDEMPOTENCY_KEPT).unix_us();
        let drop = "DELETE FROM idempotency_keys WHERE at_us < ? AND (tenant_id, key_text) IN
          (SELECT tenant_id, key_text FROM idempotency_keys WHERE at_us < ? ORDER BY at_us LIMIT ?)";
        sql::execute(&txn, drop, vec![oldest.into(), oldest.into(), DROPPED_ROWS.into()]).await?;
        let of_key = || vec![tenant.uuid().into(), key.into()];
        let expired = "DELETE FROM idempotency_keys WHERE tenant_id = ? AND key_text = ? AND at_us < ?";
        sql::execute(&txn, expired, [of_key(), vec![oldest.into()]].concat()).await?;
        let insert = "INSERT INTO idempotency_keys (tenant_id, key_text, request_hash, made_id, held_until_us, at_us)
          VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let held_until = now.plus(HELD_FOR).unix_us();
        let row = [of_key(), vec![request.into(), made.uuid().into(), held_until.into(), now.unix_us().into()]];
        let begun = if sql::execute(&txn, insert, row.concat()).await? > 0 {
            Begun::Work { id: made.uuid() }
        } else {
            // The insert has waited for another holder of the key, so that the row is committed.
            let known = "SELECT request_hash, made_id, held_until_us, status, body FROM idempotency_keys
              WHERE tenant_id = ? AND key_text = ?";
            let row = sql::query_one(&txn, known, of_key()).await?.ok_or(StoreError::Busy)?;
            let status: Option<i16> = row.try_get_by_index(3)?;
            let body: Option<String> = row.try_get_by_index(4)?;
            let held: i64 = row.try_get_by_index(2)?;
            match (row.try_get_by_index::<String>(0)? == request, status) {
                (false, _) => Begun::Other,
                (true, Some(status)) => {
                    Begun::Done { status: u16::try_from(status).unwrap_or(500), body: body.unwrap_or_default() }
                }
                (true, None) if Timestamp::from_unix_us(held) > now => Begun::UnderWay,
                (true, None) => {
                    let take = "UPDATE idempotency_keys SET held_until_us = ?
                      WHERE tenant_id = ? AND key_text = ? AND held_until_us = ?";
                    let values = [vec![held_until.into()], of_key(), vec![held.into()]].concat();
                    match sql::execute(&txn, take, values).await? {
                        0 => Begun::UnderWay,
                        _ => Begun::Work { id: row.try_get_by_index(1)? },
                    }
                }
            }
        };
        txn.commit().await?;
        Ok(begun)
    }

    /// Stores the answer of a request. Without an answer, it releases the key, and a repeat works with the same id.
    pub async fn end_idempotent(
        &self,
        tenant: TenantId,
        key: &str,
        answer: Option<(u16, &str)>,
    ) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        let of_key = || vec![tenant.uuid().into(), key.into()];
        match answer {
            Some((status, body)) => {
                let text = "UPDATE idempotency_keys SET status = ?, body = ? WHERE tenant_id = ? AND key_text = ?";
                let status = i16::try_from(status).unwrap_or(500);
                sql::execute(&txn, text, [vec![status.into(), body.into()], of_key()].concat()).await?;
            }
            None => {
                let text = "UPDATE idempotency_keys SET held_until_us = 0 WHERE tenant_id = ? AND key_text = ?";
                sql::execute(&txn, text, of_key()).await?;
            }
        }
        Ok(txn.commit().await?)
    }
}
