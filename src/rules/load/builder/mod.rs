//! `rule("name").on(…).keyword(…).when(…).then(…)`: how a file declares a rule. One file for each method, or for a few
//! that belong together.
//!
//! How to add a method: a file here with a [`Function`], a line in [`METHODS`], its part of [`draft::Draft`], and a case.

mod blueprint;
pub(in crate::rules) mod draft;
mod for_each;
mod handlers;
mod limit;
mod on;
mod rule;
mod timing;
mod when;

use rhai::Engine;

use crate::rules::load::builder::draft::RuleBuilder;
use crate::rules::script::registry::Function;

/// `rule` and every method of a rule, in the order of the reference.
pub(in crate::rules) const METHODS: &[&Function] = &[
    &rule::RULE,
    &on::ON,
    &on::KEYWORD,
    &when::WHEN,
    &when::THEN,
    &limit::LIMIT,
    &timing::AFTER,
    &timing::BEFORE,
    &timing::CRON,
    &timing::MISSED,
    &for_each::FOR_EACH,
    &blueprint::BLUEPRINT,
    &blueprint::PARAM,
    &handlers::ON_ANSWER,
    &handlers::ON_SILENCE,
    &handlers::ON_UNSENT,
    &handlers::ON_INPUT,
    &handlers::ON_CALL,
];

pub(in crate::rules) fn register_types(engine: &mut Engine) {
    engine.register_type_with_name::<RuleBuilder>("Rule");
}
