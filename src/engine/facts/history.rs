//! A customer's open questions, and the last runs of rules that have a limit.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::contact::is_silence;
use crate::domain::{ContactId, Event, Facts, Timestamp};
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};

/// Adds to the facts of one tenant's events the open questions of their customers, and when rules with a limit last ran
/// for them. Each costs one query, or none where no rule of the events' asks anything or has a limit.
///
/// `until` leaves out later runs of rules: it is when the event was decided. Questions are as they are now.
pub async fn add(
    store: &Store,
    rules: &RuleSet,
    batch: &mut [(Event, Facts)],
    until: Option<Timestamp>,
) -> Result<(), StoreError> {
    let Some((event, facts)) = batch.first() else { return Ok(()) };
    let (tenant, asks) = (event.tenant, rules.has_questions(&facts.tenant));
    let mut limited: Vec<ContactId> = Vec::new();
    let mut asked: Vec<ContactId> = Vec::new();
    let mut since: Option<Timestamp> = None;
    for (event, facts) in &*batch {
        let Some(contact) = event.contact else { continue };
        if let Some(from) = rules.firings_since(event, facts) {
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
    // A message answers no question that the customer has not got yet.
    let unasked = if questions.is_empty() { HashSet::new() } else { store.unasked_questions(tenant, &asked).await? };
    for (event, facts) in batch {
        let Some(contact) = event.contact else { continue };
        facts.firings = firings.get(&contact).cloned().unwrap_or_default();
        facts.questions = questions.get(&contact).cloned().unwrap_or_else(BTreeMap::new);
        if !is_silence(event) {
            facts.questions.retain(|_, question| !unasked.contains(&question.id));
        }
    }
    Ok(())
}
