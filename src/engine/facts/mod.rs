//! The facts that a decision is made on.

pub mod recall;
pub mod appointments;
