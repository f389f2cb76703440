//! The trace of one decision.

use sea_orm::entity::prelude::*;

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
