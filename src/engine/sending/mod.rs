//! What can be done, and the way it goes out: the gate asks whether, the circuit whether now, the verdict says how it went.
//!
//! How to add an action: a variant of [`crate::domain::Effect`] or of [`crate::domain::SendBody`] with its JSON example,
//! a function in `rules/` that makes it, a line in `store/decide.rs` (effects). How to add a
//! way out: a variant of [`crate::domain::Route`], chosen in [`plan`], a module that answers with
//! [`crate::integrations::provider::Accepted`] or [`crate::integrations::provider::SendFailure`], a line in [`ways`].

pub mod call_request;
pub mod circuit;
pub mod deliver;
pub mod gate;
pub mod by_hand;
pub mod plan;
pub mod recent_opt_outs;
pub mod capacity;
pub mod delayed;
pub mod services;
pub mod transports;
