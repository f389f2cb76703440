//! `.limit(1, "4h")`: how often a rule may run for one customer.

use rhai::{Dynamic, Engine, NativeCallContext};

use super::trace::RuleResult;
use crate::domain::timer::Fired;
use crate::domain::{Event, Facts, Firing, Timestamp};
use crate::rules::Rule;
use crate::rules::limits::LIMIT_TIMES;
use crate::rules::load::builder::RuleBuilder;
use crate::rules::script::functions::later::span_of;
use crate::time::Span;

/// At most so many times for one customer within a span.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Limit {
    pub times: u32,
    pub span: Span,
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn(
        "limit",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, times: Dynamic, span: Dynamic| {
            let hint = "write .limit(1, \"4h\"): at most once in four hours for one customer";
            let times = times.as_int().ok().and_then(|times| u32::try_from(times).ok());
            let Some(times) = times.filter(|times| (1..=LIMIT_TIMES).contains(times)) else {
                return rule.fault(&context, format!("limit takes a number from 1 to {LIMIT_TIMES} and a span"), hint);
            };
            match span_of(&span) {
                Ok(span) => rule.edit(|draft| draft.limit = Some(Limit { times, span })),
                Err(message) => rule.fault(&context, format!("limit: {message}"), hint),
            }
        },
    );
}

impl Limit {
    /// From where on firings count.
    pub fn since(&self, facts: &Facts) -> Timestamp {
        let zone = facts.tenant.zone.parse().unwrap_or(chrono_tz::Tz::UTC);
        self.span.before(facts.as_of, zone)
    }

    /// The result where the customer has had enough of the rule.
    pub fn reached(&self, rule: &str, facts: &Facts) -> Option<RuleResult> {
        let since = self.since(facts);
        let counted = facts.firings.get(rule)?.iter().filter(|at| **at >= since).count();
        (counted >= self.times as usize).then(|| RuleResult::Limited { times: self.times, span: self.span.to_string() })
    }
}

impl Rule {
    /// What is to be remembered of its running for the event's customer.
    pub(in crate::rules) fn firing(&self, event: &Event, facts: &Facts) -> Option<Firing> {
        let limit = self.limit.as_ref().filter(|_| event.contact.is_some())?;
        let (times, since) = (limit.times, limit.since(facts));
        Some(Firing { rule: self.info.name.clone(), at: facts.as_of, times, since })
    }
}

impl crate::rules::RuleSet {
    /// From when on firings have to be known to decide such an event, or `None` where no rule that it concerns has a limit.
    pub fn looks_back(&self, event: &Event, facts: &Facts) -> Option<Timestamp> {
        if !self.has_limits || event.contact.is_none() {
            return None;
        }
        if let Some(fired) = Fired::of(event) {
            return self.rule(&fired.rule)?.limit.as_ref().map(|limit| limit.since(facts));
        }
        let entry = |number: usize| self.rules[number].entry();
        let candidates = self.index.candidates(&event.kind, &event.data, &facts.tenant, entry);
        candidates.iter().filter_map(|one| self.rules[one.rule].limit.as_ref()).map(|limit| limit.since(facts)).min()
    }

    /// From when on any rule's limit counts firings; what is older may be forgotten. `None` where there are no limits.
    pub fn remembers(&self, facts: &Facts) -> Option<Timestamp> {
        self.rules.iter().filter_map(|rule| rule.limit.as_ref()).map(|limit| limit.since(facts)).min()
    }
}
