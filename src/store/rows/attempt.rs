//! An attempt of a send, committed before its first byte leaves.

use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Int, MaybeBig, MaybeInt, MaybeText, Of};
use super::table::{Table, column};

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
    /// The latest time at which the first byte may leave.
    pub not_after_us: i64,
    pub finished_us: Option<i64>,
    pub outcome: Option<String>,
    pub http_status: Option<i32>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "attempt",
    name: "attempts",
    order: &["action_id", "n"],
    columns: &[
        column("action_id", Of("actions")),
        column("n", Int),
        column("started_us", Big),
        column("not_after_us", Big),
        column("finished_us", MaybeBig),
        column("outcome", MaybeText),
        column("http_status", MaybeInt),
        column("error_code", MaybeBig),
        column("detail", MaybeText),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(row: Model) -> [Value; TABLE.width()] {
    [
        row.tenant_id.into(),
        row.action_id.into(),
        row.n.into(),
        row.started_us.into(),
        row.not_after_us.into(),
        row.finished_us.into(),
        row.outcome.into(),
        row.http_status.into(),
        row.error_code.into(),
        row.detail.into(),
    ]
}
