//! Refused webhooks, counted by tenant, route, kind and hour, so that the rows stay few.

use uuid::Uuid;

use crate::domain::{RefusalKind, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

const HOUR_US: i64 = 3_600_000_000;
/// The hours after which a count is deleted.
const KEPT_HOURS: i64 = 24 * 14;

/// Refusals of one kind within one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `None` if the URL or number names no tenant.
    pub tenant: Option<TenantId>,
    /// `sms`, `whatsapp`, `status`.
    pub route: &'static str,
    pub kind: RefusalKind,
    pub count: u64,
    /// The time of the last refusal. It belongs to that hour.
    pub at: Timestamp,
    /// The log's text of the last refusal. The caller has written a part of it.
    pub detail: String,
}

/// Refusals of one kind over some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSum {
    pub tenant: Option<TenantId>,
    pub route: String,
    pub kind: RefusalKind,
    pub count: u64,
    pub last: Timestamp,
    /// The log's text of the last refusal.
    pub detail: String,
}

impl Store {
    /// Adds to the counts in one transaction, and deletes old counts.
    pub async fn add_refusals(&self, refused: &[Refused]) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        for one in refused {
            let values = vec![
                key(one.tenant).into(),
                hour(one.at).into(),
                one.route.into(),
                one.kind.as_str().into(),
                i64::try_from(one.count).unwrap_or(i64::MAX).into(),
                one.at.unix_us().into(),
                one.detail.as_str().into(),
            ];
            sql::execute(
                &txn,
                "INSERT INTO refusals (tenant_id, hour_us, route, kind, count, last_us, detail) VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (tenant_id, hour_us, route, kind) DO UPDATE SET
                   count = refusals.count + excluded.count, last_us = excluded.last_us, detail = excluded.detail",
                values,
            )
            .await?;
        }
        let oldest = hour(self.context.clock.now()) - KEPT_HOURS * HOUR_US;
        sql::execute(&txn, "DELETE FROM refusals WHERE hour_us < ?", vec![oldest.into()]).await?;
        Ok(txn.commit().await?)
    }

    /// Sums the refusals since then, of one tenant or of no known tenant, the most recent first.
    pub async fn refusals_since(
        &self,
        tenant: Option<TenantId>,
        since: Timestamp,
    ) -> Result<Vec<RefusedSum>, StoreError> {
        let rows = sql::query(
            &self.read,
            "SELECT route, kind, count, last_us, detail FROM refusals WHERE tenant_id = ? AND hour_us >= ?
             ORDER BY hour_us DESC",
            vec![key(tenant).into(), hour(since).into()],
        )
        .await?;
        let mut sums: Vec<RefusedSum> = Vec::new();
        for row in rows {
            let (route, kind): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (count, last): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let kind: RefusalKind = kind.parse().map_err(StoreError::stored)?;
            let count = u64::try_from(count).unwrap_or_default();
            match sums.iter_mut().find(|sum| sum.route == route && sum.kind == kind) {
                Some(sum) => sum.count += count,
                None => sums.push(RefusedSum {
                    tenant,
                    route,
                    kind,
                    count,
                    last: Timestamp::from_unix_us(last),
                    detail: row.try_get_by_index(4)?,
                }),
            }
        }
        Ok(sums)
    }
}

/// A tenant's id is never nil.
fn key(tenant: Option<TenantId>) -> Uuid {
    tenant.map_or(Uuid::nil(), TenantId::uuid)
}

const fn hour(at: Timestamp) -> i64 {
    at.unix_us().div_euclid(HOUR_US) * HOUR_US
}
