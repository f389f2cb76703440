//! Lists and searches for people and programs.

pub(in crate::store) mod ahead;
pub(in crate::store) mod lists;
pub(crate) mod calls;
