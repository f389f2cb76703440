//! The number and the WhatsApp id of one customer.
//!
//! A customer who hides the number is known by the id alone. As soon as the provider names both, they are one customer: the
//! row gets the number, and a STOP under either holds for both.

use std::collections::HashMap;

use sea_orm::Value;

use crate::domain::{ContactId, Phone, TenantId, WhatsAppId};
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;

/// The customer with an address, as an expression. Its values are the tenant and the key, twice. One with a number comes
/// before one without. Each half walks an index; with OR, PostgreSQL would need a bitmap of both.
pub(in crate::store) const CUSTOMER_OF_KEY: &str = "(SELECT id FROM
    (SELECT id, phone FROM contacts WHERE tenant_id = ? AND phone_key = ?
     UNION ALL SELECT id, phone FROM contacts WHERE tenant_id = ? AND whatsapp_id = ?) AS known
    ORDER BY phone DESC LIMIT 1)";

/// The row of the customer with a WhatsApp id.
pub(super) struct Known {
    contact: ContactId,
    /// The key of the row: that of the number or, without one, the id itself.
    pub key: String,
}

/// Reads the customers with these WhatsApp ids, by tenant and id.
pub(super) async fn known(
    txn: &impl Txn,
    ids: HashMap<TenantId, Vec<Value>>,
) -> Result<HashMap<(TenantId, String), Known>, StoreError> {
    // A row with a number comes last, and stays.
    let text = "SELECT whatsapp_id, id, phone_key FROM contacts WHERE tenant_id = ? AND whatsapp_id IN ({list})
      ORDER BY phone";
    let mut all = HashMap::new();
    for (tenant, ids) in ids {
        let read = |row: &Row| {
            let known = Known { contact: ContactId::new(row.get(1)?), key: row.get(2)? };
            Ok(((tenant, row.get(0)?), known))
        };
        all.extend(txn.query_in(text, &[tenant.uuid().into()], ids, read).await?);
    }
    Ok(all)
}

/// Makes a number and an id one customer. `before` is the row that had the id until now.
pub(super) async fn link(
    txn: &impl Txn,
    tenant: TenantId,
    id: &WhatsAppId,
    phone: &Phone,
    before: Option<&Known>,
) -> Result<(), StoreError> {
    if let Some(before) = before {
        let without_number = before.key == id.as_str();
        // The customer's row gets the number, unless the number has a row of its own: then that row gets the id.
        let gained = without_number && {
            let text = "UPDATE contacts SET phone = ?, phone_key = ? WHERE id = ? AND tenant_id = ?
               AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.tenant_id = ? AND c.phone_key = ?)";
            let values: Vec<Value> = vec![
                phone.as_str().into(),
                phone.key().into(),
                before.contact.uuid().into(),
                tenant.uuid().into(),
                tenant.uuid().into(),
                phone.key().into(),
            ];
            txn.execute(text, values).await? > 0
        };
        if !gained {
            let text = "UPDATE contacts SET whatsapp_id = NULL WHERE id = ? AND tenant_id = ?";
            txn.execute(text, vec![before.contact.uuid().into(), tenant.uuid().into()]).await?;
        }
    }
    let (key, id) = (phone.key(), id.to_string());
    copy_opt_outs(txn, tenant, &id, &key).await?;
    copy_opt_outs(txn, tenant, &key, &id).await
}

/// Lets the opt-outs of one address of a customer hold for the other. What that one has said itself stays.
async fn copy_opt_outs(txn: &impl Txn, tenant: TenantId, from: &str, to: &str) -> Result<(), StoreError> {
    let text = "INSERT INTO opt_outs (tenant_id, channel, peer_key, sender, active, word, at_us)
         SELECT tenant_id, channel, ?, sender, active, word, at_us FROM opt_outs
         WHERE tenant_id = ? AND peer_key = ? AND active
         ON CONFLICT (tenant_id, peer_key, channel, sender) DO NOTHING";
    txn.execute(text, vec![to.into(), tenant.uuid().into(), from.into()]).await?;
    Ok(())
}
