//! What scripts see and can do: the engine, the values, the views, the functions.

pub(in crate::rules) mod context;
pub(in crate::rules) mod engine;
pub(in crate::rules) mod failure;
pub(in crate::rules) mod values;
pub mod functions;
pub mod views;
