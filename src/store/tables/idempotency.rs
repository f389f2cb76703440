//! Idempotency keys: a repeated request gets the same answer and does nothing.
//!
//! A request holds its key, together with an id for the row that it makes. If the process dies, a repeat takes the key
//! over after [`HELD_FOR`] and works with the same id: a row that was made already meets its primary key.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::id::{Id, noun};
use crate::domain::{TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::store::writer::{Request, Step};

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

/// The beginning of a request with a key.
struct BeginKey {
    tenant: TenantId,
    key: String,
    request_hash: String,
}

/// The end of a request with a key, with its answer if it has one.
struct EndKey {
    tenant: TenantId,
    key: String,
    answer: Option<(u16, String)>,
}

impl Store {
    /// Takes a key for a request; `request` is the hash of the request.
    pub async fn begin_idempotent(&self, tenant: TenantId, key: &str, request: &str) -> Result<Begun, StoreError> {
        self.writer().ask(BeginKey { tenant, key: key.to_owned(), request_hash: request.to_owned() }).await
    }

    /// Stores the answer of a request. Without an answer, it releases the key, and a repeat works with the same id.
    pub async fn end_idempotent(
        &self,
        tenant: TenantId,
        key: &str,
        answer: Option<(u16, &str)>,
    ) -> Result<(), StoreError> {
        let answer = answer.map(|(status, body)| (status, body.to_owned()));
        self.writer().ask(EndKey { tenant, key: key.to_owned(), answer }).await
    }
}

impl Request for BeginKey {
    type Reply = Begun;

    const STEP: Step = Step::BeginKey;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        _committed: &mut Committed,
    ) -> Result<Vec<Begun>, StoreError> {
        let oldest = context.clock.now().minus(IDEMPOTENCY_KEPT).unix_us();
        let drop = "DELETE FROM idempotency_keys WHERE at_us < ? AND (tenant_id, key_text) IN
          (SELECT tenant_id, key_text FROM idempotency_keys WHERE at_us < ? ORDER BY at_us LIMIT ?)";
        txn.execute(drop, vec![oldest.into(), oldest.into(), (DROPPED_ROWS * requests.len() as i64).into()]).await?;
        let mut begun = Vec::with_capacity(requests.len());
        for request in requests {
            begun.push(begin_key(txn, context, request, oldest).await?);
        }
        Ok(begun)
    }
}

async fn begin_key(
    txn: &impl Txn,
    context: &WriterContext,
    begin: &BeginKey,
    oldest: i64,
) -> Result<Begun, StoreError> {
    let now = context.clock.now();
    let made: Id<noun::Event> = context.ids.next();
    let of_key = || vec![begin.tenant.uuid().into(), begin.key.as_str().into()];
    let expired = "DELETE FROM idempotency_keys WHERE tenant_id = ? AND key_text = ? AND at_us < ?";
    txn.execute(expired, [of_key(), vec![oldest.into()]].concat()).await?;
    let insert = "INSERT INTO idempotency_keys (tenant_id, key_text, request_hash, made_id, held_until_us, at_us)
      VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let held_until = now.plus(HELD_FOR).unix_us();
    let hash = begin.request_hash.as_str();
    let row = [of_key(), vec![hash.into(), made.uuid().into(), held_until.into(), now.unix_us().into()]];
    if txn.execute(insert, row.concat()).await? > 0 {
        return Ok(Begun::Work { id: made.uuid() });
    }
    // The insert has waited for another holder of the key, so that the row is committed.
    let known = "SELECT request_hash, made_id, held_until_us, status, body FROM idempotency_keys
      WHERE tenant_id = ? AND key_text = ?";
    let found = txn.query(known, of_key(), Held::read).await?.into_iter().next().ok_or(StoreError::Busy)?;
    match found.status {
        _ if found.request_hash != hash => Ok(Begun::Other),
        Some(status) => {
            Ok(Begun::Done { status: u16::try_from(status).unwrap_or(500), body: found.body.unwrap_or_default() })
        }
        None if Timestamp::from_unix_us(found.held_until_us) > now => Ok(Begun::UnderWay),
        None => {
            let take = "UPDATE idempotency_keys SET held_until_us = ?
              WHERE tenant_id = ? AND key_text = ? AND held_until_us = ?";
            let values = [vec![held_until.into()], of_key(), vec![found.held_until_us.into()]].concat();
            match txn.execute(take, values).await? {
                0 => Ok(Begun::UnderWay),
                _ => Ok(Begun::Work { id: found.made_id }),
            }
        }
    }
}

/// The row of a key.
struct Held {
    request_hash: String,
    made_id: Uuid,
    held_until_us: i64,
    status: Option<i16>,
    body: Option<String>,
}

impl Held {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            request_hash: row.get(0)?,
            made_id: row.get(1)?,
            held_until_us: row.get(2)?,
            status: row.get(3)?,
            body: row.get(4)?,
        })
    }
}

impl Request for EndKey {
    type Reply = ();

    const STEP: Step = Step::EndKey;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        _context: &WriterContext,
        _committed: &mut Committed,
    ) -> Result<Vec<()>, StoreError> {
        for end in requests {
            let of_key = vec![end.tenant.uuid().into(), end.key.as_str().into()];
            match &end.answer {
                Some((status, body)) => {
                    let text = "UPDATE idempotency_keys SET status = ?, body = ? WHERE tenant_id = ? AND key_text = ?";
                    let status = i16::try_from(*status).unwrap_or(500);
                    txn.execute(text, [vec![status.into(), body.as_str().into()], of_key].concat()).await?;
                }
                None => {
                    let text = "UPDATE idempotency_keys SET held_until_us = 0 WHERE tenant_id = ? AND key_text = ?";
                    txn.execute(text, of_key).await?;
                }
            }
        }
        Ok(vec![(); requests.len()])
    }
}
