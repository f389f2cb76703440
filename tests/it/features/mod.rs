//! What businesses use the engine for: campaigns, numbers, reminders, the rule library.

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
