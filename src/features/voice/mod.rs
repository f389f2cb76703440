//! Calls while they last: finds what the caller hears next, within a time budget.
//!
//! A voice webhook becomes a turn, which [`crate::engine::pipeline::call_turn`] stores and lets the rules decide.
//! `compose` turns the rules' steps, the business's agents and its greeting into what the caller hears; `render` writes
//! it as TwiML. `model` asks a conversation model beside the call, `live` carries live conversations, and both use the
//! tools of [`tools`]. [`ended`] reports calls that have ended. [`agents`] manages a business's voice agents.
//!
//! **An answer is there within the budget, whatever the database, a rule or a model does.** Past it the caller hears
//! the business's fallback text, which needs nothing but memory.

pub mod agents;
mod compose;
mod answer;
pub mod ended;
mod live;
pub mod lost;
mod model;
mod render;
pub mod tools;

pub use crate::features::voice::answer::{Answer, Foreign, Parts, Voice};
pub use compose::{Composer, Streams};
pub use live::Live;
pub use model::{ANSWER_TIMEOUT, Model};
pub use render::Urls;
