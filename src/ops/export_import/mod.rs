//! Exports of single tenants into files, and their imports; files of backups.
//!
//! A tenant's file has one JSON object a line, `{"kind": {…}}`: a `header`, the `tenant`, then kind by kind its rows, in
//! the order of [`crate::store::TABLES`], each with the columns of `migrations/` (instants in microseconds since 1970
//! UTC, documents as JSON), and an `end` with the counts, by which a file that was cut is known. Credentials are not in it.

pub mod export;
pub mod file;
pub mod import;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::Timestamp;

/// The format of the file. Others are refused.
pub const FORMAT: u32 = 1;
const LEFT_OUT: &str = "auth tokens: set them anew after the import (recado tenant credentials)";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// The version of the Recado that wrote it.
    version: String,
    exported_at: Timestamp,
    tenant: String,
    left_out: String,
}

/// The second line: the tenant without its tokens.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantLine {
    id: Uuid,
    slug: String,
    name: String,
    zone: String,
    language: String,
    /// The SID of its own account, if it has one.
    account_sid: Option<String>,
    settings: Json,
    created_us: i64,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    rows: Counts,
}

/// The number of rows of each kind.
pub type Counts = BTreeMap<String, u64>;
