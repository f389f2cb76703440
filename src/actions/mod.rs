//! What can be done, and the way it goes out: the gate asks whether, the circuit whether now, the verdict says how it went.
//!
//! How to add an action: a variant of [`crate::domain::Effect`] or of [`crate::domain::SendBody`] with its JSON example,
//! a function in `rules/` that makes it, a line in `store/decide.rs` (effects). How to add a
//! way out: a variant of [`crate::domain::Route`], chosen in [`plan`], a module that answers with
//! [`crate::provider::Taken`] or [`crate::provider::NotTaken`], a line in [`ways`].

pub mod call;
pub mod circuit;
pub mod deliver;
pub mod gate;
pub mod outbox;
pub mod plan;
pub mod stops;
pub mod waiting;
pub mod ways;
