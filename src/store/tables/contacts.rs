//! Customers by number. Each number has one row, in whatever form it is written.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, Value};

use crate::domain::{Channel, ContactId, Phone, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, Upsert};
use crate::store::error::StoreError;
use crate::store::rows::{contact, contact_channel};

/// The customers of a batch, by tenant and folded number, each with their number of inbound messages.
pub(in crate::store) type Contacts = HashMap<(TenantId, String), (ContactId, i64)>;

/// A customer who is found or made.
pub(in crate::store) struct NewContact<'a> {
    phone: &'a Phone,
    profile_name: &'a str,
    /// The customer's messages in this batch.
    inbound: i64,
    /// The time of the last message on each channel.
    last_inbound: BTreeMap<Channel, Timestamp>,
    at: Timestamp,
}

/// The customers of a batch. Each has one entry, because a statement must not touch a row twice.
#[derive(Default)]
pub(in crate::store) struct ContactUpsert<'a>(HashMap<(TenantId, String), NewContact<'a>>);

impl<'a> ContactUpsert<'a> {
    /// Adds the sender of an inbound message.
    pub fn add_inbound(&mut self, tenant: TenantId, phone: &'a Phone, name: &'a str, channel: Channel, at: Timestamp) {
        let new = self.add(tenant, phone, at);
        new.inbound += 1;
        if !name.is_empty() {
            new.profile_name = name;
        }
        let last = new.last_inbound.entry(channel).or_insert(at);
        *last = (*last).max(at);
    }

    /// Adds a recipient.
    pub fn add(&mut self, tenant: TenantId, phone: &'a Phone, at: Timestamp) -> &mut NewContact<'a> {
        self.0.entry((tenant, phone.key())).or_insert(NewContact {
            phone,
            profile_name: "",
            inbound: 0,
            last_inbound: BTreeMap::new(),
            at,
        })
    }

    /// Finds or makes the rows.
    pub async fn upsert(self, txn: &impl Txn, context: &WriterContext) -> Result<Contacts, StoreError> {
        let mut values: Vec<Value> = Vec::with_capacity(self.0.len() * UPSERT.columns);
        let mut inbound = Vec::new();
        // Sorted, so that two processes on PostgreSQL lock the rows in the same order.
        let mut sorted: Vec<_> = self.0.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for ((tenant, key), new) in sorted {
            let id: ContactId = context.ids.next();
            for (channel, at) in new.last_inbound {
                inbound.push(((tenant, key.clone()), channel, at));
            }
            values.extend(contact::new_row(tenant, id, new.phone, new.profile_name, new.inbound, new.at));
        }
        let rows = txn
            .upsert(&UPSERT, values, |row| {
                Ok(((TenantId::new(row.get(1)?), row.get(2)?), (ContactId::new(row.get(0)?), row.get(3)?)))
            })
            .await?;
        let contacts: Contacts = rows.into_iter().collect();
        let row = |(customer, channel, at): &((TenantId, String), Channel, Timestamp)| {
            let (contact, _) = contacts.get(customer)?;
            Some(contact_channel::new_row(customer.0, *contact, *channel, *at))
        };
        let values = inbound.iter().filter_map(row).flatten().collect();
        txn.rows(&KEEP_LAST_INBOUND, contact_channel::TABLE.width(), Cut::Exact, values).await?;
        Ok(contacts)
    }
}

static UPSERT: LazyLock<Upsert> = LazyLock::new(|| Upsert {
    sql: contact::TABLE.insert()
        + " ON CONFLICT (tenant_id, phone_key) DO UPDATE SET
       inbound_count = contacts.inbound_count + excluded.inbound_count,
       profile_name = CASE WHEN excluded.profile_name = '' THEN contacts.profile_name ELSE excluded.profile_name END",
    columns: contact::TABLE.width(),
    table: "contacts",
    reads: "id, tenant_id, phone_key, inbound_count",
    key: [("tenant_id", 0), ("phone_key", 3)],
});

/// Keeps a customer's last inbound message on a channel. An older message changes nothing.
static KEEP_LAST_INBOUND: LazyLock<String> = LazyLock::new(|| {
    contact_channel::TABLE.insert()
        + " ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = excluded.last_us
       WHERE excluded.last_us > contact_channels.last_us"
});

/// Deletes the last messages of a customer who is erased.
pub(in crate::store) async fn forget_channels(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: ContactId,
) -> Result<u64, StoreError> {
    let of = vec![tenant.uuid().into(), contact.uuid().into()];
    Ok(sql::execute(db, "DELETE FROM contact_channels WHERE tenant_id = ? AND contact_id = ?", of).await?)
}
