//! One try of a send, committed before its first byte leaves.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub action_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub n: i32,
    pub tenant_id: Uuid,
    pub started_us: i64,
    /// No byte leaves after this.
    pub not_after_us: i64,
    pub finished_us: Option<i64>,
    pub outcome: Option<String>,
    pub http_status: Option<i32>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
