//! A number or Messaging Service of a tenant, which sends and receives.

use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Id, MaybeText, OneOf, Text};
use super::table::{CHANNELS, Table, column};

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
    /// The public base URL of this number's webhooks, if it is not `APP_URL`.
    pub base_url: Option<String>,
    pub created_us: i64,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "sender",
    name: "senders",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("channel", OneOf(CHANNELS)),
        column("number", Text),
        column("base_url", MaybeText),
        column("created_us", Big),
    ],
};
