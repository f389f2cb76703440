//! `.for_each("contacts", |c| …)`: selects the customers of a scheduled rule, page by page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::contact::ContactFacts;
use crate::domain::timer::Fired;
use crate::domain::{ContactId, Event, Facts};
use crate::rules::eval::trace::{RuleResult, RuleTrace, Trace};
use crate::rules::eval::{cpu_budget, stack, timers};
use crate::rules::load::error::SourcePosition;
use crate::rules::model::Rule;
use crate::rules::ruleset::RuleSet;
use crate::rules::script::context::{EvalContext, RuleFrame};
use crate::rules::script::failure::Failure;
use crate::rules::script::views::contact::ContactView;

/// The customers of one page. Each page is one event and one commit.
pub const PAGE_CONTACTS: usize = 500;

/// The result of one page.
#[derive(Clone, Debug)]
pub struct FanOutPage {
    pub trace: Trace,
    /// The customers for whom the rule runs, each by an event of its own.
    pub passed: Vec<ContactId>,
    /// The last customer that was looked at, if more may follow.
    pub goes_on_after: Option<ContactId>,
}

impl RuleSet {
    /// Returns whether this is the event of a page: a `for_each` timer without a customer.
    pub fn is_page(&self, event: &Event) -> bool {
        let Some(fired) = Fired::of(event).filter(|_| event.contact.is_none()) else { return false };
        self.rule(&fired.rule).is_some_and(|rule| rule.for_each.is_some())
    }

    /// Asks the filter about the customers in order, for as long as `budget` allows, but about one at least. `facts` are those of
    /// the event, without a customer.
    pub fn page(&self, event: &Event, facts: &Facts, contacts: Vec<ContactFacts>, budget: Duration) -> FanOutPage {
        let mut page = FanOutPage {
            trace: Trace { ruleset: self.version.clone(), ..Trace::default() },
            passed: Vec::new(),
            goes_on_after: None,
        };
        let Some(fired) = Fired::of(event) else { return page };
        let Some(rule) = self.rule(&fired.rule) else { return page };
        if let Some(result) = rule.refuses_firing(&fired, event, facts) {
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

    /// Returns whether a customer passes the filter. Without a filter, all do.
    fn passes(&self, rule: &Rule, event: &Event, facts: Facts) -> Result<bool, Failure> {
        let Some(Some(filter)) = &rule.for_each else { return Ok(true) };
        let eval =
            EvalContext::new(timers::anchor_event(event), facts, Arc::clone(&self.templates), Arc::clone(&self.links));
        *eval.frame() = RuleFrame { params: rule.params(&eval.facts), ..RuleFrame::default() };
        cpu_budget::refill(&self.limits, Duration::MAX);
        let answer = self.invoke(&eval, rule, filter, (ContactView(Arc::clone(&eval)),))?;
        answer.as_bool().map_err(|kind| Failure {
            at: SourcePosition::default(),
            message: format!("it must give true or false, and gave a {kind}"),
            limit: false,
        })
    }
}
