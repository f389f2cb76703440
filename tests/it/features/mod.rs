//! The features that businesses use: campaigns, numbers, reminders, the rule library.

mod campaign_rules;
mod campaign_texts;
pub mod campaigns;
mod campaigns_forecast;
mod campaigns_held;
mod campaigns_pace;
mod campaigns_messages;
mod campaigns_audience;
mod numbers;
pub mod library;
mod phrases;
pub mod reminders;
