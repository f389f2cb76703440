//! The way through the time ahead, one thing after another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::outlook::{Due, Outlook};
use super::{DECIDED_MAX, FORECAST_MAX, Forecast, Means};
use crate::directory::{Snapshot, Tenant};
use crate::domain::clock::Random;
use crate::domain::contact::ContactFacts;
use crate::domain::timer::Anchor;
use crate::domain::{
    Action, Change, Clock, ContactId, Effect, Event, Facts, Ids, Purpose, QuestionChange, TenantId, TimerId, Timestamp,
};
use crate::pipeline::page::{cursor, follow};
use crate::pipeline::{recall, write_down};
use crate::rules::{self, Decision, PAGE_CONTACTS, SoFar};
use crate::store::{Decided, Pending, PendingTimer, PlannedSend, StoreError, TIMERS_PAGE, silence_of};

/// What happens at an instant, in the engine's order.
enum Item {
    Timer(PendingTimer),
    /// With what has led to it.
    Event(Event, String),
    Send(Box<Due>),
}

impl Item {
    const fn rank(&self) -> u8 {
        match self {
            Self::Timer(_) => 0,
            Self::Event(..) => 1,
            Self::Send(_) => 2,
        }
    }
}

pub(super) struct Walk<'a> {
    means: &'a Means<'a>,
    tenant: Option<TenantId>,
    snapshot: Arc<Snapshot>,
    from: Timestamp,
    until: Timestamp,
    clock: Clock,
    ids: Ids,
    /// By instant, rank, and the order in which they came.
    queue: BTreeMap<(Timestamp, u8, u64), Item>,
    came: u64,
    /// Rows of timers that were read: the last one, and whether there are more.
    read: Option<(Timestamp, TimerId)>,
    more: bool,
    met: HashSet<(Timestamp, TimerId)>,
    /// The schedules' timers as these rules say, until their rows are met.
    schedules: BTreeMap<(TenantId, String), PendingTimer>,
    customers: HashMap<ContactId, ContactFacts>,
    so_far: HashMap<ContactId, SoFar>,
    outlook: Outlook<'a>,
    decided: usize,
}

impl<'a> Walk<'a> {
    pub fn new(means: &'a Means<'a>, tenant: Option<TenantId>, until: Timestamp) -> Self {
        let from = means.store.clock().now();
        let clock = Clock::simulated(from);
        // Its ids are told to nobody.
        let ids = Ids::new(clock.clone(), Random::seeded(from.unix_us() as u64));
        let snapshot = means.directory.now();
        Self {
            means,
            tenant,
            from,
            until,
            ids,
            clock,
            queue: BTreeMap::new(),
            came: 0,
            read: None,
            more: true,
            met: HashSet::new(),
            schedules: BTreeMap::new(),
            customers: HashMap::new(),
            so_far: HashMap::new(),
            outlook: Outlook::new(means, from),
            snapshot,
            decided: 0,
        }
    }

    pub async fn run(mut self) -> Result<Forecast, StoreError> {
        self.begin().await?;
        let mut cut = None;
        loop {
            self.read_timers().await?;
            let Some((key, item)) = self.queue.pop_first() else { break };
            if self.outlook.foreseen.len() >= FORECAST_MAX || self.decided >= DECIDED_MAX {
                cut = Some(key.0);
                break;
            }
            self.clock.set(key.0);
            match item {
                Item::Timer(timer) => self.fire(&timer),
                Item::Event(event, why) => self.decide(event, why).await?,
                Item::Send(due) => self.send(*due, key.0).await?,
            }
        }
        Ok(Forecast { from: self.from, until: self.until, sends: self.outlook.foreseen, cut })
    }

    /// What is planned already, and the schedules' next times.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let snapshot = self.snapshot.clone();
        let wanted = self.tenant;
        for tenant in snapshot.tenants().filter(|tenant| wanted.is_none_or(|only| only == tenant.id)) {
            for send in self.means.store.planned_sends(tenant.id, self.until).await? {
                let why = send.reason.clone().map_or_else(|| "planned".to_owned(), |why| format!("planned; {why}"));
                self.put(send.due, Item::Send(Box::new(Due::new(send, why))));
            }
            let rules = self.means.rules;
            let timers = rules.schedules().filter_map(|rule| rules.next_of_schedule(rule, &tenant.facts, self.from));
            self.schedules.extend(timers.map(|timer| ((tenant.id, timer.rule.clone()), timer.into())));
        }
        for row in self.means.store.schedule_timers().await? {
            let key = (row.tenant, row.rule.clone());
            if self.schedules.get(&key).is_some_and(|timer| timer.timing == row.timing) {
                self.schedules.remove(&key);
            }
        }
        for timer in std::mem::take(&mut self.schedules).into_values() {
            self.met.insert((timer.due, timer.id));
            self.put(timer.due, Item::Timer(timer));
        }
        Ok(())
    }

    fn put(&mut self, at: Timestamp, item: Item) {
        let at = at.max(self.clock.now());
        if at <= self.until {
            self.came += 1;
            self.queue.insert((at, item.rank(), self.came), item);
        }
    }

    /// Reads on where rows may fall due before what is at hand.
    async fn read_timers(&mut self) -> Result<(), StoreError> {
        while self.more {
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            if next.zip(self.read).is_some_and(|(next, (read, _))| next < read) {
                return Ok(());
            }
            let page = self.means.store.timers_ahead(self.tenant, self.read).await?;
            self.more = page.len() == TIMERS_PAGE && page.last().is_some_and(|last| last.due <= self.until);
            self.read = page.last().map(|last| (last.due, last.id)).or(self.read);
            for timer in page {
                self.plan(timer);
            }
        }
        Ok(())
    }

    /// A timer's row, as it will be once the rules as they are now have been looked at.
    fn plan(&mut self, timer: PendingTimer) {
        let Some(tenant) = self.snapshot.by_id(timer.tenant) else { return };
        let rules = self.means.rules;
        let now = self.clock.now();
        if timer.purpose == Purpose::Cron.as_str() {
            let as_said = rules.next_of_schedule(&timer.rule, &tenant.facts, now);
            if as_said.is_none_or(|new| new.timing != timer.timing) {
                return;
            }
        }
        let hangs = [Purpose::After, Purpose::Before].iter().any(|one| one.as_str() == timer.purpose);
        let pending = rules::Pending {
            id: timer.id,
            rule: &timer.rule,
            timing: &timer.timing,
            contact: timer.contact,
            subject: timer.subject,
            payload: &timer.payload,
        };
        let timer = match rules.replanned(&pending, &tenant.facts, now, false).filter(|_| hangs) {
            None => Some(timer),
            Some(by) => by.map(PendingTimer::from),
        };
        self.promise(timer);
    }

    fn promise(&mut self, timers: impl IntoIterator<Item = PendingTimer>) {
        for timer in timers {
            if self.met.insert((timer.due, timer.id)) {
                self.put(timer.due, Item::Timer(timer));
            }
        }
    }

    /// A timer falls due: its event, and the next time of a schedule.
    fn fire(&mut self, timer: &PendingTimer) {
        let now = self.clock.now();
        if timer.subject.is_some_and(|subject| self.outlook.ended.contains_key(&subject)) {
            return;
        }
        // One that cannot be read is set aside, and sends nothing.
        let Ok((event, due)) = timer.fired(self.ids.next(), now) else { return };
        if due.purpose == Purpose::Cron
            && let Some(tenant) = self.snapshot.by_id(due.tenant)
        {
            let next = self.means.rules.follows(&due.rule, due.due, &tenant.facts, now);
            self.promise(next.map(PendingTimer::from));
        }
        self.put(now, Item::Event(event, why_of(timer)));
    }

    async fn decide(&mut self, event: Event, why: String) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(event.tenant).cloned() else { return Ok(()) };
        self.decided += 1;
        let (rules, now) = (self.means.rules, self.clock.now());
        if rules.is_page(&event) {
            return self.decide_page(&tenant, &event, &why).await;
        }
        let customer = event.contact.and_then(|contact| self.customers.get(&contact).cloned());
        let pending = vec![Pending { event, customer }];
        let facts = recall::facts(self.means.store, rules, &tenant, pending, now).await?;
        for (event, mut facts) in facts {
            if let Some(so_far) = event.contact.and_then(|contact| self.so_far.get(&contact)) {
                so_far.show_in(&mut facts);
            }
            let decision = rules.decide(&event, &facts);
            self.note(&event, &decision);
            let keys = facts.contact.as_ref().map(ContactFacts::address_keys).unwrap_or_default();
            let at = Timestamp::from_unix_us(self.ids.tick_us());
            let decided = write_down(&tenant, self.means.directory.platform(), &event, &keys, decision, at);
            self.follow(&decided, &facts, &why)?;
        }
        Ok(())
    }

    /// A page of customers: the filter is asked about what they are by then.
    async fn decide_page(&mut self, tenant: &Tenant, event: &Event, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let of = |contact| Facts { tenant: tenant.facts.clone(), contact, ..Facts::empty(now) };
        let mut contacts = self.means.store.contacts_after(tenant.id, cursor(event), PAGE_CONTACTS).await?;
        for contact in &mut contacts {
            self.customers.insert(contact.id, contact.clone());
            if let Some(so_far) = self.so_far.get(&contact.id) {
                let mut facts = of(Some(contact.clone()));
                so_far.show_in(&mut facts);
                *contact = facts.contact.unwrap_or_else(|| contact.clone());
            }
        }
        let page = self.means.rules.page(event, &of(None), contacts, Duration::MAX);
        let at = Timestamp::from_unix_us(self.ids.tick_us());
        let (children, next) = follow(&self.ids, event, &page, at, now);
        for child in children {
            self.put(now, Item::Event(child, why.to_owned()));
        }
        self.promise(next.map(PendingTimer::from));
        Ok(())
    }

    /// What a decision does to the customer shows in what comes later.
    fn note(&mut self, event: &Event, decision: &Decision) {
        let Some(contact) = event.contact else { return };
        self.so_far.entry(contact).or_default().add(decision);
        let asked = decision.questions.iter().filter_map(|change| match change {
            QuestionChange::Open(question) => Some(silence_of(event.tenant, contact, question)),
            QuestionChange::Close(_) => None,
        });
        let asked: Vec<PendingTimer> = asked.map(PendingTimer::from).collect();
        self.promise(asked);
    }

    /// What a decision plans.
    fn follow(&mut self, decided: &Decided, facts: &Facts, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        for event in decided.emitted(&self.ids) {
            let why = format!("{why}, then {}", event.kind);
            self.put(now, Item::Event(event, why));
        }
        self.promise(decided.timers.iter().cloned().map(PendingTimer::from).collect::<Vec<_>>());
        for action in &decided.actions {
            if let Action::Effect(effect) = &action.action {
                self.change_appointment(decided, effect, facts, why);
            }
            let due = action.due.filter(|due| *due > now).unwrap_or(now);
            if let Some(send) = PlannedSend::of(action, due)? {
                self.put(due, Item::Send(Box::new(Due::new(send, why.to_owned()))));
            }
        }
        Ok(())
    }

    /// A rule that confirms or cancels the appointment that its event is about.
    fn change_appointment(&mut self, decided: &Decided, effect: &Effect, facts: &Facts, why: &str) {
        let Some((id, change)) = effect.of_appointment() else { return };
        let Some(mut appointment) = facts.appointment.clone().filter(|known| known.id == id) else { return };
        let before = appointment.state.clone();
        appointment.apply(change);
        if appointment.state == before {
            return;
        }
        if change == Change::Cancel {
            self.outlook.ended.insert(id.uuid(), "the appointment was cancelled".to_owned());
        }
        let event = Event {
            id: self.ids.next(),
            tenant: decided.tenant,
            kind: change.event(),
            channel: None,
            contact: decided.contact,
            occurred_at: self.clock.now(),
            dedupe_key: None,
            depth: decided.depth.saturating_add(1),
            data: serde_json::json!({"appointment": appointment, "by": "rule"}),
        };
        let why = format!("{why}, then {}", event.kind);
        self.put(self.clock.now(), Item::Event(event, why));
    }

    async fn send(&mut self, due: Due, now: Timestamp) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(due.send.candidate.tenant()).cloned() else { return Ok(()) };
        if let Some((until, due)) = self.outlook.judge(&tenant, due, now, &self.customers, &self.so_far).await? {
            self.put(until, Item::Send(Box::new(due)));
        }
        Ok(())
    }
}

/// What a timer is for, in words.
fn why_of(timer: &PendingTimer) -> String {
    let anchor = serde_json::from_str(&timer.payload).ok().and_then(|data| Anchor::in_data(&data));
    match (timer.purpose.parse(), anchor) {
        (Ok(Purpose::After), Some(anchor)) => format!("{} {} of {}", timer.timing, anchor.kind, anchor.at),
        (Ok(Purpose::Before), Some(Anchor { until: Some(until), .. })) => format!("{}, {until}", timer.timing),
        (Ok(Purpose::Silence), _) => format!("nobody has answered by {}", timer.due),
        (Ok(Purpose::Page), _) => "schedule".to_owned(),
        _ => timer.timing.clone(),
    }
}
