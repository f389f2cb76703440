//! The callbacks of a call's leg.

use uuid::Uuid;

use crate::domain::CallId;
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::requests::call_report::Reported;
use crate::store::tables::calls::LegReport;
use crate::store::tables::calls::legs;

impl Store {
    /// Applies a provider's report of a leg.
    pub async fn report_leg(&self, report: &LegReport) -> Result<Reported, StoreError> {
        let txn = begin(&self.write).await?;
        let text = "SELECT id FROM calls WHERE provider_sid = ? AND tenant_id = ?";
        let values = vec![report.call.clone().into(), report.tenant.uuid().into()];
        let Some(row) = sql::query_one(&txn, text, values).await? else { return Ok(Reported::Stale) };
        let call: Uuid = row.try_get_by_index(0)?;
        let turn = report.turn.unwrap_or(i32::MAX);
        let known = legs::record(&txn, report.tenant, CallId::new(call), turn, &report.leg).await?;
        txn.commit().await?;
        Ok(if known { Reported::Advanced } else { Reported::Stale })
    }
}
