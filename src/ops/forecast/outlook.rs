//! What becomes of sends at their instants: the gate's own word, on what is known and what has been foreseen.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Foreseen, Means, Outcome};
use crate::domain::contact::ContactFacts;
use crate::domain::{Channel, ContactId, Facts, Origin, Route, Send, SendBody, TenantId, Timestamp, segments};
use crate::rules::PendingEffects;
use crate::store::{Candidate, Gate, GateFacts, Left, PlannedSend, QueuedSend, StoreError};
use crate::tenants::Tenant;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A send on its way to the gate.
pub(super) struct Due {
    pub send: PlannedSend,
    /// What leads to it.
    why: String,
    postponed: Option<(Timestamp, String)>,
    /// Why it will have been stopped by then.
    ended: Option<String>,
}

impl Due {
    pub const fn new(send: PlannedSend, why: String) -> Self {
        Self { send, why, postponed: None, ended: None }
    }

    /// What it hangs on ends.
    pub fn end(&mut self, subject: Uuid, why: &str) {
        if self.send.subject == Some(subject) {
            self.ended.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// What has become of a send that was put to the gate.
pub(super) enum Became {
    /// It is in the forecast.
    Noted,
    /// It is, too; the gate has stopped it for good.
    Blocked { send: Box<QueuedSend>, reason: String, why: String },
    /// It is to be asked about again then.
    Again(Timestamp, Box<Due>),
}

pub(super) struct Outlook<'a> {
    means: &'a Means<'a>,
    /// How far back the gate's limits look at the beginning.
    since: Timestamp,
    /// By tenant, channel, address and sender.
    people: HashMap<(TenantId, Option<Channel>, String, String), Left>,
    /// What leaves for each customer by itself, or for an address that is nobody's.
    lately: HashMap<String, Vec<(Timestamp, Origin)>>,
    pub foreseen: Vec<Foreseen>,
}

impl<'a> Outlook<'a> {
    pub fn new(means: &'a Means<'a>, from: Timestamp) -> Self {
        let since = from.minus(DAY.max(means.gate.limits().loop_guard_window));
        let (people, lately) = Default::default();
        Self { means, since, people, lately, foreseen: Vec::new() }
    }

    /// Notes what becomes of a send at `now`, or says when to ask again.
    pub async fn judge(
        &mut self,
        tenant: &Tenant,
        mut due: Due,
        now: Timestamp,
        customers: &HashMap<ContactId, ContactFacts>,
        so_far: &HashMap<ContactId, PendingEffects>,
    ) -> Result<Became, StoreError> {
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
            self.note(tenant, due, &send, now, outcome, Some(why));
            return Ok(Became::Noted);
        }
        let (whose, mut facts) = self.ask(tenant, &mut due.send.send, now, customers, so_far).await?;
        facts.account.clone_from(&tenant.account.sid);
        let candidate = Candidate { send: due.send.send.clone(), facts };
        let quiet = tenant.quiet(self.means.directory.platform());
        match self.means.gate.judge(&candidate, now, &quiet) {
            Gate::Pass => {
                self.lately.entry(whose).or_default().push((now, due.send.send.origin));
                self.note(tenant, due, &send, now, Outcome::Send, None);
            }
            Gate::Block(reason) | Gate::TooLate(_, reason) => {
                let (blocked, why) = (Box::new(candidate.send), due.why.clone());
                self.note(tenant, due, &send, now, Outcome::Blocked, Some(reason.clone()));
                return Ok(Became::Blocked { send: blocked, reason, why });
            }
            Gate::Hold(why) => self.note(tenant, due, &send, now, Outcome::Held, Some(why)),
            Gate::Postpone(until, why) | Gate::Replan(until, why) => {
                due.postponed.get_or_insert((now, why));
                return Ok(Became::Again(until, Box::new(due)));
            }
        }
        Ok(Became::Noted)
    }

    /// Gives what the gate reads at the moment of sending, and the name under which the send is counted.
    async fn ask(
        &mut self,
        tenant: &Tenant,
        send: &mut QueuedSend,
        now: Timestamp,
        customers: &HashMap<ContactId, ContactFacts>,
        so_far: &HashMap<ContactId, PendingEffects>,
    ) -> Result<(String, GateFacts), StoreError> {
        let store = self.means.store;
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
        let lately = self.lately.entry(name.clone()).or_insert(left.lately);
        let within = |span: Duration| lately.iter().filter(move |(at, _)| *at > now.minus(span));
        let recent = within(self.means.gate.limits().loop_guard_window).count() as i64;
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
                so_far.show_in(&mut facts);
            }
            if let Some(known) = facts.contact {
                gate.session_from = send.channel.and_then(|channel| known.last_inbound_at.get(&channel)).copied();
                gate.last_inbound_at = known.last_inbound_at.values().max().copied();
                gate.zone = known.fields.get("zone").and_then(|zone| zone.as_str()?.parse().ok());
            }
        }
        Ok((name, gate))
    }

    fn note(&mut self, tenant: &Tenant, due: Due, send: &Send, now: Timestamp, outcome: Outcome, why: Option<String>) {
        let segments = match &send.body {
            SendBody::Text(text) if send.channel == Channel::Sms => Some(segments::count(text).segments),
            _ => None,
        };
        let (postponed_from, postponed_because) = due.postponed.unzip();
        self.foreseen.push(Foreseen {
            at: now,
            tenant: tenant.slug.clone(),
            outcome,
            channel: send.channel,
            from: due.send.send.sender,
            to: due.send.send.recipient,
            text: send.body.shown(),
            rule: due.send.rule,
            reason: due.why,
            why_not: why,
            postponed_from,
            postponed_because,
            segments,
            cost: self.means.prices.of(send),
        });
    }
}
