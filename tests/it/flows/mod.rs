//! The behaviours of the reference systems, each test named after its row: signed webhooks in, TwiML out, rows written.

mod agent_tokens;
mod agents;
mod calls;
mod campaign_rules;
pub mod campaigns;
mod campaigns_ahead;
mod campaigns_held;
mod campaigns_many;
mod campaigns_messages;
mod campaigns_whom;
mod line;
mod lost;
mod model;
mod nginx;
mod numbers;
mod said;
mod stream;
mod voice;
mod watched;
