//! Sending: an action becomes a row of the ledger ([`plan`]), the gate judges it when it is due ([`gate`]), capacity and
//! circuit tell whether it may leave now ([`capacity`], [`circuit`]), a transport sends it ([`transports`]), and its outcome
//! goes back into the ledger ([`deliver`]).
//!
//! How to add an action: a variant of [`crate::domain::Effect`] or of [`crate::domain::SendBody`] with its JSON example, a
//! function in `rules/script/functions/` that makes it and, for an effect, a line in `store/requests/decide.rs`.
//!
//! How to add a route: a variant of [`crate::domain::Route`] that [`plan`] chooses, and a transport that answers with
//! [`crate::integrations::provider::Accepted`] or [`crate::integrations::provider::SendFailure`], called in [`transports`].

pub mod by_hand;
pub mod call_request;
pub mod capacity;
pub mod circuit;
pub mod delayed;
pub mod deliver;
pub mod gate;
pub mod plan;
pub mod recent_opt_outs;
pub mod services;
pub mod transports;
