//! Brings timers in step with the rules and the tenants, at the start and when either has changed. The functions that find
//! the differences write nothing, so that forecasts use them, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{
    AppointmentId, ContactId, Event, EventId, EventKind, Facts, NewTimer, Purpose, TenantId, Timestamp,
};
use crate::engine::sending::plan;
use crate::rules::{RuleInfo, RuleSet, StoredTimer};
use crate::store::tables::appointments::{Appointment, Filter};
use crate::store::{PendingTimer, Replanned, Store, StoreError, TIMERS_PAGE};
use crate::tenants::{Platform, Snapshot, Tenant};

/// The setting that tells which timings the timers were planned by: rule to timing, as JSON.
const PLANNED_FOR: &str = "timers_planned_for";

/// The timers of schedules that must go and those that are missing.
#[derive(Debug, Default)]
pub struct Schedules {
    pub gone: Vec<Replanned>,
    pub missing: Vec<NewTimer>,
}

impl Schedules {
    /// Compares the timers with the schedules: each schedule of each tenant has one timer. Missing ones are planned from now
    /// on, unwanted ones end. A timer that is due already stays: it is a time that was missed.
    pub async fn compare(store: &Store, rules: &RuleSet, directory: &Snapshot) -> Result<Self, StoreError> {
        let now = store.clock().now();
        let mut wanted = BTreeMap::new();
        for tenant in directory.tenants() {
            let timers = rules.schedules().filter_map(|rule| rules.next_of_schedule(rule, &tenant.facts, now));
            wanted.extend(timers.map(|timer| ((timer.tenant, timer.rule.clone()), timer)));
        }
        let mut gone = Vec::new();
        for timer in store.schedule_timers().await? {
            let key = (timer.tenant, timer.rule.clone());
            // A tenant that could not be read may come back, and so may a rule that could not be loaded.
            let known = directory.by_id(timer.tenant).is_some() && rules.knows_of(&timer.rule);
            let stays = match wanted.get(&key) {
                Some(new) => new.timing == timer.timing,
                None => !known,
            };
            if stays {
                // If a schedule has two timers, the earlier stays.
                if known && wanted.remove(&key).is_none() {
                    gone.push(removal(&timer));
                }
            } else {
                gone.push(removal(&timer));
            }
        }
        Ok(Self { gone, missing: wanted.into_values().collect() })
    }

    /// Writes the differences.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        for part in self.gone.chunks(TIMERS_PAGE) {
            store.replan_timers(part).await?;
        }
        for part in self.missing.chunks(TIMERS_PAGE) {
            store.plan_timers(part).await?;
        }
        Ok(())
    }
}

/// Keeps timers that hang on events in step with the rules and the tenants.
pub struct TimerSync<'k> {
    pub store: &'k Store,
    pub rules: &'k RuleSet,
    pub directory: &'k Snapshot,
    pub platform: &'k Platform,
}

/// The differences since timers were last planned.
pub struct TimerChanges {
    /// The new value of the setting.
    planned_for: String,
    /// Tenants whose quiet hours have changed.
    quiet_changed: BTreeSet<TenantId>,
    /// New rules, and rules that a tenant has newly enabled, with their timings.
    new: BTreeMap<String, String>,
}

impl TimerSync<'_> {
    /// Writes the differences. Timers of removed rules end. Timers whose rules have another timing are planned again from
    /// their anchor. New rules, and rules that a tenant has newly enabled, get timers for the events that lie ahead. It reads
    /// all timers, in pages, only where something has changed.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let Some(changed) = self.find_changes().await? else { return Ok(()) };
        let store = self.store;
        let (mut ended, mut moved, mut new, mut after) = (0, 0, 0, None);
        loop {
            let page = store.timers_after(after).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.due, last.id));
            let replanned = self.replan_page(&page, &changed).await?;
            for part in replanned.chunks(TIMERS_PAGE) {
                store.replan_timers(part).await?;
            }
            ended += replanned.iter().filter(|one| one.by.is_none()).count();
            moved += replanned.iter().filter(|one| one.by.is_some()).count();
            if page.len() < TIMERS_PAGE {
                break;
            }
        }
        let mut coming = self.new_timers(&changed, None);
        while let Some(timers) = coming.next().await? {
            new += timers.len();
            for part in timers.chunks(TIMERS_PAGE) {
                store.plan_timers(part).await?;
            }
        }
        if ended + moved + new > 0 {
            tracing::info!(ended, moved, new, "timers were planned anew, for their rules have changed");
        }
        store.set_setting(PLANNED_FOR, &changed.planned_for).await
    }

    /// Finds the differences; `None` where timers are in step.
    pub async fn find_changes(&self) -> Result<Option<TimerChanges>, StoreError> {
        let planned = self.planned_for();
        let text = serde_json::to_string(&planned).map_err(|error| StoreError::Stored(error.to_string()))?;
        let known = self.store.setting(PLANNED_FOR).await?.unwrap_or_default();
        if known == text {
            return Ok(None);
        }
        // At the very first start everything counts as changed, but there are no timers yet.
        let known: BTreeMap<String, String> = serde_json::from_str(&known).unwrap_or_default();
        let tenants = self.directory.tenants().map(|tenant| tenant.id);
        let quiet_changed = tenants.filter(|id| differs(&planned, &known, &quiet_key(*id))).collect();
        let new = planned.into_iter().filter(|(name, _)| !known.contains_key(name)).collect();
        Ok(Some(TimerChanges { planned_for: text, quiet_changed, new }))
    }

    /// The changes to these timers. Nothing is written.
    pub async fn replan_page(
        &self,
        page: &[PendingTimer],
        changed: &TimerChanges,
    ) -> Result<Vec<Replanned>, StoreError> {
        let mut replanned = self.replan_changed(page, &changed.quiet_changed);
        self.shift_out_of_quiet_hours(replanned.iter_mut().filter_map(|one| one.by.as_mut())).await?;
        Ok(replanned)
    }

    /// The timers of new rules, for one tenant or for all, page by page. Nothing is written.
    pub fn new_timers(&self, changed: &TimerChanges, only: Option<TenantId>) -> NewTimers<'_> {
        let of_tenant = |tenant: &Arc<Tenant>| {
            let is_new = |rule: &&RuleInfo| match rule.blueprint {
                true => {
                    is_enabled_for(tenant, &rule.name) && changed.new.contains_key(&setting_key(&rule.name, tenant))
                }
                false => changed.new.contains_key(&rule.name),
            };
            let rules = self.rules.before_appointments().filter(is_new).map(|rule| rule.name.clone());
            (tenant.clone(), rules.collect::<BTreeSet<String>>())
        };
        let tenants = self.directory.tenants().filter(|tenant| only.is_none_or(|only| only == tenant.id));
        let appointments: BTreeSet<&str> = self.rules.before_appointments().map(|rule| rule.name.as_str()).collect();
        let other = |(rule, timing): &(&String, &String)| {
            timing.starts_with(Purpose::Before.as_str()) && !appointments.contains(rule.as_str())
        };
        NewTimers {
            timer_sync: self,
            only,
            tenants: tenants.map(of_tenant).filter(|(_, rules)| !rules.is_empty()).collect(),
            after: None,
            others: changed.new.iter().filter(other).map(|(rule, _)| rule.clone()).collect(),
        }
    }

    /// The value of the setting: each rule with a timing, a blueprint once for each tenant that has enabled it, and the quiet
    /// hours of each tenant.
    fn planned_for(&self) -> BTreeMap<String, String> {
        let timings = self.rules.timings();
        let blueprints: BTreeSet<&str> =
            self.rules.rules().filter(|rule| rule.blueprint).map(|rule| rule.name.as_str()).collect();
        let mut planned = BTreeMap::new();
        for (rule, timing) in timings {
            if blueprints.contains(rule.as_str()) {
                let users = self.directory.tenants().filter(|tenant| is_enabled_for(tenant, &rule));
                planned.extend(users.map(|tenant| (setting_key(&rule, tenant), timing.clone())));
            }
            planned.insert(rule, timing);
        }
        for tenant in self.directory.tenants() {
            let quiet = format!("{:?} {:?} {}", tenant.settings.quiet, self.platform.quiet, tenant.zone);
            planned.insert(quiet_key(tenant.id), quiet);
        }
        planned
    }

    /// Shifts timers out of their customers' quiet hours. A timer that would land in the past keeps its time, and the gate tells
    /// why its message cannot leave then.
    async fn shift_out_of_quiet_hours(&self, timers: impl Iterator<Item = &mut NewTimer>) -> Result<(), StoreError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<&mut NewTimer>> = BTreeMap::new();
        for timer in timers.filter(|timer| timer.purpose == Purpose::Before && timer.contact.is_some()) {
            by_tenant.entry(timer.tenant).or_default().push(timer);
        }
        let now = self.store.clock().now();
        for (id, timers) in by_tenant {
            let Some(tenant) = self.directory.by_id(id) else { continue };
            let contacts: BTreeSet<ContactId> = timers.iter().filter_map(|timer| timer.contact).collect();
            let contacts: Vec<ContactId> = contacts.into_iter().collect();
            let (known, _) = self.store.contact_facts(id, &contacts, None).await?;
            for timer in timers {
                if let Some(customer) = timer.contact.and_then(|contact| known.get(&contact)) {
                    let due = plan::shift_out_of_quiet_hours(tenant, self.platform, customer, timer);
                    timer.due = if due > now { due } else { timer.due };
                }
            }
        }
        Ok(())
    }

    /// The changes to timers whose rules have another timing, or whose tenants have other quiet hours.
    fn replan_changed(&self, page: &[PendingTimer], quiet_changed: &BTreeSet<TenantId>) -> Vec<Replanned> {
        let of_event = |purpose: &str| [Purpose::After, Purpose::Before].iter().any(|one| one.as_str() == purpose);
        let change = |timer: &PendingTimer| {
            let tenant = self.directory.by_id(timer.tenant)?;
            let anyway = timer.purpose == Purpose::Before.as_str() && quiet_changed.contains(&timer.tenant);
            let by = self.rules.replan(&stored_timer(timer), &tenant.facts, self.store.clock().now(), anyway)?;
            Some(Replanned { by, ..removal(timer) })
        };
        page.iter().filter(|timer| of_event(&timer.purpose)).filter_map(change).collect()
    }
}

/// A timer's row as the rules read it.
pub fn stored_timer(timer: &PendingTimer) -> StoredTimer<'_> {
    StoredTimer {
        id: timer.id,
        rule: &timer.rule,
        timing: &timer.timing,
        contact: timer.contact,
        subject: timer.subject,
        payload: &timer.payload,
    }
}

/// The timers of new rules, for the events that lie ahead.
pub struct NewTimers<'k> {
    timer_sync: &'k TimerSync<'k>,
    only: Option<TenantId>,
    /// Tenants whose appointments are still to be read, each with the rules that are new to it.
    tenants: Vec<(Arc<Tenant>, BTreeSet<String>)>,
    /// The cursor within the appointments of the last tenant.
    after: Option<(Timestamp, AppointmentId)>,
    /// New rules that come before something other than an appointment.
    others: BTreeSet<String>,
}

impl NewTimers<'_> {
    /// Gives some more timers, outside quiet hours; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<NewTimer>>, StoreError> {
        while let Some((tenant, rules)) = self.tenants.last().cloned() {
            let timers = self.before_appointments(&tenant, &rules).await?;
            if !timers.is_empty() {
                return Ok(Some(timers));
            }
        }
        let others = std::mem::take(&mut self.others);
        let timers = self.before_others(&others).await?;
        Ok((!timers.is_empty()).then_some(timers))
    }

    /// The timers for a page of the appointments that lie ahead.
    async fn before_appointments(
        &mut self,
        tenant: &Tenant,
        rules: &BTreeSet<String>,
    ) -> Result<Vec<NewTimer>, StoreError> {
        let TimerSync { store, rules: all, .. } = self.timer_sync;
        let now = store.clock().now();
        let filter = Filter { from: Some(now), after: self.after, limit: TIMERS_PAGE, ..Filter::default() };
        let page = store.appointments(tenant.id, &filter).await?;
        let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(now) };
        let active = page.iter().filter(|one| one.facts().is_active());
        let mut timers: Vec<NewTimer> =
            active.flat_map(|one| all.planned_by(rules, &booking_event(tenant.id, one), &facts)).collect();
        self.timer_sync.shift_out_of_quiet_hours(timers.iter_mut()).await?;
        self.after = page.last().filter(|_| page.len() == TIMERS_PAGE).map(|last| (last.starts_at, last.id));
        if self.after.is_none() {
            self.tenants.pop();
        }
        Ok(timers)
    }

    /// The timers for other future times, as events tell them.
    async fn before_others(&self, rules: &BTreeSet<String>) -> Result<Vec<NewTimer>, StoreError> {
        let TimerSync { store, rules: all, directory, .. } = self.timer_sync;
        let kinds = all.kinds_of(rules);
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let now = store.clock().now();
        let (mut after, mut timers) = (None, BTreeMap::new());
        loop {
            let page = store.events_of_kinds(&kinds, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for event in page.iter().filter(|event| self.only.is_none_or(|only| only == event.tenant)) {
                let Some(tenant) = directory.by_id(event.tenant) else { continue };
                let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(now) };
                timers.extend(all.planned_by(rules, event, &facts).into_iter().map(|timer| (timer.id, timer)));
            }
        }
        let mut timers: Vec<NewTimer> = timers.into_values().collect();
        self.timer_sync.shift_out_of_quiet_hours(timers.iter_mut()).await?;
        Ok(timers)
    }
}

/// Whether a value that was known has changed.
fn differs(planned: &BTreeMap<String, String>, known: &BTreeMap<String, String>, name: &str) -> bool {
    known.get(name).is_some_and(|known| planned.get(name) != Some(known))
}

fn quiet_key(tenant: TenantId) -> String {
    format!("quiet hours @ {tenant}")
}

fn is_enabled_for(tenant: &Tenant, rule: &str) -> bool {
    tenant.settings.blueprints.contains_key(rule)
}

fn setting_key(rule: &str, tenant: &Tenant) -> String {
    format!("{rule} @ {}", tenant.id)
}

/// The event of an appointment's booking, as far as timers hang on it.
fn booking_event(tenant: TenantId, appointment: &Appointment) -> Event {
    Event {
        id: EventId::new(appointment.id.uuid()),
        tenant,
        kind: EventKind::APPOINTMENT_BOOKED,
        channel: None,
        contact: appointment.contact,
        occurred_at: appointment.created_at,
        dedupe_key: None,
        depth: 0,
        data: serde_json::json!({ "appointment": appointment.facts() }),
    }
}

fn removal(timer: &PendingTimer) -> Replanned {
    Replanned { due: timer.due, id: timer.id, tenant: timer.tenant, by: None }
}
