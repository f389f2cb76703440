//! The sends of tenants that have a budget, counted by the hour.

use std::collections::BTreeMap;

use crate::domain::send_limits::{DAY_HOURS, hour_of};
use crate::domain::{TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// The sends of a tenant at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// Within this hour of the clock.
    pub this_hour: i64,
    /// Within this hour and the 23 before it.
    pub today: i64,
}

impl SendCounts {
    /// Sums the sends by hour at an instant.
    pub fn of(by_hour: &BTreeMap<i64, i64>, at: Timestamp) -> Self {
        let hour = hour_of(at);
        Self {
            this_hour: by_hour.get(&hour).copied().unwrap_or_default(),
            today: by_hour.range(hour - DAY_HOURS + 1..=hour).map(|(_, sends)| sends).sum(),
        }
    }

    pub(in crate::store) const fn add_one(&mut self) {
        self.this_hour += 1;
        self.today += 1;
    }
}

const BY_HOUR: &str = "SELECT hour, sends FROM send_counts WHERE tenant_id = ? AND hour > ?";

/// Reads the counts of a tenant.
pub(in crate::store) async fn counted(
    txn: &impl Txn,
    tenant: TenantId,
    now: Timestamp,
) -> Result<SendCounts, StoreError> {
    let read = |row: &Row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?));
    let values = vec![tenant.uuid().into(), (hour_of(now) - DAY_HOURS).into()];
    let by_hour = txn.query(BY_HOUR, values, read).await?.into_iter().collect();
    Ok(SendCounts::of(&by_hour, now))
}

/// Counts sends, and forgets hours that count no more.
pub(in crate::store) async fn add(
    txn: &impl Txn,
    tenant: TenantId,
    now: Timestamp,
    sends: i64,
) -> Result<(), StoreError> {
    if sends == 0 {
        return Ok(());
    }
    let hour = hour_of(now);
    let count = "INSERT INTO send_counts (tenant_id, hour, sends) VALUES (?, ?, ?)
        ON CONFLICT (tenant_id, hour) DO UPDATE SET sends = send_counts.sends + excluded.sends";
    txn.execute(count, vec![tenant.uuid().into(), hour.into(), sends.into()]).await?;
    let old = "DELETE FROM send_counts WHERE tenant_id = ? AND hour <= ?";
    txn.execute(old, vec![tenant.uuid().into(), (hour - DAY_HOURS).into()]).await?;
    Ok(())
}

impl Store {
    /// Reads the sends of a tenant within a day, by the hour since 1970.
    pub async fn sends_by_hour(&self, tenant: TenantId) -> Result<BTreeMap<i64, i64>, StoreError> {
        let values = vec![tenant.uuid().into(), (hour_of(self.clock().now()) - DAY_HOURS).into()];
        let rows = sql::query(&self.read, BY_HOUR, values).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }
}
