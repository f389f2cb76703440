//! Deciding: from an event and its facts to actions.

pub(in crate::rules) mod call_start;
pub(in crate::rules) mod call_steps;
pub(in crate::rules) mod conversation;
pub(in crate::rules) mod cpu_budget;
pub(in crate::rules) mod decide;
pub(in crate::rules) mod evaluator;
pub(in crate::rules) mod explain;
pub(in crate::rules) mod fan_out;
pub(in crate::rules) mod index;
pub(in crate::rules) mod limit;
pub(in crate::rules) mod stack;
pub(in crate::rules) mod timers;
pub(in crate::rules) mod trace;
