//! Operating an installation: checks, forecasts, exports, retention.

pub mod explain;
pub mod export_import;
pub mod retention;
pub mod forecast;
pub mod doctor;
