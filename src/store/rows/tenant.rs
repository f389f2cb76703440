//! A business that shares the installation.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub zone: String,
    pub language: String,
    pub account_sid: Option<String>,
    /// Sealed; see `secret.rs`.
    pub auth_token: Option<String>,
    /// Sealed; accepted too while tokens are rotated.
    pub auth_token_secondary: Option<String>,
    /// JSON of `TenantSettings`.
    pub settings: String,
    pub created_us: i64,
}

impl ActiveModelBehavior for ActiveModel {}
