//! The facts of customers for the rules: as they are, or as they were earlier.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, Value};
use serde_json::Value as Json;

use crate::domain::contact::ContactFacts;
use crate::domain::{Channel, ContactId, Phone, TenantId, Timestamp, WhatsAppId};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;

/// The query of customers' facts. It is read by position, since it runs often. Each channel that receives messages adds
/// two columns: the customer's last message on it, and whether the customer has opted out of it.
pub(in crate::store) static CONTACTS: LazyLock<String> = LazyLock::new(|| {
    let of_channel = |channel: Channel| {
        format!(
            ",
    (SELECT l.last_us FROM contact_channels l
      WHERE l.tenant_id = c.tenant_id AND l.contact_id = c.id AND l.channel = '{channel}'),
    EXISTS (SELECT 1 FROM opt_outs o WHERE o.tenant_id = c.tenant_id AND o.peer_key = c.phone_key
      AND o.channel = '{channel}' AND o.sender = '' AND o.active)"
        )
    };
    format!(
        "SELECT c.id, c.phone, c.name, c.profile_name, c.tags, c.fields, c.inbound_count, c.created_us, c.whatsapp_id{}
  FROM contacts c WHERE c.tenant_id = ? AND c.id IN ({{list}})",
        Channel::INBOUND.map(of_channel).concat()
    )
});
/// The number of columns in [`CONTACTS`] before those of the channels.
const CONTACT_COLUMNS: usize = 9;

/// Reads the facts of customers at `as_of`: their rows, with later changes undone.
///
/// The same function serves live decisions, with nothing after `as_of`, and explanations of old ones. The texts say
/// which facts could not be rebuilt.
pub(in crate::store) async fn contact_facts(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[ContactId],
    as_of: Option<Timestamp>,
) -> Result<(HashMap<ContactId, ContactFacts>, Vec<String>), StoreError> {
    let list: Vec<Value> = ids.iter().map(|id| id.uuid().into()).collect();
    let mut facts = HashMap::with_capacity(ids.len());
    for row in sql::query_in(db, &CONTACTS, &[tenant.uuid().into()], list).await? {
        let contact = read_facts(&Row::Sea(&row))?;
        facts.insert(contact.id, contact);
    }
    let mut not_rebuilt = Vec::new();
    if let Some(as_of) = as_of {
        for contact in facts.values_mut() {
            rewind(db, tenant, contact, as_of, &mut not_rebuilt).await?;
        }
    }
    Ok((facts, not_rebuilt))
}

pub(in crate::store) fn read_facts(row: &Row) -> Result<ContactFacts, StoreError> {
    let (name, profile_name): (String, String) = (row.get(2)?, row.get(3)?);
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let phone = given(row.get(1)?).map(|phone| Phone::parse(&phone)).transpose().map_err(StoreError::stored)?;
    let whatsapp_id =
        row.get::<Option<String>>(8)?.map(|id| WhatsAppId::parse(&id)).transpose().map_err(StoreError::stored)?;
    let mut facts = ContactFacts {
        id: ContactId::new(row.get(0)?),
        phone,
        whatsapp_id,
        name: if name.is_empty() { profile_name } else { name },
        tags: json(&row.get::<String>(4)?)?,
        fields: json(&row.get::<String>(5)?)?,
        opted_out: BTreeSet::new(),
        created_at: Timestamp::from_unix_us(row.get(7)?),
        last_inbound_at: BTreeMap::new(),
        inbound_count: row.get(6)?,
    };
    for (place, channel) in Channel::INBOUND.into_iter().enumerate() {
        let column = CONTACT_COLUMNS + 2 * place;
        if let Some(last_us) = row.get::<Option<i64>>(column)? {
            facts.last_inbound_at.insert(channel, Timestamp::from_unix_us(last_us));
        }
        if row.get(column + 1)? {
            facts.opted_out.insert(channel);
        }
    }
    Ok(facts)
}

/// Reads the customers of the events that will be cached, as they are at the end of the transaction.
pub(in crate::store) async fn read_customers(
    txn: &impl Txn,
    context: &WriterContext,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let mut wanted: HashMap<TenantId, Vec<Value>> = HashMap::new();
    for event in &committed.events {
        if let Some(contact) = event.contact {
            wanted.entry(event.tenant).or_default().push(contact.uuid().into());
        }
    }
    wanted.retain(|tenant, _| context.pending.keeps(*tenant));
    for (tenant, list) in wanted {
        let customers = txn.query_in(&CONTACTS, &[tenant.uuid().into()], list, read_facts).await?;
        committed.customers.extend(customers.into_iter().map(|customer| (customer.id, customer)));
    }
    Ok(())
}

/// Undoes the changes of a customer after `as_of`.
async fn rewind(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: &mut ContactFacts,
    as_of: Timestamp,
    not_rebuilt: &mut Vec<String>,
) -> Result<(), StoreError> {
    let since = [tenant.uuid().into(), contact.id.uuid().into(), as_of.unix_us().into()];
    let later = sql::query(
        db,
        "SELECT kind, name, old FROM contact_history
         WHERE tenant_id = ? AND contact_id = ? AND at_us >= ? ORDER BY at_us DESC, id DESC",
        since.to_vec(),
    )
    .await?;
    for row in later {
        let (kind, name, old): (String, String, Option<String>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let old = old.map(|old| serde_json::from_str::<Json>(&old)).transpose().map_err(StoreError::json)?;
        match (kind.as_str(), old) {
            ("tag", Some(_)) => drop(contact.tags.insert(name)),
            ("tag", None) => drop(contact.tags.remove(&name)),
            ("field", Some(old)) => drop(contact.fields.insert(name, old)),
            ("field", None) => drop(contact.fields.remove(&name)),
            _ => {}
        }
    }
    let of_contact = vec![tenant.uuid().into(), contact.id.uuid().into(), as_of.unix_us().into()];
    contact.last_inbound_at.clear();
    contact.inbound_count = 0;
    let inbound = "SELECT channel, max(at_us), count(*) FROM messages
      WHERE tenant_id = ? AND contact_id = ? AND at_us <= ? AND direction = 'in' GROUP BY channel";
    for row in sql::query(db, inbound, of_contact).await? {
        let channel: String = row.try_get_by_index(0)?;
        let channel = channel.parse().map_err(StoreError::stored)?;
        contact.last_inbound_at.insert(channel, Timestamp::from_unix_us(row.try_get_by_index(1)?));
        contact.inbound_count += row.try_get_by_index::<i64>(2)?;
    }
    contact.opted_out.clear();
    // What was said under either address, oldest first.
    let opt_outs = "SELECT channel, sender, active FROM opt_out_history
      WHERE tenant_id = ? AND at_us <= ? AND peer_key IN ({list}) ORDER BY at_us, id";
    let keys = contact.address_keys().into_iter().map(Value::from).collect();
    for row in sql::query_in(db, opt_outs, &[tenant.uuid().into(), as_of.unix_us().into()], keys).await? {
        let (channel, sender, active): (String, String, bool) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let channel: Channel = channel.parse().map_err(StoreError::stored)?;
        match (active, sender.is_empty()) {
            (true, true) => drop(contact.opted_out.insert(channel)),
            (false, _) => drop(contact.opted_out.remove(&channel)),
            (true, false) => {}
        }
    }
    contact.name = contact.fields.get("name").and_then(Json::as_str).map_or_else(
        || {
            not_rebuilt.push("the name the customer gave themselves is today's".to_owned());
            contact.name.clone()
        },
        str::to_owned,
    );
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(StoreError::json)
}
