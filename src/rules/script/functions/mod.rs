//! The functions that rules can call.

pub(in crate::rules) mod actions;
pub(in crate::rules) mod place_call;
pub(in crate::rules) mod send_email;
pub(in crate::rules) mod helpers;
pub(in crate::rules) mod later;
pub(in crate::rules) mod named_time;
pub(in crate::rules) mod notify;
pub(in crate::rules) mod http_request;
pub(in crate::rules) mod conversation;
pub(in crate::rules) mod voice;
