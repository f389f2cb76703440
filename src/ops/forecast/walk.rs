//! Walks through the time ahead, one item after another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::outlook::{DueSend, GateDecision, Outlook};
use super::{DECIDED_MAX, FORECAST_MAX, Forecast, ForecastInputs, why};
use crate::domain::clock::Random;
use crate::domain::contact::ContactFacts;
use crate::domain::{
    Action, ActionId, ActionState, Address, By, Clock, ContactId, Event, Facts, Ids, Origin, Purpose, Question,
    QuestionChange, TenantId, TimerId, Timestamp,
};
use crate::engine::decision::{self, AsOf};
use crate::engine::pipeline::fan_out::{cursor, follow_ups};
use crate::rules::{Decision, PAGE_CONTACTS, PendingEffects};
use crate::store::{
    Decided, NewAction, Pending, PendingTimer, PlannedSend, StoreError, TIMERS_PAGE, fallback_wanted, running_from,
    silence_of, unsent_of,
};
use crate::tenants::{Snapshot, Tenant};

/// An item that happens at an instant. The variants stand in the engine's order.
pub(super) enum Item {
    Timer(PendingTimer),
    /// A page of a schedule that fans out to customers, with its cause. It comes before the other events of its batch.
    Page(Event, String),
    /// An event with its cause.
    Event(Event, String),
    Send(Box<DueSend>),
}

/// The order of items: by instant, rank, the order of rows for timers, and the order of arrival.
type ItemKey = (Timestamp, u8, Option<(Timestamp, TimerId)>, u64);

impl Item {
    /// The order in which due timers fire.
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
    pub inputs: &'a ForecastInputs<'a>,
    pub tenant: Option<TenantId>,
    pub snapshot: Arc<Snapshot>,
    from: Timestamp,
    pub until: Timestamp,
    clock: Clock,
    ids: Ids,
    queue: BTreeMap<ItemKey, Item>,
    came: u64,
    /// The last timer row that was read, and whether there are more.
    read: Option<(Timestamp, TimerId)>,
    more: bool,
    /// Timers that are or were in the queue, and timers that will be replaced.
    pub met: HashSet<(Timestamp, TimerId)>,
    /// Timers that have become events already, by the dedupe keys of the events, and actions that are planned already.
    pub fired: HashSet<String>,
    pub planned: HashSet<Uuid>,
    customers: HashMap<ContactId, ContactFacts>,
    /// The customers of numbers that messages go to besides the event's own customer.
    numbers: HashMap<(TenantId, String), ContactId>,
    /// Customers that a foreseen message creates.
    newcomers: BTreeSet<(TenantId, ContactId)>,
    so_far: HashMap<ContactId, PendingEffects>,
    /// Questions whose texts have not been sent, by their sends.
    pub unsent: HashMap<ActionId, (TenantId, ContactId, Question)>,
    /// Appointments that will have ended. Their timers no longer fire.
    ended: HashSet<Uuid>,
    outlook: Outlook<'a>,
    decided: usize,
    /// Timers are not in step with the rules until the server starts.
    pub replanned: bool,
    /// The forecast is incomplete from here on.
    cut: Option<Timestamp>,
}

impl<'a> Walk<'a> {
    pub fn new(inputs: &'a ForecastInputs<'a>, tenant: Option<TenantId>, until: Timestamp) -> Self {
        let from = inputs.store.clock().now();
        let clock = Clock::simulated(from);
        // The ids of a forecast do not leave it.
        let ids = Ids::new(clock.clone(), Random::seeded(from.unix_us() as u64));
        let snapshot = inputs.directory.now();
        Self {
            inputs,
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
            unsent: HashMap::new(),
            ended: HashSet::new(),
            outlook: Outlook::new(inputs, from),
            snapshot,
            decided: 0,
            replanned: false,
            cut: None,
        }
    }

    /// The time of the walk.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Marks the forecast as incomplete from `at` on.
    pub fn complete_until(&mut self, at: Timestamp) {
        self.cut = Some(self.cut.map_or(at, |cut| cut.min(at)));
    }

    /// Walks until the end of the time or of the queue.
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

    /// Puts an item into the queue, if its time lies within the forecast.
    pub fn put(&mut self, at: Timestamp, item: Item) {
        let at = at.max(self.clock.now());
        if at <= self.until {
            self.came += 1;
            self.queue.insert((at, item.rank(), item.row(), self.came), item);
        }
    }

    /// Puts an event that is decided at once.
    pub fn put_event(&mut self, event: Event, why: String) {
        let item = if self.inputs.rules.is_page(&event) { Item::Page(event, why) } else { Item::Event(event, why) };
        self.put(self.clock.now(), item);
    }

    /// Reads more timers while rows may fall due before the first item of the queue.
    pub async fn read_timers(&mut self) -> Result<(), StoreError> {
        while self.more {
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            if next.zip(self.read).is_some_and(|(next, (read, _))| next < read) {
                return Ok(());
            }
            let page = self.inputs.store.timers_ahead(self.tenant, self.read).await?;
            self.more = page.len() == TIMERS_PAGE && page.last().is_some_and(|last| last.due <= self.until);
            self.read = page.last().map(|last| (last.due, last.id)).or(self.read);
            self.put_timers(page);
        }
        Ok(())
    }

    /// Puts timers that are not in the queue yet.
    pub fn put_timers(&mut self, timers: impl IntoIterator<Item = PendingTimer>) {
        for timer in timers {
            if self.met.insert((timer.due, timer.id)) {
                self.put(timer.due, Item::Timer(timer));
            }
        }
    }

    /// Fires a timer: puts its event and, for a schedule, the next timer.
    fn fire(&mut self, timer: &PendingTimer) {
        let now = self.clock.now();
        if timer.subject.is_some_and(|subject| self.ended.contains(&subject)) {
            return;
        }
        // A timer that cannot be read is set aside, and sends nothing.
        let Ok((event, due)) = timer.fired(self.ids.next(), now) else { return };
        if event.dedupe_key.as_ref().is_some_and(|key| self.fired.contains(key)) {
            return;
        }
        let Some(tenant) = self.snapshot.by_id(due.tenant).cloned() else { return };
        if due.purpose == Purpose::Cron {
            let next = self.inputs.rules.next_schedule_timer(&due.rule, due.due, &tenant.facts, now);
            self.put_timers(next.map(PendingTimer::from));
        }
        self.put_event(event, why::of_timer(timer, self.inputs.rules, &tenant.facts));
    }

    async fn decide(&mut self, event: Event, why: String) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(event.tenant).cloned() else { return Ok(()) };
        self.decided += 1;
        let (rules, now) = (self.inputs.rules, self.clock.now());
        let customer = event.contact.and_then(|contact| self.customers.get(&contact).cloned());
        let pending = vec![Pending { event, customer }];
        let batch = decision::facts_of(self.inputs.store, rules, &tenant, pending, AsOf::Now(now)).await?;
        for (event, mut facts) in batch {
            if let Some(so_far) = event.contact.and_then(|contact| self.so_far.get(&contact)) {
                so_far.apply_to(&mut facts);
            }
            let platform = self.inputs.directory.platform();
            let decision = rules.decide(&event, &facts);
            self.note(&event, &decision);
            let decided = decision::plan(&tenant, platform, (&event, &facts), decision, &self.ids);
            self.follow(&decided, &facts, &why).await?;
        }
        Ok(())
    }

    /// Decides a page of customers, on their facts as they will be then.
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
                so_far.apply_to(&mut facts);
                *contact = facts.contact.unwrap_or_else(|| contact.clone());
            }
        }
        let page = self.inputs.rules.page(event, &of(None), contacts, Duration::MAX);
        let at = Timestamp::from_unix_us(self.ids.tick_us());
        let (children, next) = follow_ups(&self.ids, event, &page, at, now);
        for child in children {
            self.put_event(child, why.to_owned());
        }
        self.put_timers(next.map(PendingTimer::from));
        Ok(())
    }

    /// Reads a page of customers in the order of their ids. Customers that foreseen messages create come last.
    async fn contacts_after(&self, tenant: &Tenant, after: Option<ContactId>) -> Result<Vec<ContactFacts>, StoreError> {
        let mut page = self.inputs.store.contacts_after(tenant.id, after, PAGE_CONTACTS).await?;
        let after = page.last().map(|last| last.id).or(after).unwrap_or(ContactId::new(Uuid::nil()));
        let behind = self.newcomers.range((Bound::Excluded((tenant.id, after)), Bound::Unbounded));
        let theirs = behind.take_while(|(of, _)| *of == tenant.id).filter_map(|(_, id)| self.customers.get(id));
        page.extend(theirs.take(PAGE_CONTACTS - page.len()).cloned());
        Ok(page)
    }

    /// Notes the effects of a decision on the customer for later items.
    fn note(&mut self, event: &Event, decision: &Decision) {
        let Some(contact) = event.contact else { return };
        self.so_far.entry(contact).or_default().add(decision);
        for change in &decision.questions {
            if let QuestionChange::Open(question) = change {
                self.unsent.insert(question.id, (event.tenant, contact, question.clone()));
            }
        }
    }

    /// Starts the time of a question whose text is sent now.
    fn start_question(&mut self, send: ActionId) {
        let Some((tenant, contact, question)) = self.unsent.remove(&send) else { return };
        let running = running_from(question, self.clock.now());
        self.put_timers([PendingTimer::from(silence_of(tenant, contact, &running))]);
    }

    /// Ends a question whose text will never be sent.
    fn end_question(&mut self, send: ActionId, why: &str) {
        let Some((tenant, contact, question)) = self.unsent.remove(&send) else { return };
        let now = Question { expires_at: self.clock.now(), ..question };
        self.put_timers([PendingTimer::from(unsent_of(tenant, contact, &now, why))]);
    }

    /// Puts everything that a decision plans.
    async fn follow(&mut self, decided: &Decided, facts: &Facts, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        for event in decided.emitted(&self.ids) {
            let why = format!("{why}, then {}", event.kind);
            self.put_event(event, why);
        }
        // Only earlier plans end with an appointment.
        for action in &decided.actions {
            self.change_appointment(decided, action, facts, why);
        }
        self.put_timers(decided.timers.iter().cloned().map(PendingTimer::from).collect::<Vec<_>>());
        for action in decided.actions.iter().cloned() {
            if self.planned.contains(&action.id.uuid()) {
                continue;
            }
            let contact = match (&action.action, action.contact) {
                (Action::Send(send), None) => match &send.to {
                    Address::Email(_) => None,
                    to => Some(self.contact_of(decided.tenant, to).await?),
                },
                (_, contact) => contact,
            };
            let due = action.due.filter(|due| *due > now).unwrap_or(now);
            if let Some(send) = PlannedSend::from_new(&NewAction { contact, ..action }, due) {
                self.put(due, Item::Send(Box::new(DueSend::new(send, why.to_owned()))));
            }
        }
        Ok(())
    }

    /// Finds the customer of an address. A message to an unknown one creates a customer of whom nothing else is known.
    async fn contact_of(&mut self, tenant: TenantId, to: &Address) -> Result<ContactId, StoreError> {
        let key = (tenant, to.key());
        if let Some(known) = self.numbers.get(&key) {
            return Ok(*known);
        }
        let (contact, opted_out) = self.inputs.store.whose(tenant, to).await?;
        let id = contact.unwrap_or_else(|| {
            let id = self.ids.next();
            let (phone, whatsapp_id) = (to.phone().cloned(), to.whatsapp_id().cloned());
            let created_at = self.clock.now();
            let facts = ContactFacts {
                id,
                phone,
                whatsapp_id,
                opted_out,
                created_at,
                inbound_count: 0,
                ..ContactFacts::default()
            };
            self.customers.insert(id, facts);
            self.newcomers.insert((tenant, id));
            id
        });
        self.numbers.insert(key, id);
        Ok(id)
    }

    /// Applies a rule's change to an appointment: the one that its event is about, or the customer's next.
    fn change_appointment(&mut self, decided: &Decided, action: &NewAction, facts: &Facts, why: &str) {
        let Action::Effect(effect) = &action.action else { return };
        if action.state == ActionState::Blocked {
            return;
        }
        let Some((id, change)) = effect.appointment_change() else { return };
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

    async fn send(&mut self, due: DueSend, now: Timestamp) -> Result<(), StoreError> {
        let Some(tenant) = self.snapshot.by_id(due.send.send.tenant).cloned() else { return Ok(()) };
        match self.outlook.judge(&tenant, due, now, &self.customers, &self.so_far).await? {
            GateDecision::Again(until, due) => self.put(until, Item::Send(due)),
            GateDecision::Sent { send } => self.start_question(send),
            GateDecision::Ended { send, reason } => self.end_question(send, &reason),
            GateDecision::Blocked { send, reason, why } => {
                self.end_question(send.id, &reason);
                if let Some(event) = fallback_wanted(&send, reason, self.ids.next(), now)? {
                    let why = format!("{why}, then {}", event.kind);
                    self.put_event(event, why);
                }
            }
            GateDecision::Noted => {}
        }
        Ok(())
    }
}
