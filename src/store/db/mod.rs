//! Opening a database, its two dialects, its state.

pub(in crate::store) mod health;
pub(in crate::store) mod migrate;
pub(in crate::store) mod open;
pub(in crate::store) mod sql;
pub(in crate::store) mod sqlite;

/// Rows that a list gives at most.
pub const LIST_MAX: usize = 10_000;
