//! Answers calls within a time budget.
//!
//! A voice webhook becomes a turn, which [`crate::engine::pipeline::call_turn`] stores and lets the rules decide.
//! `compose` turns the rules' steps, the business's agents and its greeting into what the caller hears; `render` writes
//! it as TwiML. `model` asks a conversation model beside the call, `live_conversations` connects calls to ElevenLabs
//! agents, and both use the tools of [`tools`]. [`ended_calls`] reports calls that have ended. [`lost_calls`] finds calls
//! whose last callback was lost. [`agents`] manages a business's voice agents.
//!
//! **An answer is there within the budget, whatever the database, a rule or a model does.** Past it the caller hears
//! the business's fallback text, which needs nothing but memory.

pub mod agents;
mod compose;
mod answer;
pub mod ended_calls;
mod live_conversations;
pub mod lost_calls;
mod model;
mod render;
pub mod tools;

pub use crate::features::voice::answer::{Answer, OtherTenant, Parts, Voice};
pub use compose::{Composer, Streams};
pub use live_conversations::LiveConversations;
pub use model::{ANSWER_TIMEOUT, Model};
pub use render::Urls;
