//! Explanations: the result of every rule for an event, also of those that the index leaves out.

use crate::domain::{Event, Facts};
use crate::rules::eval::index::{has_text, keyword_of};
use crate::rules::eval::trace::{Decision, RuleExplanation, RuleResult, RuleTrace};
use crate::rules::model::{Rule, When};
use crate::rules::ruleset::RuleSet;

impl RuleSet {
    /// Returns the result of every rule for this event, or why the rule was not evaluated.
    pub fn explain(&self, event: &Event, facts: &Facts) -> Vec<RuleExplanation> {
        self.explain_among(event, facts, |_| true).0
    }

    /// Returns the results of the rules of one file, and their decision.
    pub(in crate::rules) fn explain_file(
        &self,
        file: &str,
        event: &Event,
        facts: &Facts,
    ) -> (Vec<RuleExplanation>, Decision) {
        self.explain_among(event, facts, |rule| rule.info.file == file)
    }

    fn explain_among(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> (Vec<RuleExplanation>, Decision) {
        let decision = self.decide_among(event, facts, &keep);
        let mut evaluated = decision.trace.rules.clone().into_iter().peekable();
        let result = |rule: &Rule, trace| RuleExplanation { file: rule.info.file.clone(), line: rule.info.line, trace };
        // A conversation comes first and stands apart. Its rule may be evaluated with the others, too.
        let first = self.turn(event, facts, &keep).and_then(|_| evaluated.next());
        let asker = first.as_ref().and_then(|trace| self.rules.iter().find(|rule| rule.info.name == trace.rule));
        let mut results: Vec<RuleExplanation> =
            asker.zip(first.clone()).map(|(rule, trace)| result(rule, trace)).into_iter().collect();
        for rule in self.rules.iter().filter(|rule| keep(rule)) {
            let name = &rule.info.name;
            // Rules are evaluated in this order.
            let trace = match (evaluated.next_if(|trace| trace.rule == *name), &first) {
                (Some(trace), _) => trace,
                (None, Some(first)) if first.rule == *name => continue,
                (None, first) => {
                    let answered =
                        first.as_ref().map(|first| RuleResult::AnsweredElsewhere { rule: first.rule.clone() });
                    let left_out = rule.not_indexed(event, facts).or(answered);
                    debug_assert!(left_out.is_some(), "the index missed a rule");
                    let no_keyword = || RuleResult::NoKeyword { keywords: rule.info.keywords.clone() };
                    RuleTrace::without_run(name, left_out.unwrap_or_else(no_keyword))
                }
            };
            results.push(result(rule, trace));
        }
        (results, decision)
    }
}

impl Rule {
    /// Returns why the index leaves this rule out for the event; `None` if it does not.
    fn not_indexed(&self, event: &Event, facts: &Facts) -> Option<RuleResult> {
        let kinds = &self.info.kinds;
        if kinds.is_empty() {
            let scheduled = self.timing.as_ref().is_some_and(|timing| matches!(timing.when, When::Cron(_)));
            return Some(RuleResult::NoKind { scheduled, steps: self.handlers.calls.keys().cloned().collect() });
        }
        if !kinds.contains(&event.kind) {
            return Some(RuleResult::OtherKind { kinds: kinds.iter().map(ToString::to_string).collect() });
        }
        if !self.is_enabled_for(&facts.tenant) {
            return Some(RuleResult::NotEnabled);
        }
        let none =
            !self.keywords.is_empty() && has_text(&event.data) && keyword_of(&event.data, &self.keywords).is_none();
        none.then(|| RuleResult::NoKeyword { keywords: self.info.keywords.clone() })
    }
}
