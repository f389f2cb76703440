//! Timers: rows in the order in which they fall due.

use sea_orm::Value;
use uuid::Uuid;

use super::StoreError;
use super::sql::{Cut, Txn};
use crate::domain::{ContactId, NewTimer, TenantId};

/// Writes timers down; one that is there already stays as it is.
pub(super) async fn plan(txn: &impl Txn, timers: impl IntoIterator<Item = &NewTimer>) -> Result<(), StoreError> {
    let mut values: Vec<Value> = Vec::new();
    for timer in timers {
        values.extend([
            timer.due.unix_us().into(),
            timer.id.uuid().into(),
            timer.tenant.uuid().into(),
            timer.purpose.as_str().into(),
            timer.rule.clone().into(),
            timer.timing.clone().into(),
            timer.contact.map(ContactId::uuid).into(),
            timer.subject.into(),
            timer.payload.to_string().into(),
        ]);
    }
    txn.rows(
        "INSERT INTO timers (due_us, id, tenant_id, purpose, rule, timing, contact_id, subject_id, payload)
         VALUES {rows} ON CONFLICT DO NOTHING",
        9,
        Cut::Padded,
        values,
    )
    .await
}

/// What hangs on a subject ends: its timers, and what is planned and has not left. In the transaction that moves or ends it.
pub(super) async fn end_subject(
    txn: &impl Txn,
    tenant: TenantId,
    subject: Uuid,
    reason: &str,
) -> Result<(), StoreError> {
    let of = || vec![tenant.uuid().into(), subject.into()];
    txn.execute("DELETE FROM timers WHERE tenant_id = ? AND subject_id = ?", of()).await?;
    let values = [vec![reason.into()], of()].concat();
    txn.execute(
        "UPDATE actions SET state = 'blocked', reason = ? WHERE tenant_id = ? AND subject_id = ? AND state = 'planned'",
        values,
    )
    .await?;
    Ok(())
}
