//! Calls while they last: what the caller hears next, found within a budget of time.
//!
//! A webhook of the channel's becomes a turn, which [`crate::engine::pipeline::call_turn`] stores and asks the rules about; `compose`
//! makes of what they say, of the business's agents and of its greeting what the caller hears; `render` makes TwiML of
//! that. Where a conversation model is to find the words, `model` asks it beside the call; a live conversation is carried
//! by `live`; what both can have done stands in [`tools`]. What is told once a call has ended: [`ended`]. How the business sets
//! its agents up: [`agents`].
//!
//! **An answer is there within the budget, whatever the database, a rule or a model does**: past it the caller hears the
//! business's words for such a case, which need nothing but memory.

pub mod agents;
mod compose;
mod answer;
pub mod ended;
mod live;
mod model;
mod render;
pub mod tools;

pub use crate::features::voice::answer::{Answer, Foreign, Parts, Voice};
pub use compose::{Line, Streams};
pub use live::Live;
pub use model::{Model, THINKS_WITHIN};
pub use render::Urls;
