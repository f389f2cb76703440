//! Reports what a tenant's texts promise and none of its enabled rules answers.

use super::{Check, Doctor, Finding, Scope};

impl Doctor<'_> {
    /// Checks the texts of each tenant's enabled rules.
    pub(super) fn promises(&self, scope: &Scope) -> Vec<Finding> {
        let mut findings = Vec::new();
        for tenant in self.tenants(scope) {
            for unmet in self.rules.unmet_promises(&tenant.facts) {
                let found = Finding::warning(Check::Rules, unmet.rule.as_str(), unmet.to_string());
                findings.push(found.for_tenant(&tenant.slug).remedy(unmet.remedy(&tenant.slug)));
            }
        }
        findings
    }
}
