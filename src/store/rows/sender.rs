//! A number or Messaging Service that a tenant sends from and is written to.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "senders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub channel: String,
    /// E.164, or a Messaging Service SID (`MG…`).
    pub number: String,
    /// The public base URL that this number's webhooks are configured with, where it is not `APP_URL`.
    pub base_url: Option<String>,
    pub created_us: i64,
}

impl ActiveModelBehavior for ActiveModel {}
