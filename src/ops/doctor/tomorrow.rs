//! Reports sends of the next day that would be stopped, by the forecast, so that their cause can be put right before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Check, Doctor, Finding, Scope};
use crate::engine::sending::gate::SendGate;
use crate::ops::forecast;
use crate::ops::forecast::{ForecastInputs, Outcome};

/// The time ahead that the check covers.
const AHEAD: Duration = Duration::from_secs(48 * 3_600);
/// Findings at most. Sends of the same tenant and rule are one finding.
const FINDINGS_MAX: usize = 50;

impl Doctor<'_> {
    /// Checks for sends that will be stopped, by tenant, rule and reason.
    pub(super) async fn tomorrow(&self, scope: &Scope) -> Vec<Finding> {
        let inputs = ForecastInputs {
            store: self.store,
            directory: self.directory,
            rules: self.rules,
            gate: SendGate::new(self.config.limits),
            prices: &self.config.prices,
        };
        let tenant = scope.tenant.as_ref().map(|tenant| tenant.id);
        let until = self.clock.now().plus(AHEAD);
        let forecast = match forecast::forecast(&inputs, tenant, until).await {
            Ok(forecast) => forecast,
            Err(error) => {
                return vec![Finding::warning(
                    Check::Forecast,
                    "the next 48 hours",
                    format!("it cannot be told: {error}"),
                )];
            }
        };
        let mut stopped: BTreeMap<(&str, &str, &str, Outcome), usize> = BTreeMap::new();
        for send in forecast.sends.iter().filter(|send| send.outcome != Outcome::Send) {
            let why = send.why_not.as_deref().unwrap_or_default();
            *stopped.entry((&send.tenant, &send.rule, why, send.outcome)).or_default() += 1;
        }
        if stopped.is_empty() {
            let sends = forecast.sends.len();
            return vec![Finding::ok(
                Check::Forecast,
                "the next 48 hours",
                format!("{sends} sends are planned, none will be stopped"),
            )];
        }
        stopped.into_iter().take(FINDINGS_MAX).map(|(key, count)| finding(key, count)).collect()
    }
}

fn finding((slug, rule, why, outcome): (&str, &str, &str, Outcome), count: usize) -> Finding {
    let says = format!("within 48 hours {count} of its sends will not leave ({}): {why}", outcome.as_str());
    // An opt-out is the customer's decision: there is nothing to put right.
    let found = match outcome {
        Outcome::Blocked if why.contains("opted out") => Finding::note(Check::Forecast, rule, says),
        Outcome::Waits => Finding::error(Check::Forecast, rule, says),
        _ => Finding::warning(Check::Forecast, rule, says),
    };
    let see = format!("recado forecast --days 2 --tenant {slug} shows each of them");
    found.for_tenant(slug).remedy(match remedy(why) {
        Some(remedy) => format!("{remedy}; {see}"),
        None => see,
    })
}

/// Returns the remedy, unless the reason itself contains it.
fn remedy(why: &str) -> Option<&'static str> {
    let remedies = [
        ("opted out", "nothing to do: they said STOP, and START brings them back"),
        ("too late", "let the rule's span be longer, or the quiet hours shorter: recado tenant set SLUG --quiet"),
        ("loop guard", "let the rule send less, or raise LOOP_GUARD_MESSAGES"),
        ("frequency cap", "let rules send less, or raise FREQUENCY_CAP_PER_DAY"),
        ("WhatsApp message", "use a template, or send_sms, in that rule"),
    ];
    remedies.into_iter().find(|(part, _)| why.contains(part)).map(|(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::doctor::Severity;

    #[test]
    fn what_stops_a_send_is_named_with_its_remedy() {
        let found = |why: &str, outcome| finding(("demo", "reminder", why, outcome), 3);
        let opted_out = found("the customer has opted out of sms from this business", Outcome::Blocked);
        assert_eq!((opted_out.severity, opted_out.tenant.as_deref()), (Severity::Note, Some("demo")));
        assert!(opted_out.remedy.is_some_and(|remedy| remedy.contains("STOP") && remedy.contains("--tenant demo")));
        let late = found("quiet hours; when they end, it is too late for it", Outcome::Blocked);
        assert_eq!(late.severity, Severity::Warning);
        assert!(late.says.starts_with("within 48 hours 3 of its sends"), "{}", late.says);
        assert!(late.remedy.is_some_and(|remedy| remedy.contains("quiet hours")));
        let waits = found("the account's token cannot be opened", Outcome::Waits);
        assert_eq!(waits.severity, Severity::Error);
    }
}
