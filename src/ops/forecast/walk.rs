//! The way through the time ahead, one thing after another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::outlook::{Became, Due, Outlook};
use super::{DECIDED_MAX, FORECAST_MAX, Forecast, Means, why};
use crate::domain::clock::Random;
use crate::domain::contact::ContactFacts;
use crate::domain::{
    Action, By, Clock, ContactId, Event, Facts, Ids, Origin, Phone, Purpose, QuestionChange, TenantId, TimerId,
    Timestamp,
};
use crate::engine::facts::recall;
use crate::engine::pipeline::fan_out::{cursor, follow};
use crate::engine::pipeline::write_down;
use crate::engine::sending::plan;
use crate::rules::{Decision, PAGE_CONTACTS, PendingEffects};
use crate::store::{
    Decided, NewAction, Pending, PendingTimer, PlannedSend, StoreError, TIMERS_PAGE, fallback_wanted, silence_of,
};
use crate::tenants::{Snapshot, Tenant};

/// What happens at an instant, in the engine's order.
pub(super) enum Item {
    Timer(PendingTimer),
    /// Of a schedule that goes over customers, with what has led to it: it comes before the other events of its batch.
    Page(Event, String),
    /// With what has led to it.
    Event(Event, String),
    Send(Box<Due>),
}

/// By instant, rank, for timers their rows' order, and the order in which they came.
type Place = (Timestamp, u8, Option<(Timestamp, TimerId)>, u64);

impl Item {
    /// In which order timers fire that are due.
    const fn row(&self) -> Option<(Timestamp, TimerId)> {
        match self {
            Self::Timer(timer) => Some((timer.due, timer.id)),
            _ => None,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Timer(_) => 0,
            Self::Page(..) => 1,
            Self::Event(..) => 2,
            Self::Send(_) => 3,
        }
    }
}

pub(super) struct Walk<'a> {
    pub means: &'a Means<'a>,
    pub tenant: Option<TenantId>,
    pub snapshot: Arc<Snapshot>,
    from: Timestamp,
    pub until: Timestamp,
    clock: Clock,
    ids: Ids,
    queue: BTreeMap<Place, Item>,
    came: u64,
    /// Rows of timers that were read: the last one, and whether there are more.
    read: Option<(Timestamp, TimerId)>,
    more: bool,
    /// Timers that are in the queue or have been, and those that will make room.
    pub met: HashSet<(Timestamp, TimerId)>,
    /// Timers that have become events already, by the events' dedupe keys; and actions that are planned already.
    pub fired: HashSet<String>,
    pub planned: HashSet<Uuid>,
    customers: HashMap<ContactId, ContactFacts>,
    /// Whose numbers messages go to that are not for the event's own customer.
    numbers: HashMap<(TenantId, String), ContactId>,
    /// Those who become customers by a message to them.
    newcomers: BTreeSet<(TenantId, ContactId)>,
    so_far: HashMap<ContactId, PendingEffects>,
    /// Appointments that will have ended by then: nothing fires for them any more.
    ended: HashSet<Uuid>,
    outlook: Outlook<'a>,
    decided: usize,
    /// Timers are not as the rules say: they will be when the server has been started.
    pub replanned: bool,
    /// From here on it is not complete.
    cut: Option<Timestamp>,
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
            fired: HashSet::new(),
            planned: HashSet::new(),
            customers: HashMap::new(),
            numbers: HashMap::new(),
            newcomers: BTreeSet::new(),
            so_far: HashMap::new(),
            ended: HashSet::new(),
            outlook: Outlook::new(means, from),
            snapshot,
            decided: 0,
            replanned: false,
            cut: None,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What comes then, or later, is not foreseen whole.
    pub fn complete_until(&mut self, at: Timestamp) {
        self.cut = Some(self.cut.map_or(at, |cut| cut.min(at)));
    }

    pub async fn run(mut self) -> Result<Forecast, StoreError> {
        self.begin().await?;
        loop {
            self.read_timers().await?;
            let Some((key, item)) = self.queue.pop_first() else { break };
            if self.outlook.foreseen.len() >= FORECAST_MAX || self.decided >= DECIDED_MAX {
                self.complete_until(key.0);
                break;
            }
            self.clock.set(key.0);
            match item {
                Item::Timer(timer) => self.fire(&timer),
                Item::Page(event, why) => self.decide_page(&event, &why).await?,
                Item::Event(event, why) => self.decide(event, why).await?,
                Item::Send(due) => self.send(*due, key.0).await?,
            }
        }
        let Self { from, until, replanned, cut, .. } = self;
        Ok(Forecast { from, until, sends: self.outlook.foreseen, cut, replanned })
    }

    pub fn put(&mut self, at: Timestamp, item: Item) {
        let at = at.max(self.clock.now());
        if at <= self.until {
            self.came += 1;
            self.queue.insert((at, item.rank(), item.row(), self.came), item);
        }
    }

    pub fn put_event(&mut self, event: Event, why: String) {
        let item = if self.means.rules.is_page(&event) { Item::Page(event, why) } else { Item::Event(event, why) };
        self.put(self.clock.now(), item);
    }

    /// Reads on where rows may fall due before what is at hand.
    pub async fn read_timers(&mut self) -> Result<(), StoreError> {
        while self.more {
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            if next.zip(self.read).is_some_and(|(next, (read, _))| next < read) {
                return Ok(());
            }
            let page = self.means.store.timers_ahead(self.tenant, self.read).await?;
            self.more = page.len() == TIMERS_PAGE && page.last().is_some_and(|last| last.due <= self.until);
            self.read = page.last().map(|last| (last.due, last.id)).or(self.read);
            self.promise(page);
        }
        Ok(())
    }

    pub fn promise(&mut self, timers: impl IntoIterator<Item = PendingTimer>) {
        for timer in timers {
            if self.met.insert((timer.due, timer.id)) {
                self.put(timer.due, Item::Timer(timer));
            }
        }
    }

    /// A timer falls due: its event, and the next time of a schedule.
    fn fire(&mut self, timer: &PendingTimer) {
        let now = self.clock.now();
        if timer.subject.is_some_and(|subject| self.ended.contains(&subject)) {
            return;
        }
        // One that cannot be read is set aside, and sends nothing.
        let Ok((event, due)) = timer.fired(self.ids.next(), now) else { return };
        if event.dedupe_key.as_ref().is_some_and(|key| self.fired.contains(key)) {
            return;
        }
        let Some(tenant) = self.snapshot.by_id(due.tenant).cloned() else { return };
        if due.purpose == Purpose::Cron {
            let next = self.means.rules.follows(&due.rule, due.due, &tenant.facts, now);
            self.promise(next.map(PendingTimer::from));
        }
        self.put_event(event, why::of_timer(timer, self.means.rules, &tenant.facts));
    }

    async fn decide(&mut self, event: Event, why: String) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(event.tenant).cloned() else { return Ok(()) };
        self.decided += 1;
        let (rules, now) = (self.means.rules, self.clock.now());
        let customer = event.contact.and_then(|contact| self.customers.get(&contact).cloned());
        let pending = vec![Pending { event, customer }];
        let facts = recall::facts(self.means.store, rules, &tenant, pending, now).await?;
        for (event, mut facts) in facts {
            if let Some(so_far) = event.contact.and_then(|contact| self.so_far.get(&contact)) {
                so_far.show_in(&mut facts);
            }
            let platform = self.means.directory.platform();
            let mut decision = rules.decide(&event, &facts);
            if let Some(customer) = facts.contact.as_ref().filter(|_| event.kind.inbound_channel().is_none()) {
                plan::aim_all(&tenant, platform, customer, &mut decision, now);
            }
            self.note(&event, &decision);
            let keys = facts.contact.as_ref().map(ContactFacts::address_keys).unwrap_or_default();
            let at = Timestamp::from_unix_us(self.ids.tick_us());
            let decided = write_down(&tenant, platform, &event, &keys, decision, at);
            self.follow(&decided, &facts, &why).await?;
        }
        Ok(())
    }

    /// A page of customers: the filter is asked about what they are by then.
    async fn decide_page(&mut self, event: &Event, why: &str) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(event.tenant).cloned() else { return Ok(()) };
        self.decided += 1;
        let now = self.clock.now();
        let of = |contact| Facts { tenant: tenant.facts.clone(), contact, ..Facts::empty(now) };
        let mut contacts = self.contacts_after(&tenant, cursor(event)).await?;
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
            self.put_event(child, why.to_owned());
        }
        self.promise(next.map(PendingTimer::from));
        Ok(())
    }

    /// A page of customers in the order of their ids: those whom there will be by then come last.
    async fn contacts_after(&self, tenant: &Tenant, after: Option<ContactId>) -> Result<Vec<ContactFacts>, StoreError> {
        let mut page = self.means.store.contacts_after(tenant.id, after, PAGE_CONTACTS).await?;
        let after = page.last().map(|last| last.id).or(after).unwrap_or(ContactId::new(Uuid::nil()));
        let behind = self.newcomers.range((Bound::Excluded((tenant.id, after)), Bound::Unbounded));
        let theirs = behind.take_while(|(of, _)| *of == tenant.id).filter_map(|(_, id)| self.customers.get(id));
        page.extend(theirs.take(PAGE_CONTACTS - page.len()).cloned());
        Ok(page)
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
    async fn follow(&mut self, decided: &Decided, facts: &Facts, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        for event in decided.emitted(&self.ids) {
            let why = format!("{why}, then {}", event.kind);
            self.put_event(event, why);
        }
        // What ends with an appointment is what was planned before.
        for action in &decided.actions {
            self.change_appointment(decided, action, facts, why);
        }
        self.promise(decided.timers.iter().cloned().map(PendingTimer::from).collect::<Vec<_>>());
        for action in decided.actions.iter().cloned() {
            if self.planned.contains(&action.id.uuid()) {
                continue;
            }
            let contact = match (&action.action, action.contact) {
                (Action::Send(send), None) => match send.to.phone() {
                    Some(phone) => Some(self.whose(decided.tenant, phone).await?),
                    None => None,
                },
                (_, contact) => contact,
            };
            let due = action.due.filter(|due| *due > now).unwrap_or(now);
            if let Some(send) = PlannedSend::from_new(&NewAction { contact, ..action }, due) {
                self.put(due, Item::Send(Box::new(Due::new(send, why.to_owned()))));
            }
        }
        Ok(())
    }

    /// Whose number this is. A message to one that is nobody's makes a customer, of whom nothing else is known.
    async fn whose(&mut self, tenant: TenantId, phone: &Phone) -> Result<ContactId, StoreError> {
        let key = (tenant, phone.key());
        if let Some(known) = self.numbers.get(&key) {
            return Ok(*known);
        }
        let (contact, opted_out) = self.means.store.whose(tenant, phone).await?;
        let id = contact.unwrap_or_else(|| {
            let id = self.ids.next();
            let (phone, created_at) = (phone.clone(), self.clock.now());
            let facts = ContactFacts { id, phone, opted_out, created_at, inbound_count: 0, ..ContactFacts::default() };
            self.customers.insert(id, facts);
            self.newcomers.insert((tenant, id));
            id
        });
        self.numbers.insert(key, id);
        Ok(id)
    }

    /// A rule that confirms or cancels an appointment: the one that its event is about, or the customer's next.
    fn change_appointment(&mut self, decided: &Decided, action: &NewAction, facts: &Facts, why: &str) {
        let Action::Effect(effect) = &action.action else { return };
        let Some((id, change)) = effect.of_appointment() else { return };
        let mut known = facts.appointment.iter().chain(&facts.next_appointment);
        let Some(mut appointment) = known.find(|known| known.id == id).cloned() else { return };
        let before = appointment.state.clone();
        appointment.apply(change);
        if appointment.state == before {
            return;
        }
        if change.ends_plans() {
            let why = format!("the appointment was {}", change.done());
            self.ended.insert(id.uuid());
            for item in self.queue.values_mut() {
                if let Item::Send(due) = item {
                    due.end(id.uuid(), &why);
                }
            }
        }
        let by = if action.origin == Origin::Answer { By::Customer } else { By::Rule };
        let event = Event {
            id: self.ids.next(),
            tenant: decided.tenant,
            kind: change.event(),
            channel: None,
            contact: decided.contact,
            occurred_at: self.clock.now(),
            dedupe_key: None,
            depth: decided.depth.saturating_add(1),
            data: serde_json::json!({"appointment": appointment, "by": by}),
        };
        let why = format!("{why}, then {}", event.kind);
        self.put_event(event, why);
    }

    async fn send(&mut self, due: Due, now: Timestamp) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(due.send.send.tenant).cloned() else { return Ok(()) };
        match self.outlook.judge(&tenant, due, now, &self.customers, &self.so_far).await? {
            Became::Again(until, due) => self.put(until, Item::Send(due)),
            Became::Blocked { send, reason, why } => {
                if let Some(event) = fallback_wanted(&send, reason, self.ids.next(), now)? {
                    let why = format!("{why}, then {}", event.kind);
                    self.put_event(event, why);
                }
            }
            Became::Noted => {}
        }
        Ok(())
    }
}
