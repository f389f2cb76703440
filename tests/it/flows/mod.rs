//! The behaviours of the reference systems, each test named after its row: signed webhooks in, TwiML out, rows written.

mod agents;
mod campaign_rules;
pub mod campaigns;
mod campaigns_many;
mod line;
mod model;
mod nginx;
mod numbers;
mod stream;
mod voice;
mod watched;
