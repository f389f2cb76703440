//! A message in either direction, as the inbox shows it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// For outbound messages the id of the action that sends it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub contact_id: Option<Uuid>,
    pub channel: String,
    /// `in` or `out`.
    pub direction: String,
    /// Of outbound messages: `answer`, `business`, `manual` or `system`; else `customer`.
    pub origin: String,
    /// The other side's number.
    pub peer: String,
    pub peer_key: String,
    /// Our number.
    pub ours: String,
    pub body: String,
    /// JSON of what a body cannot hold: media, button, location, template; `{}` mostly.
    pub extra: String,
    pub status: String,
    pub status_rank: i16,
    pub provider_sid: Option<String>,
    pub error_code: Option<i64>,
    pub segments: i32,
    pub at_us: i64,
    /// Found by the catch-up.
    pub late: bool,
    /// How often the provider (or a replayer) brought it again.
    pub repeats: i32,
}

impl ActiveModelBehavior for ActiveModel {}
