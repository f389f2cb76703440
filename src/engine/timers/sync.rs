//! What is planned, brought in step with the rules and the tenants: at the start, and when either has changed. What there is
//! to do is found by functions that write nothing, which forecasts ask, too.

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

/// The setting that holds which rules' timers are as the rules say: name to timing, as JSON.
const PLANNED_FOR: &str = "timers_planned_for";

/// What is to become of the timers of schedules.
#[derive(Debug, Default)]
pub struct Schedules {
    pub gone: Vec<Replanned>,
    pub missing: Vec<NewTimer>,
}

impl Schedules {
    /// There is to be one timer for each schedule of each tenant: those that are missing are planned from now on, those that
    /// are no longer wanted end. One that is due already stays: it is what was missed.
    pub async fn look(store: &Store, rules: &RuleSet, directory: &Snapshot) -> Result<Self, StoreError> {
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
        Ok(Self { gone, missing: wanted.into_values().collect() })
    }

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

/// What timers that hang on events are kept in step with.
pub struct Keeper<'k> {
    pub store: &'k Store,
    pub rules: &'k RuleSet,
    pub directory: &'k Snapshot,
    pub platform: &'k Platform,
}

/// What is another than it was when timers were last planned.
pub struct Changed {
    /// As the setting is to have it.
    planned_for: String,
    /// Tenants whose quiet hours are others.
    nights: BTreeSet<TenantId>,
    /// Rules that were not there, and rules that a tenant has not used, with what they say of time.
    new: BTreeMap<String, String>,
}

impl Keeper<'_> {
    /// Timers that hang on events, after their rules have changed: those of rules that are gone end, those of rules that say
    /// another time are planned anew from their anchor. Rules that are new, and those that a tenant has come to use, get
    /// timers for what lies ahead. Looks at all timers, in pages, only where something of it has changed.
    pub async fn keep(&self) -> Result<(), StoreError> {
        let Some(changed) = self.changed().await? else { return Ok(()) };
        let store = self.store;
        let (mut ended, mut moved, mut new, mut after) = (0, 0, 0, None);
        loop {
            let page = store.timers_after(after).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.due, last.id));
            let replanned = self.replanned(&page, &changed).await?;
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

    /// `None` where timers are as these rules and tenants say.
    pub async fn changed(&self) -> Result<Option<Changed>, StoreError> {
        let planned = self.planned_for();
        let text = serde_json::to_string(&planned).map_err(|error| StoreError::Stored(error.to_string()))?;
        let known = self.store.setting(PLANNED_FOR).await?.unwrap_or_default();
        if known == text {
            return Ok(None);
        }
        // The first start ever has nothing to make up for, but finds nothing either.
        let known: BTreeMap<String, String> = serde_json::from_str(&known).unwrap_or_default();
        let tenants = self.directory.tenants().map(|tenant| tenant.id);
        let nights = tenants.filter(|id| differs(&planned, &known, &night_of(*id))).collect();
        let new = planned.into_iter().filter(|(name, _)| !known.contains_key(name)).collect();
        Ok(Some(Changed { planned_for: text, nights, new }))
    }

    /// What becomes of these timers: none is written down.
    pub async fn replanned(&self, page: &[PendingTimer], changed: &Changed) -> Result<Vec<Replanned>, StoreError> {
        let mut replanned = self.changes(page, &changed.nights);
        self.aim(replanned.iter_mut().filter_map(|one| one.by.as_mut())).await?;
        Ok(replanned)
    }

    /// The timers of rules that are new: those of one tenant, or of all. They are found page by page, none is written down.
    pub fn new_timers(&self, changed: &Changed, only: Option<TenantId>) -> NewTimers<'_> {
        let of_tenant = |tenant: &Arc<Tenant>| {
            let is_new = |rule: &&RuleInfo| match rule.blueprint {
                true => uses(tenant, &rule.name) && changed.new.contains_key(&name_for(&rule.name, tenant)),
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
            keeper: self,
            only,
            tenants: tenants.map(of_tenant).filter(|(_, rules)| !rules.is_empty()).collect(),
            after: None,
            others: changed.new.iter().filter(other).map(|(rule, _)| rule.clone()).collect(),
        }
    }

    /// Each rule that waits, with what it says of time; a blueprint once for each tenant that uses it. And each tenant's
    /// quiet hours, which timers keep.
    fn planned_for(&self) -> BTreeMap<String, String> {
        let timings = self.rules.timings();
        let blueprints: BTreeSet<&str> =
            self.rules.rules().filter(|rule| rule.blueprint).map(|rule| rule.name.as_str()).collect();
        let mut planned = BTreeMap::new();
        for (rule, timing) in timings {
            if blueprints.contains(rule.as_str()) {
                let users = self.directory.tenants().filter(|tenant| uses(tenant, &rule));
                planned.extend(users.map(|tenant| (name_for(&rule, tenant), timing.clone())));
            }
            planned.insert(rule, timing);
        }
        for tenant in self.directory.tenants() {
            let nights = format!("{:?} {:?} {}", tenant.settings.quiet, self.platform.quiet, tenant.zone);
            planned.insert(night_of(tenant.id), nights);
        }
        planned
    }

    /// Moves timers out of their customers' quiet hours; one that would have to leave in the past keeps its time, and the gate
    /// says why it cannot leave then.
    async fn aim(&self, timers: impl Iterator<Item = &mut NewTimer>) -> Result<(), StoreError> {
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
                    let aimed = plan::aim(tenant, self.platform, customer, timer);
                    timer.due = if aimed > now { aimed } else { timer.due };
                }
            }
        }
        Ok(())
    }

    /// Timers whose rules say another time, or whose tenants have other quiet hours.
    fn changes(&self, page: &[PendingTimer], moved_nights: &BTreeSet<TenantId>) -> Vec<Replanned> {
        let of_event = |purpose: &str| [Purpose::After, Purpose::Before].iter().any(|one| one.as_str() == purpose);
        let change = |timer: &PendingTimer| {
            let tenant = self.directory.by_id(timer.tenant)?;
            let anyway = timer.purpose == Purpose::Before.as_str() && moved_nights.contains(&timer.tenant);
            let by = self.rules.replanned(&pending_of(timer), &tenant.facts, self.store.clock().now(), anyway)?;
            Some(Replanned { by, ..ended(timer) })
        };
        page.iter().filter(|timer| of_event(&timer.purpose)).filter_map(change).collect()
    }
}

/// A timer's row as the rules look at it.
pub fn pending_of(timer: &PendingTimer) -> StoredTimer<'_> {
    StoredTimer {
        id: timer.id,
        rule: &timer.rule,
        timing: &timer.timing,
        contact: timer.contact,
        subject: timer.subject,
        payload: &timer.payload,
    }
}

/// Timers of rules that are new, for what lies ahead.
pub struct NewTimers<'k> {
    keeper: &'k Keeper<'k>,
    only: Option<TenantId>,
    /// Those whose appointments are to be looked at yet, each with the rules that are new to it.
    tenants: Vec<(Arc<Tenant>, BTreeSet<String>)>,
    /// Behind which appointment of the last one's to go on.
    after: Option<(Timestamp, AppointmentId)>,
    /// Rules that come before something else.
    others: BTreeSet<String>,
}

impl NewTimers<'_> {
    /// Some more, each at a time when it may leave; `None` where there are no more.
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

    /// For a page of the appointments that lie ahead.
    async fn before_appointments(
        &mut self,
        tenant: &Tenant,
        rules: &BTreeSet<String>,
    ) -> Result<Vec<NewTimer>, StoreError> {
        let Keeper { store, rules: all, .. } = self.keeper;
        let now = store.clock().now();
        let filter = Filter { from: Some(now), after: self.after, limit: TIMERS_PAGE, ..Filter::default() };
        let page = store.appointments(tenant.id, &filter).await?;
        let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(now) };
        let active = page.iter().filter(|one| one.facts().is_active());
        let mut timers: Vec<NewTimer> =
            active.flat_map(|one| all.planned_by(rules, &booked(tenant.id, one), &facts)).collect();
        self.keeper.aim(timers.iter_mut()).await?;
        self.after = page.last().filter(|_| page.len() == TIMERS_PAGE).map(|last| (last.starts_at, last.id));
        if self.after.is_none() {
            self.tenants.pop();
        }
        Ok(timers)
    }

    /// For what is known of the future by its events.
    async fn before_others(&self, rules: &BTreeSet<String>) -> Result<Vec<NewTimer>, StoreError> {
        let Keeper { store, rules: all, directory, .. } = self.keeper;
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
        self.keeper.aim(timers.iter_mut()).await?;
        Ok(timers)
    }
}

/// Whether something that was known is another now.
fn differs(planned: &BTreeMap<String, String>, known: &BTreeMap<String, String>, name: &str) -> bool {
    known.get(name).is_some_and(|known| planned.get(name) != Some(known))
}

fn night_of(tenant: TenantId) -> String {
    format!("quiet hours @ {tenant}")
}

fn uses(tenant: &Tenant, rule: &str) -> bool {
    tenant.settings.blueprints.contains_key(rule)
}

fn name_for(rule: &str, tenant: &Tenant) -> String {
    format!("{rule} @ {}", tenant.id)
}

/// The event that an appointment was booked with, as far as timers hang on it.
fn booked(tenant: TenantId, appointment: &Appointment) -> Event {
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

fn ended(timer: &PendingTimer) -> Replanned {
    Replanned { due: timer.due, id: timer.id, tenant: timer.tenant, by: None }
}
