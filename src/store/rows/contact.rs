//! A tenant's customer.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub phone: String,
    pub phone_key: String,
    pub name: String,
    pub profile_name: String,
    /// JSON array of strings, sorted.
    pub tags: String,
    /// JSON object.
    pub fields: String,
    pub inbound_count: i64,
    pub last_sms_us: Option<i64>,
    pub last_whatsapp_us: Option<i64>,
    pub created_us: i64,
}

impl ActiveModelBehavior for ActiveModel {}
