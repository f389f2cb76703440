//! An open question to a customer.

use sea_orm::Value;

use super::table::Holds::{Big, Document, Id, MaybeBig, Of, OneOf, Text};
use super::table::{CHANNELS, Table, column};
use crate::domain::{ContactId, Question, TenantId};

pub(in crate::store) const TABLE: Table = Table {
    kind: "question",
    name: "questions",
    order: &["contact_id", "channel"],
    columns: &[
        column("contact_id", Of("contacts")),
        column("channel", OneOf(CHANNELS)),
        column("id", Id),
        column("rule", Text),
        column("name", Text),
        column("state", Document(|_| true)),
        column("asked_us", Big),
        column("expires_us", Big),
        // How long an answer is waited for once the text is sent; 0 if it will never be sent. Null: the time runs.
        column("wait_us", MaybeBig),
    ],
};

/// The values of a question, in the order of [`Table::insert`]. With `wait_us` its text has not been sent yet.
pub(in crate::store) fn new_row(
    tenant: TenantId,
    contact: ContactId,
    question: &Question,
    wait_us: Option<i64>,
) -> [Value; TABLE.width()] {
    [
        tenant.uuid().into(),
        contact.uuid().into(),
        question.channel.as_str().into(),
        question.id.uuid().into(),
        question.rule.clone().into(),
        question.name.clone().into(),
        question.state.to_string().into(),
        question.asked_at.unix_us().into(),
        question.expires_at.unix_us().into(),
        wait_us.into(),
    ]
}
