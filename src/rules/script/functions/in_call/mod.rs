//! The functions of calls: one file for each function or pair of functions.
//!
//! If nothing comes, or what comes fits nothing, the caller is asked again, `tries` times in all. Then `otherwise` follows,
//! or a farewell.

pub(in crate::rules) mod connect_agent;
pub(in crate::rules) mod dial;
pub(in crate::rules) mod enqueue;
pub(in crate::rules) mod gather;
pub(in crate::rules) mod hangup;
pub(in crate::rules) mod play;
pub(in crate::rules) mod record;
pub(in crate::rules) mod redirect;
pub(in crate::rules) mod remember;
pub(in crate::rules) mod say;
pub(in crate::rules) mod step;
