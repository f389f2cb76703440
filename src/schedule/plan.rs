//! What is planned, brought in step with the rules and the tenants: at the start, and when either has changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::Snapshot;
use crate::domain::{Facts, NewTimer, Purpose};
use crate::rules::{Pending, RuleSet};
use crate::store::{PendingTimer, Replanned, Store, StoreError, TIMERS_PAGE};

/// The setting that holds which rules' timers are as the rules say: name to timing, as JSON.
const PLANNED_FOR: &str = "timers_planned_for";

/// One timer for each schedule of each tenant: those that are missing are planned from now on, those that are no longer
/// wanted end. One that is due already stays: it is what was missed.
pub async fn schedules(store: &Store, rules: &RuleSet, directory: &Snapshot) -> Result<(), StoreError> {
    let now = store.clock().now();
    let mut wanted = BTreeMap::new();
    for tenant in directory.tenants() {
        let timers = rules.schedules().filter_map(|rule| rules.next_of_schedule(rule, &tenant.facts, now));
        wanted.extend(timers.map(|timer| ((timer.tenant, timer.rule.clone()), timer)));
    }
    let mut gone = Vec::new();
    for timer in store.schedule_timers().await? {
        let key = (timer.tenant, timer.rule.clone());
        // A tenant that could not be read, and a rule that could not be loaded, may come back.
        let known = directory.by_id(timer.tenant).is_some() && rules.knows_of(&timer.rule);
        let stays = match wanted.get(&key) {
            Some(new) => new.timing == timer.timing,
            None => !known,
        };
        if stays {
            // Of two for one schedule, the earlier stays.
            if known && wanted.remove(&key).is_none() {
                gone.push(ended(&timer));
            }
        } else {
            gone.push(ended(&timer));
        }
    }
    for part in gone.chunks(TIMERS_PAGE) {
        store.replan_timers(part).await?;
    }
    let missing: Vec<NewTimer> = wanted.into_values().collect();
    for part in missing.chunks(TIMERS_PAGE) {
        store.plan_timers(part).await?;
    }
    Ok(())
}

/// Timers that hang on events, after their rules have changed: those of rules that are gone end, those of rules that say
/// another time are planned anew from their anchor. Looks at all of them, in pages, only where a rule's timing has changed.
pub async fn changed_rules(store: &Store, rules: &RuleSet, directory: &Snapshot) -> Result<(), StoreError> {
    let timings = serde_json::to_string(&rules.timings()).map_err(|error| StoreError::Stored(error.to_string()))?;
    let planned_for = store.setting(PLANNED_FOR).await?.unwrap_or_default();
    if planned_for == timings {
        return Ok(());
    }
    let (mut ended, mut moved, mut after) = (0, 0, None);
    loop {
        let page = store.timers_after(after).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.due, last.id));
        let (full, replanned) = (page.len() == TIMERS_PAGE, changes(store, rules, directory, &page));
        for part in replanned.chunks(TIMERS_PAGE) {
            store.replan_timers(part).await?;
        }
        ended += replanned.iter().filter(|one| one.by.is_none()).count();
        moved += replanned.iter().filter(|one| one.by.is_some()).count();
        if !full {
            break;
        }
    }
    let new = new_rules(store, rules, directory, &planned_for).await?;
    if ended + moved + new > 0 {
        tracing::info!(ended, moved, new, "timers were planned anew, for their rules have changed");
    }
    store.set_setting(PLANNED_FOR, &timings).await
}

/// Timers of rules that are new and come before something: for what is known of the future by its events. Of an appointment
/// the last word counts; one that is no longer what it says is found void when it fires.
async fn new_rules(
    store: &Store,
    rules: &RuleSet,
    directory: &Snapshot,
    planned_for: &str,
) -> Result<usize, StoreError> {
    // The first start ever has nothing to make up for, but reads nothing either.
    let known: BTreeMap<String, String> = serde_json::from_str(planned_for).unwrap_or_default();
    let before = Purpose::Before.as_str();
    let new: BTreeSet<String> = rules
        .timings()
        .into_iter()
        .filter(|(rule, timing)| timing.starts_with(before) && !known.contains_key(rule))
        .map(|(rule, _)| rule)
        .collect();
    let kinds = rules.kinds_of(&new);
    if kinds.is_empty() {
        return Ok(0);
    }
    let now = store.clock().now();
    let (mut after, mut timers) = (None, BTreeMap::new());
    loop {
        let page = store.events_of_kinds(&kinds, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for event in &page {
            let Some(tenant) = directory.by_id(event.tenant) else { continue };
            let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(now) };
            timers.extend(rules.planned_by(&new, event, &facts).into_iter().map(|timer| (timer.id, timer)));
        }
    }
    let timers: Vec<NewTimer> = timers.into_values().collect();
    for part in timers.chunks(TIMERS_PAGE) {
        store.plan_timers(part).await?;
    }
    Ok(timers.len())
}

fn changes(store: &Store, rules: &RuleSet, directory: &Snapshot, page: &[PendingTimer]) -> Vec<Replanned> {
    let of_event = |purpose: &str| [Purpose::After, Purpose::Before].iter().any(|one| one.as_str() == purpose);
    let change = |timer: &PendingTimer| {
        let tenant = directory.by_id(timer.tenant)?;
        let pending = Pending {
            id: timer.id,
            rule: &timer.rule,
            timing: &timer.timing,
            contact: timer.contact,
            subject: timer.subject,
            payload: &timer.payload,
        };
        let by = rules.replanned(&pending, &tenant.facts, store.clock().now())?;
        Some(Replanned { by, ..self::ended(timer) })
    };
    page.iter().filter(|timer| of_event(&timer.purpose)).filter_map(change).collect()
}

fn ended(timer: &PendingTimer) -> Replanned {
    Replanned { due: timer.due, id: timer.id, tenant: timer.tenant, by: None }
}
