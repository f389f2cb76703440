//! Customers by number: one row a number, however it is written.

use std::collections::HashMap;

use sea_orm::Value;

use crate::domain::{Channel, ContactId, Phone, TenantId, Timestamp};
use crate::store::StoreError;
use crate::store::db::sql::{Txn, Upsert};
use crate::store::writer::Means;

/// Customers of a batch, by tenant and folded number, each with how many messages have come from them.
pub(in crate::store) type Contacts = HashMap<(TenantId, String), (ContactId, i64)>;

/// A customer as a batch has met them.
pub(in crate::store) struct Met<'a> {
    phone: &'a Phone,
    profile_name: &'a str,
    /// Messages from them in this batch.
    inbound: i64,
    last_sms_us: Option<i64>,
    last_whatsapp_us: Option<i64>,
    at: Timestamp,
}

/// Those met in a batch, one entry a customer: a statement must not touch a row twice.
#[derive(Default)]
pub(in crate::store) struct ContactUpsert<'a>(HashMap<(TenantId, String), Met<'a>>);

impl<'a> ContactUpsert<'a> {
    /// A message came from them.
    pub fn hear(&mut self, tenant: TenantId, phone: &'a Phone, name: &'a str, channel: Channel, at: Timestamp) {
        let met = self.meet(tenant, phone, at);
        met.inbound += 1;
        if !name.is_empty() {
            met.profile_name = name;
        }
        let last = match channel {
            Channel::Sms => &mut met.last_sms_us,
            Channel::WhatsApp => &mut met.last_whatsapp_us,
            Channel::Email | Channel::Voice => return,
        };
        *last = (*last).max(Some(at.unix_us()));
    }

    /// A message is to go to them.
    pub fn meet(&mut self, tenant: TenantId, phone: &'a Phone, at: Timestamp) -> &mut Met<'a> {
        self.0.entry((tenant, phone.key())).or_insert(Met {
            phone,
            profile_name: "",
            inbound: 0,
            last_sms_us: None,
            last_whatsapp_us: None,
            at,
        })
    }

    /// Finds or makes their rows.
    pub async fn upsert(self, txn: &impl Txn, means: &Means) -> Result<Contacts, StoreError> {
        let mut values: Vec<Value> = Vec::with_capacity(self.0.len() * 12);
        // Sorted, so that two processes on one PostgreSQL lock the rows in one order.
        let mut sorted: Vec<_> = self.0.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for ((tenant, key), met) in sorted {
            let id: ContactId = means.ids.next();
            values.extend([
                id.uuid().into(),
                tenant.uuid().into(),
                met.phone.as_str().into(),
                key.into(),
                "".into(),
                met.profile_name.into(),
                "[]".into(),
                "{}".into(),
                met.inbound.into(),
                met.last_sms_us.into(),
                met.last_whatsapp_us.into(),
                met.at.unix_us().into(),
            ]);
        }
        let rows = txn
            .upsert(&UPSERT, values, |row| {
                Ok(((TenantId::new(row.get(1)?), row.get(2)?), (ContactId::new(row.get(0)?), row.get(3)?)))
            })
            .await?;
        Ok(rows.into_iter().collect())
    }
}

const UPSERT: Upsert = Upsert {
    sql: "INSERT INTO contacts (id, tenant_id, phone, phone_key, name, profile_name, tags, fields, inbound_count,
       last_sms_us, last_whatsapp_us, created_us) VALUES {rows}
     ON CONFLICT (tenant_id, phone_key) DO UPDATE SET
       inbound_count = contacts.inbound_count + excluded.inbound_count,
       profile_name = CASE WHEN excluded.profile_name = '' THEN contacts.profile_name ELSE excluded.profile_name END,
       last_sms_us = CASE WHEN coalesce(excluded.last_sms_us, 0) > coalesce(contacts.last_sms_us, 0)
         THEN excluded.last_sms_us ELSE contacts.last_sms_us END,
       last_whatsapp_us = CASE WHEN coalesce(excluded.last_whatsapp_us, 0) > coalesce(contacts.last_whatsapp_us, 0)
         THEN excluded.last_whatsapp_us ELSE contacts.last_whatsapp_us END",
    columns: 12,
    table: "contacts",
    reads: "id, tenant_id, phone_key, inbound_count",
    key: [("tenant_id", 1), ("phone_key", 3)],
};
