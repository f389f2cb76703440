//! The HTTP interface: webhooks, the API and its pages.

pub mod api;
pub mod callbacks;
mod docs;
pub mod gateway;
mod odd_fields;
pub mod rcs;
mod tenant;
mod whatsapp_ids;
pub(crate) mod agent_tokens;
pub(crate) mod nginx;
