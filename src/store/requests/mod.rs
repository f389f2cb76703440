//! What the writer does in its transactions, a file a kind of request.

pub(in crate::store) mod resolve;
pub(in crate::store) mod claim;
pub(in crate::store) mod decide;
pub(in crate::store) mod fallback;
pub(in crate::store) mod fire;
pub(in crate::store) mod ingest;
pub(in crate::store) mod status;
pub(in crate::store) mod outcome;
pub(crate) mod call_report;
