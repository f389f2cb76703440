//! The runs of rules with a limit, by customer.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use sea_orm::ConnectionTrait;

use crate::domain::{ContactId, Firing, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::rule_firing;
use crate::store::tables::decided::Decided;

/// Rows that one transaction removes.
const REMOVE_ROWS: i64 = 500;

/// The times of the runs by customer and rule, the oldest first.
pub type Firings = HashMap<ContactId, BTreeMap<String, Vec<Timestamp>>>;

impl Store {
    /// Reads the runs of rules for these customers, from `since` until before `until`.
    pub async fn firings(
        &self,
        tenant: TenantId,
        contacts: &[ContactId],
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Firings, StoreError> {
        let text = "SELECT contact_id, rule, at_us FROM rule_firings
          WHERE tenant_id = ? AND at_us >= ? AND at_us < ? AND contact_id IN ({list}) ORDER BY at_us";
        let until = until.map_or(i64::MAX, Timestamp::unix_us);
        let before = [tenant.uuid().into(), since.unix_us().into(), until.into()];
        let list = contacts.iter().map(|contact| contact.uuid().into()).collect();
        let mut firings = Firings::new();
        for row in sql::query_in(&self.read, text, &before, list).await? {
            let of_rule = firings.entry(ContactId::new(row.try_get_by_index(0)?)).or_default();
            let times: &mut Vec<Timestamp> = of_rule.entry(row.try_get_by_index(1)?).or_default();
            times.push(Timestamp::from_unix_us(row.try_get_by_index(2)?));
        }
        Ok(firings)
    }

    /// Removes runs before `before`, which no limit counts any more, in small steps.
    pub async fn remove_firings(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let txn = begin(&self.write).await?;
            let step = sql::execute(
                &txn,
                "DELETE FROM rule_firings WHERE tenant_id = ? AND (contact_id, rule, at_us, event_id) IN
                   (SELECT contact_id, rule, at_us, event_id FROM rule_firings
                    WHERE tenant_id = ? AND at_us < ? LIMIT ?)",
                vec![tenant.uuid().into(), tenant.uuid().into(), before.unix_us().into(), REMOVE_ROWS.into()],
            )
            .await?;
            txn.commit().await?;
            removed += step;
            if step < REMOVE_ROWS as u64 {
                return Ok(removed);
            }
        }
    }
}

/// Whether the limits still allow a decision. Another process may have decided another event of this customer on facts
/// without this one. From here on this waits for that transaction.
pub(in crate::store) async fn allowed(txn: &impl Txn, decided: &Decided) -> Result<bool, StoreError> {
    let (Some(contact), false) = (decided.contact, decided.firings.is_empty()) else { return Ok(true) };
    let of = || vec![decided.tenant.uuid().into(), contact.uuid().into()];
    if txn.is_postgres() {
        txn.query("SELECT 1 FROM contacts WHERE tenant_id = ? AND id = ? FOR UPDATE", of(), |_| Ok(())).await?;
    }
    for firing in &decided.firings {
        let text =
            "SELECT count(*) FROM rule_firings WHERE tenant_id = ? AND contact_id = ? AND rule = ? AND at_us >= ?";
        let values = [of(), vec![firing.rule.clone().into(), firing.since.unix_us().into()]].concat();
        let counts: Vec<i64> = txn.query(text, values, |row| row.get(0)).await?;
        if counts.first().is_some_and(|count| *count >= i64::from(firing.times)) {
            return Ok(false);
        }
    }
    Ok(true)
}

static INSERT: LazyLock<String> = LazyLock::new(|| rule_firing::TABLE.insert() + " ON CONFLICT DO NOTHING");

/// Stores the firings of a decision.
pub(in crate::store) async fn write(txn: &impl Txn, decided: &Decided) -> Result<(), StoreError> {
    let Some(contact) = decided.contact else { return Ok(()) };
    // The time of the trace, so that an explanation can tell what came before it.
    let row = |firing: &Firing| rule_firing::new_row(decided.tenant, contact, &firing.rule, decided.at, decided.event);
    let values = decided.firings.iter().flat_map(row).collect();
    txn.rows(&INSERT, rule_firing::TABLE.width(), Cut::Exact, values).await
}

/// Deletes the runs of rules for a customer.
pub(in crate::store) async fn forget(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: ContactId,
) -> Result<u64, StoreError> {
    let of = vec![tenant.uuid().into(), contact.uuid().into()];
    Ok(sql::execute(db, "DELETE FROM rule_firings WHERE tenant_id = ? AND contact_id = ?", of).await?)
}
