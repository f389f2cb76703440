//! Sending: an action becomes a row of the ledger ([`plan`]), the gate judges it when it is due ([`gate`]), capacity and
//! circuit tell whether it may leave now ([`capacity`], [`circuit`]), a transport sends it ([`transports`]), and its outcome
//! goes back into the ledger ([`deliver`]).
//!
//! # How to add an action
//!
//! An effect, which changes rows of our own in the deciding transaction:
//!
//! 1. `domain/action.rs`: a variant of [`crate::domain::Effect`], and its JSON example.
//! 2. `store/requests/decide.rs`: what it changes, in `alter`.
//! 3. `store/rows/contact_history.rs`: where it writes a new kind, the kind in the list of that column. The compiler does
//!    not ask for it, but without it an export cannot be imported again.
//! 4. `domain/contact.rs` (`Facts::apply`) and `store/tables/facts.rs` (`rewind`): where rules read what it changes.
//! 5. The function that makes it: see [`crate::rules`].
//!
//! Tried with an effect that writes a note of its own kind: 5 files, and 2 for the case.
//!
//! A new content of a message:
//!
//! 1. `domain/action.rs`: a variant of [`crate::domain::SendBody`], and its JSON example.
//! 2. What the compiler names: `SendBody::summary` in the same file, `store/tables/messages.rs`, `engine/reconcile/listed.rs`,
//!    `engine/sending/by_hand.rs`, `engine/sending/transports/twilio.rs`, `http/views/message.rs`.
//! 3. What it does not name: the list of contents in `rules/cases/compare.rs`, the price in `domain/price.rs`, and
//!    `http/api/messages.rs` where the API sends it.
//! 4. The function that makes it: see [`crate::rules`].
//!
//! Tried up to step 2: 6 files.
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
pub mod in_flight;
pub mod plan;
pub mod recent_opt_outs;
pub mod services;
pub mod transports;
