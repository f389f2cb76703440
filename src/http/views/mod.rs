//! The JSON of each noun, defined once: the API's handlers answer with it, and `--json` of the commands prints it.
//!
//! How to add a noun: a file here with its struct, which derives `Serialize` and `ToSchema`, and a conversion from what
//! the store reads.

pub mod action;
pub mod agent;
pub mod appointment;
pub mod call;
pub mod campaign;
pub mod customer;
pub mod customer_history;
pub mod event;
pub mod explanation;
pub mod message;
pub mod number;
pub mod team;
pub mod tenant;
pub mod timer;

use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// Reads a document of a list: an unreadable one is shown as its default, so that one damaged row closes no page.
fn parsed_or_default<T: DeserializeOwned + Default>(stored: &str) -> T {
    serde_json::from_str(stored).unwrap_or_default()
}

/// Reads a document that is stored as JSON.
fn parsed<T: DeserializeOwned>(stored: &str) -> Result<T, StoreError> {
    serde_json::from_str(stored).map_err(|error| StoreError::Stored(error.to_string()))
}
