//! What each rule said: as it was written down when it was decided, and, where the rules have changed since, today.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::domain::{Event, Facts};
use crate::rules::{RuleExplanation, RuleResult, RuleSet, RuleTrace, Trace};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub rule: String,
    /// Where it stands today; `None` for a rule that is no longer there.
    pub file: Option<String>,
    pub line: Option<usize>,
    /// What was decided. `None` where that is not known: nothing is decided yet, or the rules have changed since and the
    /// index of that time passed over this one.
    pub decided: Option<Said>,
    /// What today's rules say, where that may differ from what was decided.
    pub today: Option<Said>,
    /// What it read, by the path it wrote.
    pub reads: BTreeMap<String, Json>,
    /// How many actions it asked for.
    pub actions: usize,
    /// The questions that it asks, in words.
    pub asks: Vec<String>,
}

/// A verdict by its stable name, and in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    pub verdict: String,
    pub why: String,
    /// The rule was run; else the index passed over it.
    pub evaluated: bool,
}

impl Said {
    fn new(verdict: &RuleResult) -> Self {
        let named = serde_json::to_value(verdict).unwrap_or_default();
        Self {
            verdict: named["verdict"].as_str().unwrap_or_default().to_owned(),
            why: verdict.to_string(),
            evaluated: verdict.was_evaluated(),
        }
    }
}

/// One line a rule: first those that were evaluated, in the order in which they were, last those not concerned.
pub fn lines(stored: Option<&Trace>, today: &RuleSet, event: &Event, facts: &Facts, decided: bool) -> Vec<Line> {
    let verdicts = today.explain(event, facts);
    merge(stored, today.version(), verdicts, decided)
}

fn merge(stored: Option<&Trace>, version: &str, today: Vec<RuleExplanation>, decided: bool) -> Vec<Line> {
    let same = stored.is_some_and(|trace| trace.ruleset == version);
    // Without a trace no rule was evaluated. Of which version the rules were is not known then: today's stand for them
    // as far as they agree.
    let silent = decided && stored.is_none();
    let mut today: Vec<Option<RuleExplanation>> = today.into_iter().map(Some).collect();
    let mut lines = Vec::with_capacity(today.len());
    for trace in stored.map(|trace| trace.rules.as_slice()).unwrap_or_default() {
        let now = today.iter_mut().find(|one| one.as_ref().is_some_and(|one| one.trace.rule == trace.rule));
        lines.push(of_stored(trace, now.and_then(Option::take), same));
    }
    let mut rest: Vec<Line> = today
        .into_iter()
        .flatten()
        .map(|one| {
            let known = same || (silent && !one.trace.result.was_evaluated());
            of_today(one, known)
        })
        .collect();
    rest.sort_by_key(distance);
    lines.extend(rest);
    lines
}

/// How far a rule was from firing: run, asked for by the kind of event at least, or not concerned.
fn distance(line: &Line) -> u8 {
    match line.decided.as_ref().or(line.today.as_ref()) {
        Some(said) if said.evaluated => 0,
        Some(said) if said.verdict != "other_kind" => 1,
        _ => 2,
    }
}

fn of_stored(trace: &RuleTrace, now: Option<RuleExplanation>, same: bool) -> Line {
    let today = now.as_ref().filter(|_| !same).map(|now| Said::new(&now.trace.result));
    let (file, line) = now.map(|now| (now.file, now.line)).unzip();
    Line {
        rule: trace.rule.clone(),
        file,
        line,
        decided: Some(Said::new(&trace.result)),
        today,
        reads: trace.reads.clone(),
        actions: trace.actions,
        asks: trace.asks.clone(),
    }
}

fn of_today(now: RuleExplanation, known: bool) -> Line {
    let said = Said::new(&now.trace.result);
    let (decided, today) = if known { (Some(said), None) } else { (None, Some(said)) };
    Line {
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
        let lines = merge(stored.as_ref(), "v2", now, decided);
        let word = |said: &Option<Said>| said.as_ref().map_or("-", |said| said.verdict.as_str()).to_owned();
        let got: Vec<_> =
            lines.iter().map(|line| [line.rule.clone(), word(&line.decided), word(&line.today)]).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn on_the_same_rules_what_was_decided_is_known_of_all() {
        let now = vec![today("passed", no_keyword()), today("ran", RuleResult::Fired)];
        let stored = Some(("v2", vec![trace("ran", RuleResult::Fired)]));
        check(stored, now, true, &[["ran", "fired", "-"], ["passed", "no_keyword", "-"]]);
    }

    #[test]
    fn on_other_rules_both_are_told_apart() {
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
    fn what_waits_is_only_foretold() {
        check(None, vec![today("passed", no_keyword())], false, &[["passed", "-", "no_keyword"]]);
    }
}
