//! Customers by address: the number or, for a customer who hides it, the id that WhatsApp gives. A customer has one row, in
//! whatever form the number is written, and also after the provider has named both number and id.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, Value};

use crate::domain::{Address, Channel, ContactId, Phone, TenantId, Timestamp, WhatsAppId};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, Upsert};
use crate::store::error::StoreError;
use crate::store::rows::{contact, contact_channel};
use crate::store::tables::identity;

/// The customers of a batch, by tenant and address, each with their number of inbound messages.
#[derive(Default)]
pub(in crate::store) struct Contacts {
    rows: HashMap<CustomerKey, (ContactId, i64)>,
    /// WhatsApp ids of customers whose rows have a number.
    aliases: HashMap<CustomerKey, String>,
}

/// A tenant, and the key of an address.
type CustomerKey = (TenantId, String);

impl Contacts {
    /// The key of the customer's row: that of the number, if it is known.
    pub fn key_of(&self, tenant: TenantId, address: &Address) -> String {
        let key = address.key();
        self.aliases.get(&(tenant, key.clone())).cloned().unwrap_or(key)
    }

    pub fn get(&self, tenant: TenantId, address: &Address) -> Option<(ContactId, i64)> {
        self.rows.get(&(tenant, self.key_of(tenant, address))).copied()
    }

    pub fn get_mut(&mut self, tenant: TenantId, address: &Address) -> Option<&mut (ContactId, i64)> {
        let key = self.key_of(tenant, address);
        self.rows.get_mut(&(tenant, key))
    }
}

/// A customer who is found or made.
pub(in crate::store) struct NewContact<'a> {
    phone: Option<Phone>,
    whatsapp_id: Option<WhatsAppId>,
    profile_name: &'a str,
    /// The customer's messages in this batch.
    inbound: i64,
    /// The time of the last message on each channel.
    last_inbound: BTreeMap<Channel, Timestamp>,
    at: Timestamp,
}

impl<'a> NewContact<'a> {
    /// Adds what the same customer has sent under another address.
    fn join(&mut self, other: NewContact<'a>) {
        self.phone = self.phone.take().or(other.phone);
        self.whatsapp_id = self.whatsapp_id.take().or(other.whatsapp_id);
        self.inbound += other.inbound;
        if !other.profile_name.is_empty() {
            self.profile_name = other.profile_name;
        }
        for (channel, at) in other.last_inbound {
            let last = self.last_inbound.entry(channel).or_insert(at);
            *last = (*last).max(at);
        }
    }
}

/// The customers of a batch. Each has one entry, because a statement must not touch a row twice.
#[derive(Default)]
pub(in crate::store) struct ContactUpsert<'a>(HashMap<CustomerKey, NewContact<'a>>);

impl<'a> ContactUpsert<'a> {
    /// Adds the sender of an inbound message. `whatsapp_id` is the id that came beside a number.
    pub fn add_inbound(
        &mut self,
        tenant: TenantId,
        from: &Address,
        whatsapp_id: Option<&WhatsAppId>,
        name: &'a str,
        channel: Channel,
        at: Timestamp,
    ) {
        let new = self.add(tenant, from, at);
        new.inbound += 1;
        if whatsapp_id.is_some() {
            new.whatsapp_id = whatsapp_id.cloned();
        }
        if !name.is_empty() {
            new.profile_name = name;
        }
        let last = new.last_inbound.entry(channel).or_insert(at);
        *last = (*last).max(at);
    }

    /// Adds a recipient.
    pub fn add(&mut self, tenant: TenantId, address: &Address, at: Timestamp) -> &mut NewContact<'a> {
        self.0.entry((tenant, address.key())).or_insert_with(|| NewContact {
            phone: address.phone().cloned(),
            whatsapp_id: address.whatsapp_id().cloned(),
            profile_name: "",
            inbound: 0,
            last_inbound: BTreeMap::new(),
            at,
        })
    }

    /// Finds or makes the rows.
    pub async fn upsert(self, txn: &impl Txn, context: &WriterContext) -> Result<Contacts, StoreError> {
        let (customers, aliases) = self.resolve(txn).await?;
        let mut values: Vec<Value> = Vec::with_capacity(customers.len() * UPSERT.columns);
        let mut inbound = Vec::new();
        // Sorted, so that two processes on PostgreSQL lock the rows in the same order.
        let mut sorted: Vec<_> = customers.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for ((tenant, key), new) in sorted {
            let id: ContactId = context.ids.next();
            for (channel, at) in &new.last_inbound {
                inbound.push(((tenant, key.clone()), *channel, *at));
            }
            values.extend(contact::new_row(contact::NewRow {
                tenant,
                id,
                phone: new.phone.as_ref(),
                key,
                profile_name: new.profile_name,
                inbound_count: new.inbound,
                created: new.at,
                whatsapp_id: new.whatsapp_id.as_ref(),
            }));
        }
        let rows = txn
            .upsert(&UPSERT, values, |row| {
                Ok(((TenantId::new(row.get(1)?), row.get(2)?), (ContactId::new(row.get(0)?), row.get(3)?)))
            })
            .await?;
        let rows: HashMap<CustomerKey, (ContactId, i64)> = rows.into_iter().collect();
        let row = |(customer, channel, at): &(CustomerKey, Channel, Timestamp)| {
            let (contact, _) = rows.get(customer)?;
            Some(contact_channel::new_row(customer.0, *contact, *channel, *at))
        };
        let values = inbound.iter().filter_map(row).flatten().collect();
        txn.rows(&KEEP_LAST_INBOUND, contact_channel::TABLE.width(), Cut::Exact, values).await?;
        Ok(Contacts { rows, aliases })
    }

    /// Brings the addresses of one customer together. Only a batch in which the provider names WhatsApp ids costs anything.
    async fn resolve(
        self,
        txn: &impl Txn,
    ) -> Result<(HashMap<CustomerKey, NewContact<'a>>, HashMap<CustomerKey, String>), StoreError> {
        let mut ids: HashMap<TenantId, Vec<Value>> = HashMap::new();
        for ((tenant, _), new) in &self.0 {
            if let Some(id) = &new.whatsapp_id {
                ids.entry(*tenant).or_default().push(id.as_str().into());
            }
        }
        if ids.is_empty() {
            return Ok((self.0, HashMap::new()));
        }
        let mut known = identity::known(txn, ids).await?;
        let mut aliases: HashMap<CustomerKey, String> = HashMap::new();
        for ((tenant, key), new) in &self.0 {
            let (Some(phone), Some(id)) = (&new.phone, &new.whatsapp_id) else { continue };
            let alias = (*tenant, id.to_string());
            if known.get(&alias).is_none_or(|known| known.key != *key) {
                identity::link(txn, *tenant, id, phone, known.get(&alias)).await?;
            }
            known.remove(&alias);
            aliases.insert(alias, key.clone());
        }
        aliases
            .extend(known.into_iter().filter(|((_, id), known)| *id != known.key).map(|(id, known)| (id, known.key)));
        let mut customers: HashMap<CustomerKey, NewContact<'a>> = HashMap::with_capacity(self.0.len());
        for ((tenant, key), new) in self.0 {
            let key = aliases.get(&(tenant, key.clone())).cloned().unwrap_or(key);
            match customers.entry((tenant, key)) {
                Entry::Occupied(mut known) => known.get_mut().join(new),
                Entry::Vacant(free) => drop(free.insert(new)),
            }
        }
        Ok((customers, aliases))
    }
}

static UPSERT: LazyLock<Upsert> = LazyLock::new(|| Upsert {
    sql: contact::TABLE.insert()
        + " ON CONFLICT (tenant_id, phone_key) DO UPDATE SET
       inbound_count = contacts.inbound_count + excluded.inbound_count,
       profile_name = CASE WHEN excluded.profile_name = '' THEN contacts.profile_name ELSE excluded.profile_name END,
       whatsapp_id = coalesce(excluded.whatsapp_id, contacts.whatsapp_id)",
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
