//! Reports rules that failed lately: their actions did not happen, and in a call somebody heard something else.

use std::collections::BTreeMap;

use super::{Check, Doctor, Finding, REFUSALS_SHOWN_FOR, Scope};
use crate::domain::{EventId, EventKind};
use crate::rules::Trace;

/// Findings at most. The failures of one tenant and rule are one finding.
const FINDINGS_MAX: usize = 50;

/// The failures of one rule.
struct Failures {
    count: usize,
    in_calls: bool,
    /// The latest.
    event: EventId,
    kind: EventKind,
    why: String,
}

impl Doctor<'_> {
    /// Checks for rules that failed within a day.
    pub(super) async fn failed_rules(&self, scope: &Scope) -> Vec<Finding> {
        let since = self.clock.now().minus(REFUSALS_SHOWN_FOR);
        let mut findings = Vec::new();
        for tenant in self.tenants(scope) {
            let runs = match self.store.failed_runs(tenant.id, since).await {
                Ok(runs) => runs,
                Err(error) => return vec![Finding::error(Check::Rules, "rules", error.to_string())],
            };
            let failures = by_rule(runs).into_iter().take(FINDINGS_MAX);
            findings.extend(failures.map(|(rule, failures)| finding(&rule, &failures).for_tenant(&tenant.slug)));
        }
        if findings.is_empty() {
            findings.push(Finding::ok(Check::Rules, "rules", "none failed within a day"));
        }
        findings
    }
}

/// Sums decisions, the latest first, by the rules that failed in them.
fn by_rule(runs: Vec<(EventId, EventKind, String)>) -> BTreeMap<String, Failures> {
    let mut sums: BTreeMap<String, Failures> = BTreeMap::new();
    for (event, kind, trace) in runs {
        let Ok(trace) = serde_json::from_str::<Trace>(&trace) else { continue };
        for failed in trace.rules.into_iter().filter(|rule| rule.result.is_failure()) {
            let new = Failures { count: 0, in_calls: false, event, kind: kind.clone(), why: failed.result.to_string() };
            let sum = sums.entry(failed.rule).or_insert(new);
            sum.count += 1;
            sum.in_calls |= kind.is_on_the_line();
        }
    }
    sums
}

fn finding(rule: &str, failures: &Failures) -> Finding {
    let Failures { count, in_calls, event, kind, why } = failures;
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let heard = if *in_calls { "; callers heard something else" } else { "" };
    let says = format!("failed {times} within a day{heard}; the last time on {kind}, {why}");
    let found =
        if *in_calls { Finding::error(Check::Rules, rule, says) } else { Finding::warning(Check::Rules, rule, says) };
    found.remedy(format!("correct the rule; 'recado explain {event}' shows what it read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::doctor::Severity;

    #[test]
    fn failures_are_summed_by_rule_and_the_latest_is_quoted() {
        let run = |n: u128, kind: EventKind, rules: &str| {
            (EventId::new(uuid::Uuid::from_u128(n)), kind, format!("{{\"ruleset\":\"x\",\"rules\":[{rules}]}}"))
        };
        let failed =
            |rule: &str, why: &str| format!("{{\"rule\":\"{rule}\",\"verdict\":\"failed\",\"error\":\"{why}\"}}");
        let sums = by_rule(vec![
            run(3, EventKind::CALL_RECEIVED, &failed("menu", "new")),
            run(2, EventKind::CALL_RECEIVED, &format!("{},{}", failed("menu", "old"), failed("note", "x"))),
            run(1, EventKind::inbound(crate::domain::Channel::Sms), &failed("texts", "y")),
        ]);
        assert_eq!(sums.keys().collect::<Vec<_>>(), ["menu", "note", "texts"]);
        let menu = finding("menu", &sums["menu"]);
        assert_eq!(menu.severity, Severity::Error);
        assert!(
            menu.says.contains("failed 2 times") && menu.says.contains("call_received, failed: new"),
            "{}",
            menu.says
        );
        assert_eq!(finding("texts", &sums["texts"]).severity, Severity::Warning);
    }
}
