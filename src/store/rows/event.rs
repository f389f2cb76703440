//! What happened; pending while `handled_us` is null.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub kind: String,
    pub channel: Option<String>,
    pub contact_id: Option<Uuid>,
    pub occurred_us: i64,
    pub dedupe_key: Option<String>,
    pub depth: i16,
    /// JSON.
    pub data: String,
    pub handled_us: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
