//! Judges sends at their instants, by the gate, on known facts and on what was foreseen before.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::{ForecastInputs, ForecastSend, Outcome};
use crate::domain::contact::ContactFacts;
use crate::domain::send_limits::hour_of;
use crate::domain::{
    ActionId, Channel, ContactId, Facts, Origin, Route, Send, SendBody, TenantId, Timestamp, segments,
};
use crate::rules::PendingEffects;
use crate::store::{Candidate, Gate, GateFacts, Left, PlannedSend, QueuedSend, SendCounts, StoreError};
use crate::tenants::Tenant;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A send on its way to the gate.
pub(super) struct DueSend {
    pub send: PlannedSend,
    /// The cause of the send.
    why: String,
    postponed: Option<(Timestamp, String)>,
    /// The reason why it will have been stopped by then.
    ended: Option<String>,
}

impl DueSend {
    pub const fn new(send: PlannedSend, why: String) -> Self {
        Self { send, why, postponed: None, ended: None }
    }

    /// Stops the send if it belongs to a subject that ends.
    pub fn end(&mut self, subject: Uuid, why: &str) {
        if self.send.subject == Some(subject) {
            self.ended.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// The result of judging a send.
pub(super) enum GateDecision {
    /// The send is in the forecast, and its end is open.
    Noted,
    /// The send is in the forecast, and leaves.
    Sent { send: ActionId },
    /// The send is in the forecast; it was stopped for good before it came to the gate.
    Ended { send: ActionId, reason: String },
    /// The send is in the forecast; the gate has stopped it for good.
    Blocked { send: Box<QueuedSend>, reason: String, why: String },
    /// The send must be judged again at this time.
    Again(Timestamp, Box<DueSend>),
}

pub(super) struct Outlook<'a> {
    inputs: &'a ForecastInputs<'a>,
    /// The time from which on the gate's limits count sends.
    since: Timestamp,
    /// Recipients by tenant, channel, address and sender.
    people: HashMap<(TenantId, Option<Channel>, String, String), Left>,
    /// Automatic sends to each customer, or to an address that belongs to none.
    recent_sends: HashMap<String, Vec<(Timestamp, Origin)>>,
    /// The sends of tenants with a budget, by the hour since 1970.
    sends_by_hour: HashMap<TenantId, BTreeMap<i64, i64>>,
    pub foreseen: Vec<ForecastSend>,
}

impl<'a> Outlook<'a> {
    pub fn new(inputs: &'a ForecastInputs<'a>, from: Timestamp) -> Self {
        let since = from.minus(DAY.max(inputs.gate.limits().loop_guard_window));
        let (people, recent_sends) = Default::default();
        Self { inputs, since, people, recent_sends, sends_by_hour: HashMap::new(), foreseen: Vec::new() }
    }

    /// Judges a send at `now`: notes its outcome, or tells when to judge it again.
    pub async fn judge(
        &mut self,
        tenant: &Tenant,
        mut due: DueSend,
        now: Timestamp,
        customers: &HashMap<ContactId, ContactFacts>,
        so_far: &HashMap<ContactId, PendingEffects>,
    ) -> Result<GateDecision, StoreError> {
        let send = due.send.send.message()?.clone();
        let stopped = |outcome, why: &str| Some((outcome, why.to_owned()));
        let early = if due.send.state == "blocked" {
            stopped(Outcome::Blocked, due.send.reason.as_deref().unwrap_or_default())
        } else if let Some(why) = &due.ended {
            stopped(Outcome::Blocked, why)
        } else if due.send.send.route == Some(Route::Twilio) && tenant.account.tokens.is_empty() {
            let remedy = format!("recado tenant credentials {}", tenant.slug);
            stopped(Outcome::Waits, &format!("the account's token cannot be opened: {remedy}"))
        } else {
            None
        };
        if let Some((outcome, why)) = early {
            let (id, ends) = (due.send.send.id, matches!(outcome, Outcome::Blocked));
            self.note(tenant, due, &send, now, outcome, Some(why.clone()));
            return Ok(if ends { GateDecision::Ended { send: id, reason: why } } else { GateDecision::Noted });
        }
        let (key, mut facts) = self.ask(tenant, &mut due.send.send, now, customers, so_far).await?;
        facts.account.clone_from(&tenant.account.sid);
        if tenant.settings.sends.has_budget() {
            let SendCounts { this_hour, today } = self.sends_at(tenant.id, now).await?;
            (facts.sent_this_hour, facts.sent_today) = (this_hour, today);
        }
        let candidate = Candidate { send: due.send.send.clone(), facts };
        let quiet = tenant.quiet(self.inputs.directory.platform());
        match self.inputs.gate.judge(&candidate, now, &quiet, &tenant.settings.sends) {
            Gate::Pass => {
                if candidate.send.counts_in_budget() {
                    let by_hour = self.sends_by_hour.entry(tenant.id).or_default();
                    *by_hour.entry(hour_of(now)).or_default() += 1;
                }
                self.recent_sends.entry(key).or_default().push((now, due.send.send.origin));
                let id = due.send.send.id;
                self.note(tenant, due, &send, now, Outcome::Send, None);
                return Ok(GateDecision::Sent { send: id });
            }
            Gate::Block(reason) | Gate::TooLate(_, reason) => {
                let (blocked, why) = (Box::new(candidate.send), due.why.clone());
                self.note(tenant, due, &send, now, Outcome::Blocked, Some(reason.clone()));
                return Ok(GateDecision::Blocked { send: blocked, reason, why });
            }
            Gate::Hold(why) => self.note(tenant, due, &send, now, Outcome::Held, Some(why)),
            Gate::Postpone(until, why) | Gate::Replan(until, why) => {
                due.postponed.get_or_insert((now, why));
                return Ok(GateDecision::Again(until, Box::new(due)));
            }
        }
        Ok(GateDecision::Noted)
    }

    /// Returns the tenant's sends at an instant: those that were made, and those that were foreseen.
    async fn sends_at(&mut self, tenant: TenantId, at: Timestamp) -> Result<SendCounts, StoreError> {
        if !self.sends_by_hour.contains_key(&tenant) {
            let made = self.inputs.store.sends_by_hour(tenant).await?;
            self.sends_by_hour.insert(tenant, made);
        }
        Ok(self.sends_by_hour.get(&tenant).map(|by_hour| SendCounts::of(by_hour, at)).unwrap_or_default())
    }

    /// Returns the gate's facts at the moment of sending, and the key under which the send is counted.
    async fn ask(
        &mut self,
        tenant: &Tenant,
        send: &mut QueuedSend,
        now: Timestamp,
        customers: &HashMap<ContactId, ContactFacts>,
        so_far: &HashMap<ContactId, PendingEffects>,
    ) -> Result<(String, GateFacts), StoreError> {
        let store = self.inputs.store;
        let whom = (send.tenant, send.channel, send.peer_key.clone(), send.sender.clone());
        let left = match self.people.get(&whom) {
            Some(left) => left.clone(),
            None => {
                let left = store.recipient(tenant.id, send, self.since).await?;
                self.people.entry(whom).or_insert(left).clone()
            }
        };
        let contact = send.contact.or(left.contact);
        send.contact = contact;
        let name = contact.map_or_else(|| format!("{} {}", tenant.id, send.peer_key), |contact| contact.to_string());
        let recent_sends = self.recent_sends.entry(name.clone()).or_insert(left.lately);
        let within = |span: Duration| recent_sends.iter().filter(move |(at, _)| *at > now.minus(span));
        let recent = within(self.inputs.gate.limits().loop_guard_window).count() as i64;
        let by_us = within(DAY).filter(|(_, origin)| *origin == Origin::Business).count() as i64;
        let started = if send.origin == Origin::Business { by_us } else { 0 };
        let mut gate = GateFacts { opted_out: left.opted_out, recent, started, ..GateFacts::default() };
        if let Some(contact) = contact {
            let known = match customers.get(&contact) {
                Some(known) => Some(known.clone()),
                None => store.contact_facts(tenant.id, &[contact], None).await?.0.remove(&contact),
            };
            let mut facts = Facts { contact: known, ..Facts::empty(now) };
            if let Some(so_far) = so_far.get(&contact) {
                so_far.apply_to(&mut facts);
            }
            if let Some(known) = facts.contact {
                gate.session_from = send.channel.and_then(|channel| known.last_inbound_at.get(&channel)).copied();
                gate.last_inbound_at = known.last_inbound_at.values().max().copied();
                gate.zone = known.fields.get("zone").and_then(|zone| zone.as_str()?.parse().ok());
            }
        }
        Ok((name, gate))
    }

    fn note(
        &mut self,
        tenant: &Tenant,
        due: DueSend,
        send: &Send,
        now: Timestamp,
        outcome: Outcome,
        why: Option<String>,
    ) {
        let segments = match &send.body {
            SendBody::Text(text) if send.channel.spec().segment_price => Some(segments::count(text).segments),
            _ => None,
        };
        let (postponed_from, postponed_because) = due.postponed.unzip();
        self.foreseen.push(ForecastSend {
            at: now,
            tenant: tenant.slug.clone(),
            outcome,
            channel: send.channel,
            from: due.send.send.sender,
            to: due.send.send.recipient,
            text: send.body.summary(),
            rule: due.send.rule,
            reason: due.why,
            why_not: why,
            postponed_from,
            postponed_because,
            segments,
            cost: self.inputs.prices.of(send),
        });
    }
}
