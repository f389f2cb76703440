//! The one way to decide an event. Dispatch, the live call, forecasts and `explain` all take the same three steps:
//!
//! 1. [`facts_of`] reads the facts of events, as they are now or as they were when an event was decided.
//! 2. [`crate::rules::RuleSet::decide`] decides on them. It does no I/O.
//! 3. [`plan()`] makes the rows of a decision: actions with their routes and senders, timers outside quiet hours.
//!
//! Nothing here writes. Dispatch and the live call hand the rows to the writer; a forecast walks on with them.

use std::collections::HashMap;

use crate::domain::contact::ContactFacts;
use crate::domain::{ContactId, Event, Facts, Ids, Timestamp};
use crate::engine::availability::Availability;
use crate::engine::facts::{appointments, calls, history};
use crate::engine::sending::plan;
use crate::rules::{Decision, RuleSet, Trace};
use crate::store::{Decided, Pending, Store, StoreError};
use crate::tenants::{Platform, Tenant};

/// The moment whose facts are wanted.
#[derive(Clone, Copy, Debug)]
pub enum AsOf<'t> {
    /// Now: the facts that a decision is made on.
    Now(Timestamp),
    /// The moment at which the events were decided, as far as it can be rebuilt. [`Facts::not_rebuilt`] names the rest.
    Decided { at: Timestamp, trace: Option<&'t Trace> },
}

impl AsOf<'_> {
    const fn instant(self) -> Timestamp {
        match self {
            Self::Now(at) | Self::Decided { at, .. } => at,
        }
    }

    /// The past moment; `None` for now.
    const fn past(self) -> Option<Timestamp> {
        match self {
            Self::Now(_) => None,
            Self::Decided { at, .. } => Some(at),
        }
    }
}

/// Reads the facts of one tenant's events: a few queries for the whole batch, and none that no rule of theirs needs.
pub async fn facts_of(
    store: &Store,
    rules: &RuleSet,
    tenant: &Tenant,
    events: Vec<Pending>,
    as_of: AsOf<'_>,
) -> Result<Vec<(Event, Facts)>, StoreError> {
    let (known, not_rebuilt) = customers_of(store, tenant, &events, as_of).await?;
    let (now, past) = (as_of.instant(), as_of.past());
    let next = rules.reads_next_appointment();
    let about = events.iter().map(|pending| &pending.event);
    let appointments = appointments::known(store, tenant.id, about, now, past, next).await?;
    let with_facts = |Pending { event, customer }: Pending| {
        let contact = customer.or_else(|| known.get(&event.contact?).cloned());
        let not_rebuilt = not_rebuilt.clone();
        let facts = Facts { tenant: tenant.facts.clone(), contact, not_rebuilt, ..Facts::empty(now) };
        let facts = appointments.fill(&event, facts);
        (event, facts)
    };
    let mut batch: Vec<(Event, Facts)> = events.into_iter().map(with_facts).collect();
    calls::add(store, tenant.id, &mut batch, past).await?;
    history::add(store, rules, &mut batch, past).await?;
    match as_of {
        AsOf::Now(now) => add_free_slots(store, rules, tenant, &mut batch, now).await?,
        AsOf::Decided { trace, .. } => rebuild(rules, &mut batch, trace),
    }
    Ok(batch)
}

/// Reads the customers of events that came without theirs, and says what of them cannot be rebuilt.
async fn customers_of(
    store: &Store,
    tenant: &Tenant,
    events: &[Pending],
    as_of: AsOf<'_>,
) -> Result<(HashMap<ContactId, ContactFacts>, Vec<String>), StoreError> {
    let unread = events.iter().filter(|pending| pending.customer.is_none());
    let mut contacts: Vec<ContactId> = unread.filter_map(|pending| pending.event.contact).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let past = as_of.past();
    if contacts.is_empty() && past.is_none() {
        return Ok((HashMap::new(), Vec::new()));
    }
    let (known, mut not_rebuilt) = store.contact_facts(tenant.id, &contacts, past).await?;
    if past.is_some() {
        not_rebuilt.push("the business's name, zone, language and blueprints are today's".to_owned());
    }
    Ok((known, not_rebuilt))
}

/// Adds free times for an appointment, only where a rule that is asked reads them.
async fn add_free_slots(
    store: &Store,
    rules: &RuleSet,
    tenant: &Tenant,
    batch: &mut [(Event, Facts)],
    now: Timestamp,
) -> Result<(), StoreError> {
    for (event, facts) in batch {
        if rules.reads_free_slots(event, facts)
            && let Some(next) = &facts.next_appointment
        {
            facts.free_slots = Availability::new(store, tenant).offers(next, now).await?;
        }
    }
    Ok(())
}

/// Restores the facts of the past moment that the trace holds.
fn rebuild(rules: &RuleSet, batch: &mut [(Event, Facts)], trace: Option<&Trace>) {
    for (event, facts) in batch {
        // The row of a question goes when the question ends. The trace holds the one that was open.
        let question = trace.and_then(|trace| trace.question.clone());
        facts.questions = question.into_iter().map(|question| (question.channel, question)).collect();
        if rules.reads_free_slots(event, facts) {
            facts.not_rebuilt.push("which times were free is not known any more".to_owned());
        }
    }
}

/// Makes the rows of a decision: its actions with their routes and senders, its timers outside the customer's quiet hours.
/// `facts` are those that it was made on; `ids` gives the instant that orders its rows.
pub fn plan(
    tenant: &Tenant,
    platform: &Platform,
    (event, facts): (&Event, &Facts),
    mut decision: Decision,
    ids: &Ids,
) -> Decided {
    if let Some(customer) = facts.contact.as_ref().filter(|_| !decision.timers.is_empty()) {
        plan::shift_timers(tenant, platform, customer, &mut decision, facts.as_of);
    }
    let Decision { actions, trace, timers, firings, questions, .. } = decision;
    let addresses = facts.contact.as_ref().map(ContactFacts::address_keys).unwrap_or_default();
    let plan_one = |planned| plan::plan(tenant, platform, event, &addresses, planned);
    Decided {
        event: event.id,
        tenant: event.tenant,
        contact: event.contact,
        depth: event.depth,
        at: Timestamp::from_unix_us(ids.tick_us()),
        trace: (!trace.rules.is_empty()).then(|| serde_json::to_string(&trace).unwrap_or_default()),
        actions: actions.into_iter().map(plan_one).collect(),
        firings,
        questions,
        children: Vec::new(),
        timers,
        answer: None,
    }
}
