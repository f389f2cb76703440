//! A change of a customer, with its time and its action.

use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::table::Holds::{Big, Id, MaybeDocument, MaybeId, Of, OneOf, Text};
use super::table::{Table, column};

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
    /// JSON; `None` if there was no value.
    pub old: Option<String>,
    pub new: Option<String>,
    pub action_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}

pub(in crate::store) const TABLE: Table = Table {
    kind: "customer_change",
    name: "contact_history",
    order: &["id"],
    columns: &[
        column("id", Id),
        column("contact_id", Of("contacts")),
        column("at_us", Big),
        column("kind", OneOf(&["tag", "field", "note"])),
        column("name", Text),
        column("old", MaybeDocument),
        column("new", MaybeDocument),
        column("action_id", MaybeId),
    ],
};

/// The values of a row, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(row: Model) -> [Value; TABLE.width()] {
    [
        row.tenant_id.into(),
        row.id.into(),
        row.contact_id.into(),
        row.at_us.into(),
        row.kind.into(),
        row.name.into(),
        row.old.into(),
        row.new.into(),
        row.action_id.into(),
    ]
}
