//! Purchases of numbers. A number that was given back was paid all the same.

use std::time::Duration;

use crate::domain::{Phone, TenantId};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// A purchase counts in the budget of numbers for this time: a number is paid by the month.
pub const PURCHASES_COUNT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

impl Store {
    /// Notes that a tenant buys a number, before it is bought, and forgets purchases that count no more.
    pub async fn add_purchase(&self, tenant: TenantId, number: &Phone) -> Result<(), StoreError> {
        let now = self.clock().now();
        let txn = begin(&self.write).await?;
        let old = "DELETE FROM number_purchases WHERE tenant_id = ? AND at_us <= ?";
        let before = now.minus(PURCHASES_COUNT_FOR).unix_us();
        sql::execute(&txn, old, vec![tenant.uuid().into(), before.into()]).await?;
        let add = "INSERT INTO number_purchases (tenant_id, at_us, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let values = vec![tenant.uuid().into(), now.unix_us().into(), number.as_str().into()];
        sql::execute(&txn, add, values).await?;
        Ok(txn.commit().await?)
    }

    /// Takes back the last note of a purchase that was refused.
    pub async fn remove_purchase(&self, tenant: TenantId, number: &Phone) -> Result<(), StoreError> {
        let text = "DELETE FROM number_purchases WHERE tenant_id = ? AND number = ? AND at_us =
            (SELECT max(at_us) FROM number_purchases WHERE tenant_id = ? AND number = ?)";
        let (tenant, number) = (tenant.uuid(), number.as_str());
        sql::execute(&self.write, text, vec![tenant.into(), number.into(), tenant.into(), number.into()]).await?;
        Ok(())
    }

    /// Lists the numbers that a tenant has bought within [`PURCHASES_COUNT_FOR`], one entry for each purchase.
    pub async fn purchases(&self, tenant: TenantId) -> Result<Vec<String>, StoreError> {
        let since = self.clock().now().minus(PURCHASES_COUNT_FOR).unix_us();
        let text = "SELECT number FROM number_purchases WHERE tenant_id = ? AND at_us > ?";
        let rows = sql::query(&self.read, text, vec![tenant.uuid().into(), since.into()]).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }
}
