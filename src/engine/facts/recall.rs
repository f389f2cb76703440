//! What a customer was asked and has not answered, and how often rules have run for them: read where rules want to know.

use std::collections::{BTreeMap, HashMap};

use crate::domain::contact::is_silence;
use crate::domain::{CallId, Channel, ContactId, Event, Facts, Timestamp};
use crate::engine::availability::Desk;
use crate::engine::facts::appointments;
use crate::rules::RuleSet;
use crate::store::{Pending, Store, StoreError};
use crate::tenants::Tenant;

/// The facts of a tenant's events as they are at `now`: what is not at hand, in one query; free times for an appointment
/// only where a rule that is asked reads them.
pub async fn facts(
    store: &Store,
    rules: &RuleSet,
    tenant: &Tenant,
    events: Vec<Pending>,
    now: Timestamp,
) -> Result<Vec<(Event, Facts)>, StoreError> {
    let unread = events.iter().filter(|pending| pending.customer.is_none());
    let mut contacts: Vec<ContactId> = unread.filter_map(|pending| pending.event.contact).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let known = match contacts.as_slice() {
        [] => HashMap::new(),
        contacts => store.contact_facts(tenant.id, contacts, None).await?.0,
    };
    let about = &tenant.facts;
    let next = rules.reads_next_appointment();
    let about_them = events.iter().map(|pending| &pending.event);
    let book = appointments::known(store, tenant.id, about_them, now, None, next).await?;
    let with_facts = |Pending { event, customer }| {
        let contact = customer.or_else(|| known.get(&event.contact?).cloned());
        let facts = book.fill(&event, Facts { tenant: about.clone(), contact, ..Facts::empty(now) });
        (event, facts)
    };
    let mut batch: Vec<(Event, Facts)> = events.into_iter().map(with_facts).collect();
    add_calls(store, tenant, &mut batch).await?;
    recall(store, rules, &mut batch, None).await?;
    for (event, facts) in &mut batch {
        if rules.reads_free_slots(event, facts)
            && let Some(next) = &facts.next_appointment
        {
            facts.free_slots = Desk::of(store, tenant).offers(next, now).await?;
        }
    }
    Ok(batch)
}

/// Adds the calls that events are of, as they stand.
async fn add_calls(store: &Store, tenant: &Tenant, batch: &mut [(Event, Facts)]) -> Result<(), StoreError> {
    let of = |event: &Event| event.data.get("call").and_then(|call| call.as_str()?.parse::<CallId>().ok());
    let spoken = batch.iter().filter(|(event, _)| event.channel == Some(Channel::Voice));
    let ids: Vec<CallId> = spoken.filter_map(|(event, _)| of(event)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let calls = store.calls(tenant.id, &ids).await?;
    for (event, facts) in batch.iter_mut().filter(|(event, _)| event.channel == Some(Channel::Voice)) {
        facts.call = of(event).and_then(|id| calls.get(&id).cloned());
    }
    Ok(())
}

/// Adds to the facts of one tenant's events what their customers were asked, and when rules with a limit last ran for
/// them: each with one query, or none where no rule of the events' asks anything or has a limit.
///
/// `until` is when the event was decided, where that is to be told; questions are as they are now.
pub async fn recall(
    store: &Store,
    rules: &RuleSet,
    batch: &mut [(Event, Facts)],
    until: Option<Timestamp>,
) -> Result<(), StoreError> {
    let Some((event, facts)) = batch.first() else { return Ok(()) };
    let (tenant, asks) = (event.tenant, rules.asks(&facts.tenant));
    let mut limited: Vec<ContactId> = Vec::new();
    let mut asked: Vec<ContactId> = Vec::new();
    let mut since: Option<Timestamp> = None;
    for (event, facts) in &*batch {
        let Some(contact) = event.contact else { continue };
        if let Some(from) = rules.looks_back(event, facts) {
            since = since.into_iter().chain([from]).min();
            limited.push(contact);
        }
        if asks || is_silence(event) {
            asked.push(contact);
        }
    }
    for list in [&mut limited, &mut asked] {
        list.sort_unstable();
        list.dedup();
    }
    let firings = match since {
        Some(since) => store.firings(tenant, &limited, since, until).await?,
        None => HashMap::new(),
    };
    let questions = if asked.is_empty() { HashMap::new() } else { store.open_questions(tenant, &asked).await? };
    for (event, facts) in batch {
        let Some(contact) = event.contact else { continue };
        facts.firings = firings.get(&contact).cloned().unwrap_or_default();
        facts.questions = questions.get(&contact).cloned().unwrap_or_else(BTreeMap::new);
    }
    Ok(())
}
