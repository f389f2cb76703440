//! Calls while they last: what the caller hears next, found within a budget of time.
//!
//! A webhook of the channel's becomes a turn, which [`crate::pipeline::line`] stores and asks the rules about; `compose`
//! makes of what they say, of the business's agents and of its greeting what the caller hears; `render` makes TwiML of
//! that. **An answer is there within the budget, whatever the database, a rule or a model does**: past it the caller hears
//! the business's words for such a case, which need nothing but memory.

mod compose;
mod desk;
mod render;

pub use compose::Line;
pub use desk::{Answer, Foreign, Voice};
pub use render::Urls;
