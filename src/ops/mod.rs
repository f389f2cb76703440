//! Operating an installation: checks, explanations, forecasts, exports and imports, retention.

pub mod doctor;
pub mod explain;
pub mod export_import;
pub mod forecast;
pub mod retention;
