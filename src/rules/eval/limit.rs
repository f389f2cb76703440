//! Limits: how often a rule may run for one customer.

use crate::domain::timer::Fired;
use crate::domain::{Event, Facts, Firing, Timestamp};
use crate::rules::eval::trace::RuleResult;
use crate::rules::model::{Limit, Rule};
use crate::rules::ruleset::RuleSet;

impl Limit {
    /// Returns the moment since which runs count.
    pub fn since(&self, facts: &Facts) -> Timestamp {
        let zone = facts.tenant.zone.parse().unwrap_or(chrono_tz::Tz::UTC);
        self.span.before(facts.as_of, zone)
    }

    /// Returns the result if the limit is reached.
    pub fn reached(&self, rule: &str, facts: &Facts) -> Option<RuleResult> {
        let since = self.since(facts);
        let counted = facts.firings.get(rule)?.iter().filter(|at| **at >= since).count();
        (counted >= self.times as usize).then(|| RuleResult::Limited { times: self.times, span: self.span.to_string() })
    }
}

impl Rule {
    /// Returns the run to count for the event's customer, if the rule has a limit.
    pub(in crate::rules) fn firing(&self, event: &Event, facts: &Facts) -> Option<Firing> {
        let limit = self.limit.as_ref().filter(|_| event.contact.is_some())?;
        let (times, since) = (limit.times, limit.since(facts));
        Some(Firing { rule: self.info.name.clone(), at: facts.as_of, times, since })
    }
}

impl RuleSet {
    /// Returns the moment since which runs must be known to decide the event; `None` if no concerned rule has a limit.
    pub fn firings_since(&self, event: &Event, facts: &Facts) -> Option<Timestamp> {
        if !self.has_limits || event.contact.is_none() {
            return None;
        }
        if let Some(fired) = Fired::of(event) {
            return self.rule(&fired.rule)?.limit.as_ref().map(|limit| limit.since(facts));
        }
        let candidates = self.index.candidates(&event.kind, &event.data, &facts.tenant, |number| self.indexed(number));
        candidates.iter().filter_map(|one| self.rules[one.rule].limit.as_ref()).map(|limit| limit.since(facts)).min()
    }

    /// Returns the moment since which any limit counts runs; older ones may be deleted. `None` if there are no limits.
    pub fn oldest_firing_counted(&self, facts: &Facts) -> Option<Timestamp> {
        self.rules.iter().filter_map(|rule| rule.limit.as_ref()).map(|limit| limit.since(facts)).min()
    }
}
