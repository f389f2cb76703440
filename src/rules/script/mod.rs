//! The script side of rules: the engine, the registry, the values, the views, the functions.

pub(in crate::rules) mod arguments;
pub(in crate::rules) mod context;
pub(in crate::rules) mod engine;
pub(in crate::rules) mod failure;
pub(in crate::rules) mod functions;
pub(in crate::rules) mod plan;
pub(in crate::rules) mod registry;
pub(in crate::rules) mod settings;
pub(in crate::rules) mod tokens;
pub(in crate::rules) mod values;
pub(in crate::rules) mod views;
