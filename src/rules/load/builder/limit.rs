//! `.limit(1, "4h")`

use rhai::{Dynamic, NativeCallContext};

use crate::rules::limits::LIMIT_TIMES;
use crate::rules::load::builder::draft::RuleBuilder;
use crate::rules::model::Limit;
use crate::rules::script::arguments;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

const HINT: &str = "write .limit(1, \"4h\"): at most once in four hours for one customer";

pub(in crate::rules) const LIMIT: Function = Function {
    name: "limit",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs the rule at most so many times for one customer within a span.",
    signatures: &[Signature::new(&[("times", Kind::Whole), ("span", Kind::Span)], Kind::Rule)],
    example: r#"rule("away").on("inbound_sms").limit(1, "4h").then(|e| reply("We will answer soon."));"#,
    register: |engine, _| {
        engine.register_fn("limit", limit);
    },
};

fn limit(ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, times: Dynamic, span: Dynamic) -> RuleBuilder {
    let times = times.as_int().ok().and_then(|times| u32::try_from(times).ok());
    let Some(times) = times.filter(|times| (1..=LIMIT_TIMES).contains(times)) else {
        return rule.fault(&ctx, format!("limit takes a number from 1 to {LIMIT_TIMES} and a span"), HINT);
    };
    match arguments::span(&span) {
        Ok(span) => rule.edit(|draft| draft.limit = Some(Limit { times, span })),
        Err(message) => rule.fault(&ctx, format!("limit: {message}"), HINT),
    }
}
