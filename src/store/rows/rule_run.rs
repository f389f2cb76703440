//! The trace of one decision.

use sea_orm::Value;
use sea_orm::entity::prelude::*;
use serde_json::Value as Json;

use super::table::Holds::{Big, Document, Of};
use super::table::{Table, column};
use crate::domain::{EventId, TenantId, Timestamp};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    pub tenant_id: Uuid,
    pub decided_us: i64,
    /// JSON of `rules::Trace`.
    pub trace: String,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "rule_run",
    name: "rule_runs",
    order: &["event_id"],
    columns: &[column("event_id", Of("events")), column("decided_us", Big), column("trace", Document(Json::is_object))],
};

/// The values of a trace, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(
    tenant: TenantId,
    event: EventId,
    decided: Timestamp,
    trace: &str,
) -> [Value; TABLE.width()] {
    [tenant.uuid().into(), event.uuid().into(), decided.unix_us().into(), trace.into()]
}
