//! Pages of customers, and their facts.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::Row;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::facts;

impl Store {
    /// Reads the facts of customers: as they are, or as they were at `as_of`. The texts say which facts could not be
    /// rebuilt.
    pub async fn contact_facts(
        &self,
        tenant: TenantId,
        ids: &[ContactId],
        as_of: Option<Timestamp>,
    ) -> Result<(HashMap<ContactId, ContactFacts>, Vec<String>), StoreError> {
        facts::contact_facts(&self.read, tenant, ids, as_of).await
    }

    /// Reads the facts of a page of a tenant's customers after `after`, in the order of their ids.
    pub async fn contacts_after(
        &self,
        tenant: TenantId,
        after: Option<ContactId>,
        limit: usize,
    ) -> Result<Vec<ContactFacts>, StoreError> {
        let text = facts::CONTACTS.replace("c.id IN ({list})", "c.id > ? ORDER BY c.id LIMIT ?");
        let after = after.map_or(Uuid::nil(), ContactId::uuid);
        let rows =
            sql::query(&self.read, &text, vec![tenant.uuid().into(), after.into(), (limit as i64).into()]).await?;
        rows.iter().map(|row| facts::read_facts(&Row::Sea(row))).collect()
    }

    /// Lists a page of a tenant's customers after `after`, the oldest first.
    pub async fn customer_page(
        &self,
        tenant: TenantId,
        after: Option<ContactId>,
        limit: usize,
    ) -> Result<Vec<ContactId>, StoreError> {
        let after = after.map(ContactId::uuid).unwrap_or_default();
        let text = "SELECT id FROM contacts WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?";
        let values = vec![tenant.uuid().into(), after.into(), (limit as i64).into()];
        let rows = sql::query(&self.read, text, values).await?;
        rows.iter().map(|row| Ok(ContactId::new(row.try_get_by_index(0)?))).collect()
    }
}
