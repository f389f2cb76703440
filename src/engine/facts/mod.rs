//! The facts of a decision, one file for each kind. [`crate::engine::decision::facts_of`] combines them.

pub mod appointments;
pub mod calls;
pub mod history;
