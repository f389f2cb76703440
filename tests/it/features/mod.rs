//! The behaviours of the reference systems, each test named after its row: signed webhooks in, TwiML out, rows written.

mod campaign_rules;
pub mod campaigns;
mod campaigns_ahead;
mod campaigns_held;
mod campaigns_many;
mod campaigns_messages;
mod campaigns_whom;
mod numbers;
pub mod library;
pub mod reminders;
