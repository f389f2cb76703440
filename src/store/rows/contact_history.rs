//! What changed on a customer, when, and by which action.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_history")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub contact_id: Uuid,
    pub at_us: i64,
    /// `tag`, `field` or `note`.
    pub kind: String,
    pub name: String,
    /// JSON; `None` where there was nothing.
    pub old: Option<String>,
    pub new: Option<String>,
    pub action_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
