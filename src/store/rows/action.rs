//! The ledger: what is to be done, and what became of it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "actions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub event_id: Uuid,
    pub contact_id: Option<Uuid>,
    pub rule: String,
    pub idx: i32,
    pub kind: String,
    pub state: String,
    pub channel: Option<String>,
    /// E.164 or Messaging Service SID.
    pub sender: Option<String>,
    /// E.164.
    pub recipient: Option<String>,
    pub peer_key: Option<String>,
    /// Channel, sender and recipient: one send at a time.
    pub lane: Option<String>,
    /// The way it leaves: the name of a `domain::Route`; none for effects.
    pub route: Option<String>,
    /// The provider's account that the last attempt went through.
    pub account_sid: Option<String>,
    /// `answer`, `business`, `manual` or `system`.
    pub origin: String,
    /// JSON of the `domain::Action`.
    pub payload: String,
    pub tries: i32,
    /// Strictly rising: the order within a lane.
    pub planned_us: i64,
    pub due_us: i64,
    pub first_try_us: Option<i64>,
    pub tried_us: Option<i64>,
    pub reason: Option<String>,
    pub error_code: Option<i64>,
    pub provider_sid: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
