//! Lists and searches for people and programs.

pub(in crate::store) mod ahead;
pub(in crate::store) mod lists;
pub(in crate::store) mod newest;
pub(crate) mod calls;
pub(in crate::store) mod customers;
pub(in crate::store) mod decisions;
pub(in crate::store) mod history;
