//! The edges of `.limit(…)`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{facts, now, result, rules, sms};
use crate::domain::Facts;
use crate::rules::RuleResult;

#[test]
fn a_run_counts_until_the_span_is_over_to_the_microsecond() {
    let set = rules("rule(\"r\").on(\"inbound_sms\").limit(1, \"4h\").then(|e| note(\"x\"));");
    let runs_after = |ago: Duration| {
        let facts = Facts { firings: BTreeMap::from([("r".to_owned(), vec![now().minus(ago)])]), ..facts() };
        result(&set.decide(&sms("hola"), &facts)) == &RuleResult::Fired
    };
    let span = Duration::from_secs(14_400);
    assert!(!runs_after(Duration::ZERO));
    assert!(!runs_after(span.saturating_sub(Duration::from_micros(1))));
    assert!(!runs_after(span), "a run four hours ago is within four hours");
    assert!(runs_after(span + Duration::from_micros(1)));
}
