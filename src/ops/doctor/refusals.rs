//! Reports webhooks that were refused lately, with their likely causes.

use std::time::Duration;

use super::{Check, Doctor, Finding, Scope};
use crate::domain::TenantId;
use crate::store::{RefusedSum, StoreError};

/// Older refusals are not shown: their cause may be gone.
pub const REFUSALS_SHOWN_FOR: Duration = Duration::from_secs(24 * 3600);

impl Doctor<'_> {
    pub(super) async fn refusals(&self, scope: &Scope) -> Vec<Finding> {
        let mut findings = Vec::new();
        for tenant in self.tenants(scope) {
            let of_tenant = self.refused(Some(tenant.id)).await;
            findings.extend(of_tenant.into_iter().map(|finding| finding.for_tenant(&tenant.slug)));
        }
        if scope.tenant.is_none() {
            findings.extend(self.refused(None).await);
        }
        if findings.is_empty() {
            findings.push(Finding::ok(Check::Refusals, "webhooks", "none was refused within a day"));
        }
        findings
    }

    async fn refused(&self, tenant: Option<TenantId>) -> Vec<Finding> {
        let since = self.clock.now().minus(REFUSALS_SHOWN_FOR);
        let refused: Result<Vec<RefusedSum>, StoreError> = self.store.refusals_since(tenant, since).await;
        match refused {
            Ok(sums) => sums.iter().map(finding).collect(),
            Err(error) => vec![Finding::error(Check::Refusals, "webhooks", error.to_string())],
        }
    }
}

fn finding(sum: &RefusedSum) -> Finding {
    let last = sum.last.to_utc().format("%Y-%m-%d %H:%M:%SZ");
    let says = format!("{} refused within a day {}; the last at {last}: {}", sum.count, sum.kind.meaning(), sum.detail);
    Finding::warning(Check::Refusals, format!("webhooks ({})", sum.route), says).remedy(sum.kind.remedy())
}
