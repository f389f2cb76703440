//! The facts that a decision is made on, a file a kind. [`crate::engine::decision::facts_of`] puts them together.

pub mod appointments;
pub mod calls;
pub mod history;
