//! Rules: Rhai files in a folder, which decide what an event leads to.
//!
//! A file is data when it is loaded, and code only inside its closures:
//! ```rhai
//! rule("hours")                                          // unique in the folder; part of its actions' identity
//!     .on("inbound_sms", "inbound_whatsapp")             // one or more event kinds
//!     .keyword("HOURS", "HORARIO")                       // optional: the text is one of these words, or begins with one
//!     .blueprint().param("text", "Open from 9 to 18 h.") // optional: runs only for tenants that enable it
//!     .when("is not late", |e| !e.late)                  // any number; the text is what the trace says if it is false
//!     .then(|e| reply(e.params.text));                   // one or more
//! ```
//! `recado reference` lists the methods of a rule, what `e` has, the event kinds and all functions. A closure sees its
//! parameter, its own variables and the functions of its file, and nothing else: no state remains from one event to the next.
//!
//! # Code map
//!
//! | to change … | look in |
//! |---|---|
//! | what a rule is | [`model`] |
//! | a function that rules call | `script/functions`: one file each, one list |
//! | a field that rules read | `script/views`: one table for each view |
//! | a method of a rule, such as `.limit` | `load/builder`: one file each, one list |
//! | an event kind | [`crate::domain::event_kinds`] |
//! | how a file is read and checked | [`load`]; `load/lint` checks names, arguments and closures |
//! | how an event is decided | `eval/decide.rs`; answers and silences in `eval/conversation.rs`, calls in `eval/call_steps.rs` |
//! | delayed and scheduled rules | `eval/timers.rs`, `eval/fan_out.rs` |
//! | which words texts promise | [`promises`] |
//! | the generated reference | [`mod@reference`] |
//!
//! # How to add a function
//!
//! 1. `rules/script/functions/name.rs`: a `Function` with its name, signatures, one line of description, an example and its
//!    registration.
//! 2. `rules/script/functions/mod.rs`: a line `mod`, and a line in `FUNCTIONS` at its place in the reference.
//! 3. A case that calls it, in `rules/` or in `src/rules/tests/cases/`: the rule in a file `.rhai`, the event and the
//!    expected actions in the file `.cases.json` beside it. A test demands it.
//!
//! Tried: 2 files, and 2 for the case. The checks, the suggestions, the reference and the editors' definitions follow. A
//! function that makes a new action needs the action, too: see [`crate::engine::sending`].
//!
//! # How to add an event kind
//!
//! 1. `domain/event.rs`: a constant of [`EventKind`](crate::domain::EventKind) that says when it happens and what `data`
//!    holds.
//! 2. `domain/event_kinds.rs`: a line in `EVENT_KINDS` at its place in the reference, with the fields of `data`.
//! 3. The code that makes such events.
//!
//! Tried with the inbound event of a channel: 2 files. The checks, the suggestions and the reference follow.
//!
//! # Architecture invariants
//!
//! - Deciding does no I/O and knows no clock but `Facts::as_of`. Time is measured only to stop what takes too long, and then
//!   [`Decision::overran`] says so.
//! - A rule's actions count only if the whole rule succeeds. A broken rule or file never stops another.
//! - Scripts run only on stacks of [`limits::STACK_BYTES`], because a real stack overflow would end the process.
//!   [`RuleSet::decide`] ensures it wherever it is called; [`Evaluator`] does so cheaply.
//! - Templates of e-mails are loaded with the rules and rendered while deciding. The action holds the finished text, and the
//!   version of the rules covers their templates.
//! - The cost of an event depends on the rules that it concerns, not on the number of rules.

pub mod cases;
pub(crate) mod eval;
pub mod limits;
pub mod load;
pub mod model;
pub mod promises;
pub mod reference;
mod ruleset;
pub(crate) mod script;
mod suggest;
#[cfg(test)]
mod tests;

pub use eval::call_start::CannotStartCall;
pub use eval::call_steps::repeat_prompt;
pub use eval::evaluator::{BATCH_MAX, Evaluator, EvaluatorError, PendingEffects};
pub use eval::fan_out::{FanOutPage, PAGE_CONTACTS};
pub use eval::stack::on_rules_stack;
pub use eval::timers::{BEFORE_LATE_PART, MISSED_AFTER, StoredTimer};
pub use eval::trace::{Decision, Planned, RuleExplanation, RuleResult, RuleTrace, Trace};
pub use limits::Limits;
pub use load::error::{RuleError, Severity};
pub use model::{Missed, RuleInfo, Timing, When};
pub use promises::UnmetPromise;
pub use ruleset::RuleSet;
