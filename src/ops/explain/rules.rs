//! The verdict of each rule: as the trace kept it, and, where the rules have changed since, by today's rules.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::domain::{Event, Facts};
use crate::rules::{RuleExplanation, RuleResult, RuleSet, RuleTrace, Trace};

/// A rule of an explained event.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedRule {
    pub rule: String,
    /// The file that holds it today; `None` for a rule that is no longer there.
    pub file: Option<String>,
    pub line: Option<usize>,
    /// The verdict of the decision. `None` where it is not known: nothing is decided yet, or the rules have changed since
    /// and the index of that time passed over this rule.
    pub decided: Option<RuleResult>,
    /// The verdict of today's rules, where it may differ from the decision.
    pub today: Option<RuleResult>,
    /// The facts that it read, by their path in the rule.
    pub reads: BTreeMap<String, Json>,
    /// The number of actions that it asked for.
    pub actions: usize,
    /// The questions that it asks, in words.
    pub asks: Vec<String>,
}

/// Explains every rule: first those that were evaluated, in their order, last those that the event does not concern.
pub(super) fn of_event(
    stored: Option<&Trace>,
    today: &RuleSet,
    event: &Event,
    facts: &Facts,
    decided: bool,
) -> Vec<ExplainedRule> {
    let verdicts = today.explain(event, facts);
    merge(stored, today.version(), verdicts, decided)
}

fn merge(stored: Option<&Trace>, version: &str, today: Vec<RuleExplanation>, decided: bool) -> Vec<ExplainedRule> {
    let same = stored.is_some_and(|trace| trace.ruleset == version);
    // Without a trace no rule was evaluated, and the version of the rules is not known. Today's rules stand for them as far
    // as they agree.
    let silent = decided && stored.is_none();
    let mut today: Vec<Option<RuleExplanation>> = today.into_iter().map(Some).collect();
    let mut rules = Vec::with_capacity(today.len());
    for trace in stored.map(|trace| trace.rules.as_slice()).unwrap_or_default() {
        let now = today.iter_mut().find(|one| one.as_ref().is_some_and(|one| one.trace.rule == trace.rule));
        rules.push(of_stored(trace, now.and_then(Option::take), same));
    }
    let mut rest: Vec<ExplainedRule> = today
        .into_iter()
        .flatten()
        .map(|one| {
            let known = same || (silent && !one.trace.result.was_evaluated());
            of_today(one, known)
        })
        .collect();
    rest.sort_by_key(distance);
    rules.extend(rest);
    rules
}

/// How far a rule was from firing: it ran, it listens to this kind of event, or the event does not concern it.
fn distance(rule: &ExplainedRule) -> u8 {
    match rule.decided.as_ref().or(rule.today.as_ref()) {
        Some(result) if result.was_evaluated() => 0,
        Some(result) if !matches!(result, RuleResult::OtherKind { .. } | RuleResult::NoKind { .. }) => 1,
        _ => 2,
    }
}

fn of_stored(trace: &RuleTrace, now: Option<RuleExplanation>, same: bool) -> ExplainedRule {
    let today = now.as_ref().filter(|_| !same).map(|now| now.trace.result.clone());
    let (file, line) = now.map(|now| (now.file, now.line)).unzip();
    ExplainedRule {
        rule: trace.rule.clone(),
        file,
        line,
        decided: Some(trace.result.clone()),
        today,
        reads: trace.reads.clone(),
        actions: trace.actions,
        asks: trace.asks.clone(),
    }
}

fn of_today(now: RuleExplanation, known: bool) -> ExplainedRule {
    let result = now.trace.result;
    let (decided, today) = if known { (Some(result), None) } else { (None, Some(result)) };
    ExplainedRule {
        rule: now.trace.rule,
        file: Some(now.file),
        line: Some(now.line),
        decided,
        today,
        reads: now.trace.reads,
        actions: now.trace.actions,
        asks: now.trace.asks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(rule: &str, result: RuleResult) -> RuleTrace {
        RuleTrace { rule: rule.to_owned(), result, reads: BTreeMap::new(), actions: 0, asks: Vec::new() }
    }

    fn today(rule: &str, result: RuleResult) -> RuleExplanation {
        RuleExplanation { file: "a.rhai".to_owned(), line: 1, trace: trace(rule, result) }
    }

    fn no_keyword() -> RuleResult {
        RuleResult::NoKeyword { keywords: vec!["CITA".to_owned()] }
    }

    /// Rule, what was decided, what today's rules say.
    fn check(stored: Option<(&str, Vec<RuleTrace>)>, now: Vec<RuleExplanation>, decided: bool, expect: &[[&str; 3]]) {
        let stored = stored.map(|(ruleset, rules)| Trace { ruleset: ruleset.to_owned(), question: None, rules });
        let rules = merge(stored.as_ref(), "v2", now, decided);
        let word = |result: &Option<RuleResult>| result.as_ref().map_or("-", RuleResult::as_str);
        let got: Vec<_> = rules.iter().map(|one| [&*one.rule, word(&one.decided), word(&one.today)]).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn on_the_same_rules_every_verdict_is_known() {
        let now = vec![today("passed", no_keyword()), today("ran", RuleResult::Fired)];
        let stored = Some(("v2", vec![trace("ran", RuleResult::Fired)]));
        check(stored, now, true, &[["ran", "fired", "-"], ["passed", "no_keyword", "-"]]);
    }

    #[test]
    fn on_other_rules_both_verdicts_are_told_apart() {
        let now = vec![today("new", RuleResult::Fired), today("ran", no_keyword())];
        let stored = Some(("v1", vec![trace("ran", RuleResult::Fired), trace("gone", RuleResult::NoTime)]));
        let expect = [["ran", "fired", "no_keyword"], ["gone", "no_time", "-"], ["new", "-", "fired"]];
        check(stored, now, true, &expect);
    }

    #[test]
    fn without_a_trace_no_rule_was_evaluated() {
        let now = vec![today("passed", no_keyword()), today("new", RuleResult::Fired)];
        check(None, now, true, &[["new", "-", "fired"], ["passed", "no_keyword", "-"]]);
    }

    #[test]
    fn an_undecided_event_has_only_todays_verdicts() {
        check(None, vec![today("passed", no_keyword())], false, &[["passed", "-", "no_keyword"]]);
    }
}
