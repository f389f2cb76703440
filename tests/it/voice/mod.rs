//! Calls: signed webhooks in, TwiML out.

pub(crate) mod agents;
pub(crate) mod calls;
mod chat_client;
pub(crate) mod caller;
pub(crate) mod lost_calls;
mod media_stream;
pub(crate) mod model;
mod rule_faults;
pub(crate) mod verbs;
pub(crate) mod stream;
pub(crate) mod turns;
pub(crate) mod metrics;
