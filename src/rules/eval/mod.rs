//! Deciding: from an event and its facts to actions.

pub(in crate::rules) mod decide;
pub(in crate::rules) mod fan_out;
pub(in crate::rules) mod evaluator;
pub(in crate::rules) mod index;
pub(in crate::rules) mod limit;
pub(in crate::rules) mod stack;
pub(in crate::rules) mod trace;
pub(in crate::rules) mod cpu_budget;
