//! `.for_each("contacts", |c| …)`: which customers a schedule's rule is to run for, page by page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stack;
use super::trace::{RuleResult, RuleTrace, Trace};
use crate::domain::contact::ContactFacts;
use crate::domain::timer::Fired;
use crate::domain::{ContactId, Event, Facts};
use crate::rules::load::timing;
use crate::rules::script::context::{Call, Frame};
use crate::rules::script::engine;
use crate::rules::script::failure::Failure;
use crate::rules::script::views::event::ContactView;
use crate::rules::{Rule, RuleSet};

/// Customers of one page: each page is one event and one commit.
pub const PAGE_CONTACTS: usize = 500;

/// What became of a page.
#[derive(Clone, Debug)]
pub struct FanOutPage {
    pub trace: Trace,
    /// For these the rule is to run, each by an event of its own.
    pub passed: Vec<ContactId>,
    /// The last that was looked at, where others may come behind.
    pub goes_on_after: Option<ContactId>,
}

impl RuleSet {
    /// Whether this is the event of a page: a timer of a `for_each` that is about nobody in particular.
    pub fn is_page(&self, event: &Event) -> bool {
        let Some(fired) = Fired::of(event).filter(|_| event.contact.is_none()) else { return false };
        self.rule(&fired.rule).is_some_and(|rule| rule.each.is_some())
    }

    /// Asks the filter about customers in their order, for as long as `budget` allows, but of one at least. `facts` are
    /// those of the event, without a customer.
    pub fn page(&self, event: &Event, facts: &Facts, contacts: Vec<ContactFacts>, budget: Duration) -> FanOutPage {
        let mut page = FanOutPage {
            trace: Trace { ruleset: self.version.clone(), ..Trace::default() },
            passed: Vec::new(),
            goes_on_after: None,
        };
        let Some(fired) = Fired::of(event) else { return page };
        let Some(rule) = self.rule(&fired.rule) else { return page };
        if let Some(result) = rule.when_due(&fired, event, facts) {
            page.trace.rules.push(RuleTrace::without_run(&fired.rule, result));
            return page;
        }
        stack::on_rules_stack(|| self.fill(&mut page, rule, event, facts, contacts, budget));
        page
    }

    fn fill(
        &self,
        page: &mut FanOutPage,
        rule: &Rule,
        event: &Event,
        facts: &Facts,
        contacts: Vec<ContactFacts>,
        budget: Duration,
    ) {
        let (started, full) = (Instant::now(), contacts.len() >= PAGE_CONTACTS);
        let (mut of, mut failed, mut last) = (0, None, None);
        let all = contacts.len();
        for contact in contacts {
            if of > 0 && started.elapsed() >= budget {
                break;
            }
            let id = contact.id;
            (of, last) = (of + 1, Some(id));
            match self.passes(rule, event, Facts { contact: Some(contact), ..facts.clone() }) {
                Ok(true) => page.passed.push(id),
                Ok(false) => {}
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        page.goes_on_after = last.filter(|_| full || of < all);
        let result = RuleResult::Each { passed: page.passed.len(), of };
        page.trace.rules.push(RuleTrace::without_run(&rule.info.name, result));
        if let Some(failure) = failed {
            let error = format!("{}: the filter of for_each: {}", rule.info.file, failure.message);
            page.trace.rules.push(RuleTrace::without_run(&rule.info.name, RuleResult::Failed { error }));
        }
    }

    /// Whether a customer passes; without a filter all do.
    fn passes(&self, rule: &Rule, event: &Event, facts: Facts) -> Result<bool, Failure> {
        let Some(Some(filter)) = &rule.each else { return Ok(true) };
        let call = Call::new(timing::as_seen(event), facts, Arc::clone(&self.templates), Arc::clone(&self.links));
        *call.frame() = Frame { params: rule.params(&call.facts), ..Frame::default() };
        engine::refill(&self.limits, Duration::MAX);
        let answer = self.invoke(&call, rule, filter, (ContactView(Arc::clone(&call)),))?;
        answer.as_bool().map_err(|kind| Failure {
            place: <_>::default(),
            message: format!("it must give true or false, and gave a {kind}"),
            limit: false,
        })
    }
}
