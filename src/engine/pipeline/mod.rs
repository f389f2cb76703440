//! The way of a message, top to bottom: [`Pipeline::ingest`], [`Pipeline::dispatch`], [`Pipeline::perform`],
//! [`Pipeline::settle`]. Each stage ends in a commit; a wake-up tells the next one; a sweep finds what a lost wake-up
//! leaves behind. Killed anywhere, it goes on from the rows.

mod accounts;
mod attempt;
pub mod call_turn;
pub mod fan_out;
use crate::engine::facts::recall;
mod round;

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};

use self::round::Round;
use crate::domain::clock::Random;
use crate::domain::contact::ContactFacts;
use crate::domain::{Clock, Event, EventKind, Facts, Route, SendQueue, TenantId, Timestamp};
use crate::engine::sending::capacity::{Alarms, SendCapacity};
use crate::engine::sending::circuit::{Circuits, IN_FLIGHT_MAX};
use crate::engine::sending::gate::SendGate;
use crate::engine::sending::plan;
use crate::engine::sending::recent_opt_outs::RecentOptOuts;
use crate::engine::sending::transports::Transports;
use crate::engine::wakeups::{Bus, FastSlowQueues, LocalBus, Speed};
use crate::rules::{Decision, Evaluator, EvaluatorError, RuleResult, RuleSet};
use crate::store::{
    ClaimRequest, Claims, Decided, Gate, Ingested, Judge, NewAction, NewInbound, Settled, StatusReport, Store,
    StoreError,
};
use crate::telemetry::metric;
use crate::tenants::{Directory, Platform, Tenant};

/// A webhook answers within this, or says 503: Twilio waits 15 s, and a lock on the database may last.
const INGEST_TIMEOUT: Duration = Duration::from_secs(8);
/// Events decided, and sends claimed, in one go.
const BATCH_EVENTS: usize = 256;
const BATCH_SENDS: usize = 128;
/// A batch's decisions take no longer than this and one more event; the rest waits for the next round.
const DECIDE_BUDGET: Duration = Duration::from_millis(20);
/// How often the sweep looks for what a wake-up has missed.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// A tenant whose rules overran is decided apart from the others for so long.
const SLOW_LANE_FOR: Duration = Duration::from_secs(60);
/// Between tries to write down an outcome that the database would not take.
const OUTCOME_RETRY: Duration = Duration::from_millis(500);

pub struct Pipeline {
    store: Store,
    directory: Arc<Directory>,
    transports: Arc<Transports>,
    clock: Clock,
    random: Arc<Random>,
    circuits: Arc<Circuits>,
    gate: SendGate,
    reconcile_after: Duration,
    rules: RwLock<Arc<RuleSet>>,
    stops: RecentOptOuts,
    /// Tenants are decided in one of two lanes, so that rules that overrun hold up their own tenant and their like only.
    to_decide: Arc<FastSlowQueues>,
    fast: Evaluator,
    slow: Evaluator,
    /// While somebody is on the line, in two lanes as well.
    line: Evaluator,
    slow_line: Evaluator,
    to_send: LocalBus<SendQueue>,
    waiting: SendCapacity,
    alarms: Alarms,
    /// Permits for sends in flight.
    in_flight: Arc<Semaphore>,
    /// Held by the loop that claims.
    claiming: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
}

/// What a pipeline is made of.
pub(super) struct Parts {
    pub store: Store,
    pub directory: Arc<Directory>,
    pub transports: Arc<Transports>,
    pub clock: Clock,
    pub random: Arc<Random>,
    pub circuits: Arc<Circuits>,
    pub gate: SendGate,
    pub reconcile_after: Duration,
    pub rules: Arc<RuleSet>,
}

impl Pipeline {
    /// Starts the rules' threads; the loops are started by `app.rs`.
    pub(super) fn new(parts: Parts) -> Result<Self, EvaluatorError> {
        Ok(Self {
            store: parts.store,
            directory: parts.directory,
            transports: parts.transports,
            clock: parts.clock,
            random: parts.random,
            circuits: parts.circuits,
            gate: parts.gate,
            reconcile_after: parts.reconcile_after,
            rules: RwLock::new(parts.rules),
            stops: RecentOptOuts::default(),
            to_decide: Arc::default(),
            fast: Evaluator::start(1)?,
            slow: Evaluator::start(1)?,
            line: Evaluator::start(1)?,
            slow_line: Evaluator::start(1)?,
            to_send: LocalBus::default(),
            waiting: SendCapacity::default(),
            alarms: Alarms::default(),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            claiming: tokio::sync::Mutex::default(),
            stopping: watch::Sender::new(false),
        })
    }

    // ── 1. ingest ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Stores a verified message with its contact and event. When this returns, it is durable.
    pub async fn ingest(&self, mut inbound: NewInbound) -> Result<Ingested, StoreError> {
        let tenant = inbound.tenant;
        inbound.unmatched = !self.concerns(tenant, &EventKind::inbound(inbound.channel), &inbound.event_data);
        if let (Some(wish), Some(from)) = (&inbound.wish, &inbound.from)
            && wish.word == crate::domain::opt_out::Word::Stop
        {
            // Before the commit, so that nothing claimed earlier leaves after it.
            self.stops.note(tenant, inbound.channel, from.key(), self.clock.now());
        }
        let begun = self.clock.now();
        let ingested = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().ingest(inbound))
            .await
            .map_err(|_| StoreError::Busy)??;
        metrics::histogram!(metric::INGEST_SECONDS).record(self.clock.now().since(begun).as_secs_f64());
        if !ingested.duplicate {
            self.wake_dispatch(tenant);
        }
        if ingested.confirmed {
            self.to_send.publish(SendQueue::new(tenant, Route::Twilio));
        }
        Ok(ingested)
    }

    // ── 2. dispatch ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Decides events as they come, those of one contact in order, until the future is dropped.
    pub async fn dispatch(&self, speed: Speed) {
        let evaluator = match speed {
            Speed::Fast => &self.fast,
            Speed::Slow => &self.slow,
        };
        loop {
            let tenants = self.to_decide.receive(speed, || self.clock.now()).await;
            let fair = (BATCH_EVENTS / tenants.len()).max(8);
            let groups = tenants.chunks((BATCH_EVENTS / fair).max(1));
            let rounds: Vec<Round<'_>> = groups.map(|group| Round::of(self, group.to_vec())).collect();
            for round in rounds {
                if let Err(error) = self.decide_for(&round.tenants, fair, evaluator).await {
                    tracing::warn!(%error, "deciding waits for the database");
                    for tenant in &round.tenants {
                        self.store.give_back(*tenant);
                        self.wake_dispatch(*tenant);
                    }
                    self.clock.sleep(OUTCOME_RETRY).await;
                }
                round.ends();
            }
        }
    }

    /// One round: the oldest events of some tenants, decided and written in one transaction.
    async fn decide_for(&self, tenants: &[TenantId], fair: usize, evaluator: &Evaluator) -> Result<(), StoreError> {
        let rules = self.rules();
        let mut batch = Vec::new();
        let mut more = HashSet::new();
        for tenant in tenants {
            let events = self.store.pending_events(*tenant, fair).await?;
            if events.len() == fair {
                more.insert(*tenant);
            }
            let Some(tenant) = self.directory.now().by_id(*tenant).cloned() else { continue };
            let (pages, events): (Vec<_>, Vec<_>) =
                events.into_iter().partition(|pending| rules.is_page(&pending.event));
            for page in pages {
                self.decide_page(&tenant, page.event, evaluator).await?;
            }
            batch.extend(recall::facts(&self.store, &rules, &tenant, events, self.clock.now()).await?);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let batch = Arc::new(batch);
        // It ends only with the process.
        let decided = evaluator.decide_batch(rules, batch.clone(), DECIDE_BUDGET).await;
        let mut decisions = decided.map_err(|_| StoreError::Closed)?;
        for ((event, facts), decision) in batch.iter().zip(&mut decisions) {
            // Messages, which are many, plan no timers that come before anything.
            if event.kind.inbound_channel().is_some() || decision.timers.is_empty() {
                continue;
            }
            let Some(customer) = &facts.contact else { continue };
            if let Some(tenant) = self.directory.now().by_id(event.tenant) {
                plan::aim_all(tenant, self.directory.platform(), customer, decision, self.clock.now());
            }
        }
        for ((event, _), decision) in batch.iter().zip(&decisions) {
            for rule in &decision.trace.rules {
                if let RuleResult::Failed { .. } | RuleResult::TooMuch { .. } = rule.result {
                    metrics::counter!(metric::RULE_ERRORS_TOTAL).increment(1);
                    // Its words may be the customer's: they are for `explain`, not for the log.
                    tracing::warn!(rule = %rule.rule, event = %event.id, "a rule failed, the others went on: see recado explain");
                }
            }
        }
        // A batch that took too long is cut: its rest is decided in the next round.
        if decisions.len() < batch.len() {
            for (event, _) in &batch[decisions.len()..] {
                self.store.give_back(event.tenant);
                more.insert(event.tenant);
            }
        }
        let overran: HashSet<TenantId> = batch
            .iter()
            .zip(&decisions)
            .filter(|(_, decision)| decision.overran)
            .map(|((event, _), _)| event.tenant)
            .collect();
        let decided: Vec<Decided> = batch
            .iter()
            .zip(decisions)
            .filter_map(|((event, facts), decision)| self.write_down(event, facts, decision))
            .collect();
        let busy: HashSet<TenantId> =
            decided.iter().filter(|one| !one.actions.is_empty()).map(|one| one.tenant).collect();
        let queues: HashSet<_> = decided.iter().flat_map(|one| &one.actions).filter_map(queue_of).collect();
        metrics::counter!(metric::EVENTS_DECIDED_TOTAL).increment(decided.len() as u64);
        for action in decided.iter().flat_map(|one| &one.actions) {
            metrics::counter!(metric::ACTIONS_TOTAL, "kind" => action.action.kind()).increment(1);
        }
        let written = self.store.writer().decided(decided);
        // A claim that stands behind it in the queue sees what it plans, and often shares its commit.
        for (queue, due) in queues {
            match due {
                None => self.to_send.publish(queue),
                Some(due) => self.alarms.set(due, queue),
            }
        }
        let receipt = written.await?;
        if receipt.overtaken > 0 {
            tenants.iter().for_each(|tenant| self.store.give_back(*tenant));
            more.extend(tenants);
        }
        overran.into_iter().for_each(|tenant| self.move_to_slow_lane(tenant));
        if receipt.emitted > 0 {
            busy.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        }
        more.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        Ok(())
    }

    fn write_down(&self, event: &Event, facts: &Facts, decision: Decision) -> Option<Decided> {
        let customer = facts.contact.as_ref().map(ContactFacts::address_keys).unwrap_or_default();
        let at = Timestamp::from_unix_us(self.store.ids().tick_us());
        let tenant = self.directory.now().by_id(event.tenant)?.clone();
        let mut decided = write_down(&tenant, self.directory.platform(), event, &customer, decision, at);
        call_turn::nobody_listens(&mut decided);
        Some(decided)
    }

    // ── 3. perform ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Claims what is due and sends it, until [`Pipeline::stop_claiming`]. Sends in flight go on by themselves.
    pub async fn perform(self: &Arc<Self>) {
        let _claiming = self.claiming.lock().await;
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow() {
            let queues = tokio::select! {
                _ = stopping.changed() => continue,
                queues = self.to_send.receive() => queues,
                queues = self.alarms.ring(&self.clock) => queues,
            };
            // Asked for side by side, the claims of many share a commit.
            let fair = (BATCH_SENDS / queues.len()).max(1);
            join_all(queues.into_iter().map(|queue| self.claim_for(queue, fair))).await;
        }
    }

    async fn claim_for(self: &Arc<Self>, queue: SendQueue, fair: usize) {
        let Some(tenant) = self.directory.now().by_id(queue.tenant).cloned() else { return };
        // Nothing can leave this way now: its sends wait in their rows, and the sweep looks again.
        let Some(door) = self.door(tenant, queue.route) else { return };
        let allowed = self.allowed(&door);
        let wanted = fair.min(self.in_flight.available_permits());
        let room = self.waiting.enter(&door.queue, &door.account, wanted, allowed);
        // Without room, whoever frees some wakes us, and a circuit that closes is found by the sweep.
        if room == 0 {
            return;
        }
        let request = ClaimRequest {
            queue: door.queue.clone(),
            account_sid: door.account.clone(),
            limit: room,
            judge: self.judge(&door),
            recent_within: self.gate.limits().loop_guard_window,
            stop_ends_calls: door.tenant.settings.voice.stop_ends_calls,
        };
        self.waiting.asks(&door.queue, &door.account);
        let claims = self.store.writer().claim(request).await.unwrap_or_else(|error| {
            tracing::warn!(%error, tenant = %door.tenant.slug, "sending waits for the database");
            Claims::default()
        });
        let sends = claims.sends.len();
        let freed_meanwhile = self.waiting.asked(&door.queue, claims.more);
        if sends < room {
            self.waiting.satisfied(&door.queue, &door.account);
            self.give_room_back(&door, room - sends);
        }
        if sends == room || freed_meanwhile {
            self.to_send.publish(door.queue.clone());
        }
        if claims.keys_freed {
            self.wake_lanes(&door.account);
        }
        if claims.told {
            self.wake_for_rows(door.tenant.id);
        }
        for one in claims.sends {
            // Never refused for long: room was there a moment ago, and only this loop takes it.
            let Ok(permit) = self.in_flight.clone().acquire_owned().await else { return };
            let (pipeline, door) = (self.clone(), door.clone());
            tokio::spawn(async move {
                pipeline.attempt(&door, one).await;
                drop(permit);
                pipeline.wake_lanes(&door.account);
            });
        }
    }

    /// Where a tenant's sends along a route go out; `None` where nothing can leave that way now.
    pub fn door(&self, tenant: Arc<Tenant>, route: Route) -> Option<SendTarget> {
        let account = self.transports.account(&tenant, self.directory.platform(), &route)?;
        Some(SendTarget { queue: SendQueue::new(tenant.id, route), tenant, account })
    }

    /// The gate's word, and an alarm for what it postpones.
    fn judge(self: &Arc<Self>, door: &SendTarget) -> Judge {
        let (pipeline, door) = (self.clone(), door.clone());
        Arc::new(move |candidate, now| {
            let gate = pipeline.gate.judge(candidate, now, &door.tenant.quiet(pipeline.directory.platform()));
            if let Gate::Postpone(until, _) | Gate::Replan(until, _) = &gate {
                pipeline.alarms.set(*until, door.queue.clone());
            }
            gate
        })
    }

    /// How many sends may be under way there at once, as things stand.
    fn allowed(&self, door: &SendTarget) -> usize {
        self.circuits.allows(&door.account, self.clock.now()).min(self.transports.at_once(&door.queue.route))
    }

    /// Whoever may claim now that there is room is woken: of those who share an account, each in its turn.
    fn give_room_back(&self, door: &SendTarget, count: usize) {
        let allowed = self.allowed(door);
        for next in self.waiting.leave(&door.queue, &door.account, count, allowed) {
            self.to_send.publish(next);
        }
    }

    /// The next along a lane may go now: whoever waits for one is woken, of all that send from the account's numbers.
    fn wake_lanes(&self, account: &str) {
        self.waiting.lane_freed(account).into_iter().for_each(|queue| self.to_send.publish(queue));
    }

    // ── 4. settle ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Applies what the provider of `route` says of a message's delivery.
    pub async fn settle(&self, route: Route, mut report: StatusReport) -> Result<Settled, StoreError> {
        let tenant = report.tenant;
        let queue = SendQueue::new(tenant, route);
        report.unmatched = !self.concerns(tenant, &EventKind::MESSAGE_STATUS, &serde_json::Value::Null);
        let settled = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().settle(report))
            .await
            .map_err(|_| StoreError::Busy)??;
        if settled == Settled::Advanced {
            self.wake_dispatch(tenant);
            // It may have settled an unknown send that held back the next one.
            self.send_settled(queue);
        }
        Ok(settled)
    }

    // ── around the four ──────────────────────────────────────────────────────────────────────────────────────────

    /// Finds what a lost wake-up has left behind, what has fallen due, and tenants that have changed; until dropped.
    pub async fn sweep(&self) {
        loop {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "the sweep waits for the database");
            }
            self.clock.sleep(SWEEP_EVERY).await;
        }
    }

    pub async fn sweep_once(&self) -> Result<(), StoreError> {
        let before = self.directory.now();
        self.directory.refresh().await?;
        self.follow_accounts(&before);
        self.store.pending_tenants().await?.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        self.store.due_queues().await?.into_iter().for_each(|queue| self.to_send.publish(queue));
        Ok(())
    }

    /// Nothing is claimed from now on; what has been is sent.
    pub fn stop_claiming(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until nothing is claimed any more and no send is in flight; `false` if it takes longer than `within`.
    /// First [`Pipeline::stop_claiming`].
    pub async fn drained(&self, within: Duration) -> bool {
        let all = async {
            // First the loop ends: it needs permits for what it has claimed.
            let _claiming = self.claiming.lock().await;
            self.in_flight.acquire_many(IN_FLIGHT_MAX as u32).await.is_ok()
        };
        tokio::time::timeout(within, all).await.unwrap_or(false)
    }

    /// Stores an event of a program's own, for the rules to decide.
    pub async fn tell(&self, event: &Event) -> Result<(), StoreError> {
        self.store.add_event(event, Vec::new(), false).await?;
        self.wake_dispatch(event.tenant);
        Ok(())
    }

    /// A send along this way is unknown no more: it, and what came behind it, may go.
    pub fn send_settled(&self, queue: SendQueue) {
        if let Some(door) = self.directory.now().by_id(queue.tenant).and_then(|one| self.door(one.clone(), queue.route))
        {
            self.wake_lanes(&door.account);
            self.to_send.publish(door.queue);
        }
    }

    /// Tells the senders that something is due there.
    pub fn wake_perform(&self, queue: SendQueue) {
        self.to_send.publish(queue);
    }

    /// Tells the senders that something will be due there.
    pub fn wake_perform_at(&self, queue: SendQueue, at: Timestamp) {
        self.alarms.set(at, queue);
    }

    /// Whether any rule listens to such an event: if none does, it is decided as soon as it is stored.
    fn concerns(&self, tenant: TenantId, kind: &EventKind, data: &serde_json::Value) -> bool {
        self.directory.now().by_id(tenant).is_none_or(|tenant| self.rules().concerns(kind, data, &tenant.facts))
    }

    pub fn rules(&self) -> Arc<RuleSet> {
        // A poisoned lock holds a whole rule set, which is good whatever happened.
        self.rules.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// From the next decision on, these rules hold.
    pub fn replace_rules(&self, rules: RuleSet) {
        *self.rules.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(rules);
    }

    /// Says that a tenant has events to be decided.
    pub fn wake_dispatch(&self, tenant: TenantId) {
        self.to_decide.publish(tenant, self.clock.now());
    }

    /// Events of this tenant were stored that are not at hand: they are to be read and decided.
    pub fn wake_for_rows(&self, tenant: TenantId) {
        self.store.give_back(tenant);
        self.wake_dispatch(tenant);
    }

    fn move_to_slow_lane(&self, tenant: TenantId) {
        tracing::warn!(%tenant, "this tenant's rules overran their limits: they are decided apart from the others for a while");
        self.to_decide.slow_down(tenant, self.clock.now().plus(SLOW_LANE_FOR));
    }
}

/// Where a claim goes out: whose it is, along which route, and with whom it shares room and troubles.
#[derive(Clone)]
pub struct SendTarget {
    tenant: Arc<Tenant>,
    queue: SendQueue,
    account: String,
}

/// Where an action waits to leave, and until when, if not only for its turn; `None` for effects.
fn queue_of(action: &NewAction) -> Option<(SendQueue, Option<Timestamp>)> {
    Some((SendQueue::new(action.tenant, action.route.clone()?), action.due))
}

/// A decision as it is to be written: what rules asked for, with its ways and senders.
pub fn write_down(
    tenant: &Tenant,
    platform: &Platform,
    event: &Event,
    customer: &[String],
    decision: Decision,
    at: Timestamp,
) -> Decided {
    let trace = (!decision.trace.rules.is_empty()).then(|| serde_json::to_string(&decision.trace).unwrap_or_default());
    let plan_one = |planned: crate::rules::Planned| plan::plan(tenant, platform, event, customer, planned);
    Decided {
        event: event.id,
        tenant: event.tenant,
        contact: event.contact,
        depth: event.depth,
        at,
        trace,
        actions: decision.actions.into_iter().map(plan_one).collect(),
        firings: decision.firings,
        questions: decision.questions,
        children: Vec::new(),
        timers: decision.timers,
        answer: None,
    }
}
