//! The guarantees of the store, checked on SQLite and on PostgreSQL.

mod appointments;
mod by_hand;
mod calendar;
mod calls;
mod campaigns;
mod contact_channels;
mod decided;
mod edges;
mod erase;
mod facts;
mod fallback;
mod ingest;
mod keys;
mod ledger;
mod moves;
mod number_keys;
mod ordering_keys;
pub mod plans;
mod pending_cache;
mod portable;
mod questions;
mod quiet;
mod retention;
mod settle;
mod talk;
mod refusals;
mod refused;
mod tenants;
mod timers;
mod whatsapp_ids;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::event::InboundData;
use recado::domain::{
    Action, ActionId, ActionState, Channel, Clock, ContactId, Effect, EventId, Ids, Origin, Phone, Route, Send,
    SendBody, SendQueue, TenantId, Timestamp,
};
use recado::store::rows::{action, message};
use recado::store::{
    AttemptOutcome, AttemptResult, ClaimRequest, Claimed, Decided, Gate, Judge, Listed, NewAction, NewInbound,
    OptOutKeyword, Options, Store,
};
use recado::tenants::new_tenant;
use tempfile::TempDir;

use crate::support::postgres::Database;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const OURS: &str = "+34911111111";
const ANA: &str = "+34600111222";
const LUIS: &str = "+34600333444";
const START: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

/// Runs a check on an empty database of each kind.
pub async fn on_both<F: Future<Output = ()>>(check: impl Fn(Bench) -> F) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    check(Bench::open(&format!("sqlite://{}", folder.path().join("t.db").display())).await).await;
    let database = Database::fresh().await;
    check(Bench::open(&database.url()).await).await;
}

/// A store on a simulated clock, with one tenant.
#[derive(Clone)]
pub struct Bench {
    pub store: Store,
    pub tenant: TenantId,
}

impl Bench {
    async fn open(url: &str) -> Self {
        let clock = Clock::simulated(START);
        let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
        let options = Options { url: url.into(), synchronous: Synchronous::Normal };
        let store = Store::open(&options, clock, ids).await.expect("the database can be opened");
        store.migrate().await.expect("the schema can be made");
        let tenant = Self::add_tenant(&store, "demo").await;
        Self { store, tenant }
    }

    async fn add_tenant(store: &Store, slug: &str) -> TenantId {
        let row = new_tenant(store, slug, slug);
        let id = TenantId::new(row.id);
        store.add_tenant(row).await.expect("the slug is free");
        id
    }

    /// The same store for another tenant.
    async fn other(&self) -> Self {
        Self { store: self.store.clone(), tenant: Self::add_tenant(&self.store, "other").await }
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    fn pass(&self, seconds: u64) {
        self.store.clock().advance(Duration::from_secs(seconds));
    }

    /// A message of a customer, now.
    fn text(&self, sid: &str, from: &str, body: &str) -> NewInbound {
        let data = InboundData {
            from: from.to_owned(),
            to: OURS.to_owned(),
            body: body.to_owned(),
            provider_sid: sid.to_owned(),
            ..InboundData::default()
        };
        NewInbound::new(self.tenant, Channel::Sms, Phone::parse(from).ok().map(Into::into), data, self.now(), 1, None)
    }

    /// Ingests a customer's message. Gives its event and the customer.
    async fn received(&self, sid: &str, from: &str, body: &str) -> (EventId, ContactId) {
        self.take_in(self.text(sid, from, body)).await
    }

    async fn wished(&self, sid: &str, from: &str, wish: OptOutKeyword) -> (EventId, ContactId) {
        let inbound = NewInbound { opt_out_keyword: Some(wish.clone()), ..self.text(sid, from, &wish.text) };
        self.take_in(inbound).await
    }

    async fn take_in(&self, inbound: NewInbound) -> (EventId, ContactId) {
        let ingested = self.store.writer().ingest(inbound).await.expect("it can be stored");
        assert!(!ingested.duplicate);
        let event = ingested.event.expect("it is new");
        let (event, _) = self.store.event(self.tenant, event).await.unwrap().expect("it is stored");
        (event.id, event.contact.expect("the number is one"))
    }

    /// A decision with these actions.
    fn decided(&self, event: EventId, contact: ContactId, actions: Vec<NewAction>) -> Decided {
        let at = Timestamp::from_unix_us(self.store.ids().tick_us());
        let (tenant, contact) = (self.tenant, Some(contact));
        Decided {
            event,
            tenant,
            contact,
            depth: 0,
            at,
            trace: Some("{}".to_owned()),
            actions,
            children: Vec::new(),
            timers: Vec::new(),
            firings: Vec::new(),
            answer: None,
            questions: Vec::new(),
        }
    }

    async fn decide(&self, event: EventId, contact: ContactId, actions: Vec<NewAction>) {
        self.store.writer().decided(vec![self.decided(event, contact, actions)]).await.expect("it can be written");
    }

    fn action(&self, event: EventId, contact: ContactId, index: usize, action: Action) -> NewAction {
        let is_send = matches!(action, Action::Send(_));
        NewAction {
            id: ActionId::of(event, "rule", index),
            tenant: self.tenant,
            event,
            contact: Some(contact),
            rule: "rule".to_owned(),
            index,
            state: if is_send { ActionState::Planned } else { ActionState::Done },
            reason: None,
            origin: Origin::Answer,
            action,
            route: is_send.then_some(Route::Twilio),
            sender: is_send.then(|| OURS.to_owned()),
            due: None,
            subject: None,
            expires: None,
        }
    }

    fn send(&self, event: EventId, contact: ContactId, index: usize, to: &str, text: &str) -> NewAction {
        let to = Phone::parse(to).expect("a number");
        let send = Send {
            channel: Channel::Sms,
            to: to.into(),
            reply: true,
            fallback: None,
            body: SendBody::Text(text.to_owned()),
        };
        self.action(event, contact, index, Action::Send(send))
    }

    fn effect(&self, event: EventId, contact: ContactId, index: usize, effect: Effect) -> NewAction {
        self.action(event, contact, index, Action::Effect(effect))
    }

    /// Plans an answer to a new message of a customer.
    async fn planned(&self, sid: &str, to: &str, text: &str) -> ActionId {
        let (event, contact) = self.received(sid, to, "hola").await;
        let send = self.send(event, contact, 0, to, text);
        let id = send.id;
        self.decide(event, contact, vec![send]).await;
        id
    }

    async fn claim(&self) -> Vec<Claimed> {
        self.claim_if(Arc::new(|_, _| Gate::Pass)).await
    }

    /// The same tenant by another process, whose clock is a little ahead.
    async fn beside(url: &str, tenant: TenantId, seed: u64) -> Self {
        let clock = Clock::simulated(START.plus(Duration::from_secs(seed)));
        let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(seed)));
        let options = Options { url: url.into(), synchronous: Synchronous::Normal };
        Self { store: Store::open(&options, clock, ids).await.expect("it can be opened twice"), tenant }
    }

    /// Claims once, and leaves what the gate has freed to the next claim.
    async fn claim_once(&self, judge: Judge) -> Vec<Claimed> {
        self.store.clock().advance(Duration::from_millis(1));
        self.store.writer().claim(self.claim_request(judge)).await.expect("it can be claimed").sends
    }

    fn claim_request(&self, judge: Judge) -> ClaimRequest {
        ClaimRequest {
            queue: SendQueue::new(self.tenant, Route::Twilio),
            account_sid: ACCOUNT.to_owned(),
            limit: 100,
            judge,
            recent_within: Duration::from_secs(600),
            stop_ends_calls: false,
            has_budget: false,
        }
    }

    async fn claim_if(&self, judge: Judge) -> Vec<Claimed> {
        // The planned times count up from now in microseconds, so that they have an order.
        self.store.clock().advance(Duration::from_millis(1));
        let request = self.claim_request(judge);
        // The pipeline does the same: a send that the gate stopped frees its ordering key for the next one.
        loop {
            let claims = self.store.writer().claim(request.clone()).await.expect("it can be claimed");
            let nobody_yet = claims.sends.is_empty() && claims.keys_freed && claims.more;
            if !nobody_yet {
                return claims.sends;
            }
        }
    }

    /// Plans and claims an answer.
    async fn under_way(&self, sid: &str, to: &str) -> Claimed {
        let id = self.planned(sid, to, "hola").await;
        let claimed = self.claim().await;
        let [one] = claimed.as_slice() else { panic!("{claimed:?}") };
        assert_eq!(one.send.id, id);
        one.clone()
    }

    /// Ends an attempt; `true` if the action had not moved on.
    async fn end(&self, claimed: &Claimed, end: AttemptResult, error_code: Option<i64>) -> bool {
        let detail = format!("as the test says: {end:?}");
        let send = claimed.send.clone();
        let verdict =
            AttemptOutcome { send, attempt: claimed.attempt, result: end, http_status: Some(200), error_code, detail };
        self.store.writer().outcome(verdict).await.expect("it can be written")
    }

    async fn row(&self, id: ActionId) -> action::Model {
        self.store.action(self.tenant, id).await.unwrap().expect("the action is there")
    }

    async fn state(&self, id: ActionId) -> String {
        self.row(id).await.state
    }

    /// The tenant's messages, the newest first, without sends that have no message yet.
    async fn messages(&self) -> Vec<message::Model> {
        let listed = self.store.messages(self.tenant, None, 1_000).await.unwrap();
        let messages = listed.into_iter().filter_map(|listed| match listed {
            Listed::Message(message) => Some(message),
            Listed::Send(_) => None,
        });
        messages.collect()
    }

    async fn message(&self, id: ActionId) -> Option<message::Model> {
        self.messages().await.into_iter().find(|message| message.id == id.uuid())
    }

    async fn event_kinds(&self) -> Vec<String> {
        let mut events = self.store.events(self.tenant, 1_000).await.unwrap();
        events.reverse();
        events.into_iter().map(|event| event.kind).collect()
    }
}
