//! Checks templates: those that tenants name exist and are approved, and those that rules name are named by the tenant.

use super::{Check, Doctor, Finding, Scope, Used};
use crate::integrations::twilio::client::{Approval, Content, LookupError};

/// Templates asked for at most, of each tenant.
const TEMPLATES_MAX: usize = 100;
const APPROVE: &str = "console: Messaging, Content Template Builder, the template, 'Submit for WhatsApp approval'";

impl Doctor<'_> {
    /// Checks the templates of the tenants that use this account.
    pub(super) async fn templates(&self, used: &Used, scope: &Scope) -> Vec<Finding> {
        let mut findings = Vec::new();
        for tenant in self.tenants(scope).iter().filter(|tenant| tenant.account.sid == used.account.sid) {
            for (name, sid) in tenant.settings.templates.iter().take(TEMPLATES_MAX) {
                let subject = format!("{name} ({sid})");
                let finding = match self.client.fetch_content(&used.credentials, sid).await {
                    Ok(content) => {
                        let approval = self.client.fetch_approval(&used.credentials, sid).await;
                        judge(&subject, &content, approval)
                    }
                    Err(LookupError::NotFound) => {
                        let says = format!("the account {} has no such template", used.account.sid);
                        Finding::error(Check::Template, &subject, says).remedy(format!(
                            "recado tenant set {} --template {name}=HX…, with a SID of the console's Content Template Builder",
                            tenant.slug
                        ))
                    }
                    Err(error) => Finding::warning(Check::Template, &subject, format!("it cannot be told: {error}")),
                };
                findings.push(finding.for_tenant(&tenant.slug));
            }
        }
        findings
    }

    /// Checks for template names that rules use and a tenant has not set: such a send is blocked.
    pub(super) fn template_names(&self, scope: &Scope) -> Vec<Finding> {
        let mut findings = Vec::new();
        for tenant in self.tenants(scope) {
            let is_on = |rule: &str, blueprint: bool| !blueprint || tenant.settings.blueprints.contains_key(rule);
            for rule in self.rules.rules().filter(|rule| is_on(&rule.name, rule.blueprint)) {
                let named = rule.templates.iter().filter(|name| !crate::integrations::twilio::is_sid("HX", name));
                for name in named.filter(|name| !tenant.settings.templates.contains_key(*name)) {
                    let says = format!(
                        "'{}' ({}) sends it, and the tenant has no template of that name",
                        rule.name, rule.file
                    );
                    findings.push(
                        Finding::warning(Check::Template, name, says)
                            .for_tenant(&tenant.slug)
                            .remedy(format!("recado tenant set {} --template {name}=HX…", tenant.slug)),
                    );
                }
            }
        }
        findings
    }
}

fn judge(subject: &str, content: &Content, approval: Result<Option<Approval>, LookupError>) -> Finding {
    let variables: Vec<&str> = content.variables.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let with =
        if variables.is_empty() { "no variables".to_owned() } else { format!("variables {}", variables.join(", ")) };
    let what = format!("\"{}\", {}, {with}", content.friendly_name, content.language);
    let approval = match approval {
        Ok(approval) => approval.unwrap_or_default(),
        Err(error) => {
            let says = format!("{what}; whether it is approved cannot be told: {error}");
            return Finding::warning(Check::Template, subject, says);
        }
    };
    match approval.status.as_str() {
        "approved" => Finding::ok(Check::Template, subject, format!("{what}: approved")),
        "" | "unsubmitted" => {
            let says =
                format!("{what}: never submitted to WhatsApp; outside the 24-hour window it is refused (error 63016)");
            Finding::error(Check::Template, subject, says).remedy(APPROVE)
        }
        "received" | "pending" => {
            let says = format!("{what}: WhatsApp has not approved it yet; that takes up to 48 hours");
            Finding::warning(Check::Template, subject, says).remedy("wait; until then it is refused outside the window")
        }
        status => {
            let says = format!("{what}: {status} by WhatsApp: {}", approval.rejection_reason);
            Finding::error(Check::Template, subject, says.trim_end_matches([':', ' ']))
                .remedy(format!("change it as the reason says and submit it again; {APPROVE}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::doctor::Severity;

    #[test]
    fn a_template_is_good_when_it_is_approved() {
        let content: Content = serde_json::from_value(serde_json::json!({
            "sid": "HX1", "friendly_name": "offer", "language": "es", "variables": {"1": "Ana"},
        }))
        .unwrap();
        let check = |status: &str, expect| {
            let approval = Approval { status: status.to_owned(), rejection_reason: "tone".to_owned() };
            let finding = judge("offer", &content, Ok(Some(approval)));
            assert_eq!(finding.severity, expect, "{status}: {finding:?}");
            assert_eq!(finding.remedy.is_none(), expect == Severity::Ok, "{finding:?}");
        };
        check("approved", Severity::Ok);
        check("pending", Severity::Warning);
        check("rejected", Severity::Error);
        check("unsubmitted", Severity::Error);
        assert_eq!(judge("offer", &content, Ok(None)).severity, Severity::Error);
        assert!(judge("offer", &content, Ok(None)).says.contains("variables 1"));
    }
}
