//! The send gate. No rule can get around it: it judges every send in the transaction that claims it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Limits;
use crate::domain::channel::{AddressKind, OptOut};
use crate::domain::{
    Action, ActionId, Channel, Country, Origin, Phone, SendBody, SendLimits, Timestamp, WhatsAppId, send_limits,
};
use crate::store::{ANSWERED_WITHIN, Candidate, Gate, GateFacts};
use crate::time::Quiet;

/// Senders, routes and accounts whose rate is remembered. Beyond it, idle ones are forgotten.
const SENDERS_MAX: usize = 10_000;
/// Postponed sends whose slot is remembered. Beyond it, a send gets a new slot when it is due.
const SLOTS_MAX: usize = 100_000;
/// The lifetime of a slot. A send that comes later gets a new slot, so that a backlog does not leave all at once.
const SLOT_KEPT: Duration = Duration::from_secs(1);

/// Judges sends, and keeps the pace of senders, routes and accounts.
pub struct SendGate {
    limits: Limits,
    /// Messages per second along a route, over all its senders.
    rates: HashMap<String, NonZeroU32>,
    pace: Mutex<Pace>,
}

#[derive(Default)]
struct Pace {
    /// The next free slot of each sender, route or account.
    next: HashMap<String, Timestamp>,
    /// The slots of postponed sends.
    slots: HashMap<ActionId, Timestamp>,
}

impl SendGate {
    /// Makes a gate with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, rates: HashMap::new(), pace: Mutex::default() }
    }

    /// Adds rates that hold for all sends by a route.
    #[must_use]
    pub fn with_rates(self, rates: HashMap<String, NonZeroU32>) -> Self {
        Self { rates, ..self }
    }

    /// The limits of the gate.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Judges whether `candidate` may leave now. A refusal holds its reason in words. `quiet` are the quiet hours of its
    /// tenant, `sends` its limits.
    pub fn judge(&self, candidate: &Candidate, now: Timestamp, quiet: &Quiet<'_>, sends: &SendLimits) -> Gate {
        let Candidate { send: queued, facts } = candidate;
        let send = match queued.planned() {
            Ok(Action::Send(send)) => send,
            // An action without a message disturbs nobody.
            Ok(Action::Request(_) | Action::Unaddressed(_) | Action::Effect(_) | Action::Voice(_)) => {
                return Gate::Pass;
            }
            Err(error) => return Gate::Block(error.to_string()),
        };
        let spec = send.channel.spec();
        let id = WhatsAppId::parse(&queued.recipient).ok().filter(|_| spec.address == AddressKind::PhoneOrWhatsAppId);
        let phone = match spec.address {
            AddressKind::Email => None,
            _ if id.is_some() => None,
            AddressKind::Phone | AddressKind::PhoneOrWhatsAppId => match Phone::parse(&queued.recipient) {
                Ok(phone) => Some(phone),
                Err(error) => return Gate::Block(error.to_string()),
            },
        };
        let country = phone.as_ref().map(Phone::country).or_else(|| id.as_ref().map(WhatsAppId::country));
        if let Some(refusal) = country.and_then(|country| outside_countries(country, sends)) {
            return Gate::Block(refusal);
        }
        if let SendBody::Template(template) = &send.body
            && !sends.allows_template(&template.content)
        {
            return Gate::Block(format!(
                "the template {} is not among those that this business may send: the operator can allow it with 'recado \
                 tenant set'",
                template.content
            ));
        }
        let origin = queued.origin;
        if facts.opted_out && origin != Origin::System {
            let by_word = matches!(spec.opt_out, OptOut::Word | OptOut::WordAnsweredByTwilio);
            let back = if by_word { "; they can write START to come back" } else { "" };
            return Gate::Block(format!("the customer has opted out of {} from this business{back}", send.channel));
        }
        if let Some(window) = spec.session_window
            && matches!(send.body, SendBody::Text(_))
            && !window_is_open(facts, window, now)
        {
            return Gate::Block(format!(
                "the customer's last {} message is more than {} hours ago, or there is none: send an approved template \
                 with send_whatsapp_template",
                spec.label,
                window.as_secs() / 3_600
            ));
        }
        let limits = &self.limits;
        let automatic = matches!(origin, Origin::Answer | Origin::Business);
        if automatic && facts.recent >= i64::from(limits.loop_guard_messages) {
            return Gate::Hold(format!(
                "loop guard: {} automatic messages to this customer within {} minutes; look for two machines that \
                 answer each other",
                facts.recent,
                limits.loop_guard_window.as_secs() / 60
            ));
        }
        if let Some(cap) = limits.frequency_cap_per_day
            && origin == Origin::Business
            && facts.started >= i64::from(cap.get())
        {
            return Gate::Block(format!(
                "frequency cap: the business has started {} messages to this customer within a day",
                facts.started
            ));
        }
        let expires = queued.expires_at;
        if let Some(expires) = expires.filter(|expires| *expires <= now) {
            return Gate::Block(format!("too late: it made sense until {expires}"));
        }
        if spec.address != AddressKind::Email
            && spec.quiet_hours
            && is_started(candidate, origin, now)
            && let Some(wait) = until_allowed(candidate, phone.as_ref(), expires, now, quiet)
        {
            return wait;
        }
        if let Some(wait) = over_budget(candidate, now, sends) {
            return wait;
        }
        let route = queued.route.as_ref().map(ToString::to_string).unwrap_or_default();
        let (what, whom, rate) = match (send.channel, self.rates.get(&route)) {
            (Channel::Voice, _) => ("calls", &facts.account, limits.calls_per_second),
            (_, Some(rate)) => ("messages", &route, Some(*rate)),
            (_, None) => ("messages", &queued.sender, limits.sender_rate_per_s),
        };
        rate.map_or(Gate::Pass, |rate| self.pace(queued.id, what, whom, rate, now))
    }

    /// Spaces sends, `rate` a second from `whom`: a sender, a route or an account. A send that must wait gets a slot of its
    /// own.
    fn pace(&self, id: ActionId, what: &str, whom: &str, rate: NonZeroU32, now: Timestamp) -> Gate {
        let step = Duration::from_secs(1) / rate.get();
        let mut pace = self.pace.lock();
        let Pace { next, slots } = &mut *pace;
        let postpone = |at| Gate::Postpone(at, format!("at most {rate} {what} a second from {whom}"));
        match slots.get(&id).copied() {
            Some(slot) if now < slot => return postpone(slot),
            Some(slot) => {
                slots.remove(&id);
                if now < slot.plus(SLOT_KEPT) {
                    return Gate::Pass;
                }
            }
            None => {}
        }
        if next.len() >= SENDERS_MAX {
            next.retain(|_, at| *at > now);
        }
        let free = next.entry(whom.to_owned()).or_insert(now);
        if *free <= now {
            *free = now.plus(step);
            return Gate::Pass;
        }
        if slots.len() >= SLOTS_MAX {
            slots.retain(|_, slot| slot.plus(SLOT_KEPT) > now);
        }
        let slot = *free;
        if slots.len() < SLOTS_MAX {
            slots.insert(id, slot);
            *free = slot.plus(step);
        }
        postpone(slot)
    }
}

/// Why the recipient's country, which may be unknown, forbids the send; `None` where it does not.
fn outside_countries(country: Option<Country>, sends: &SendLimits) -> Option<String> {
    if sends.countries.is_empty() || country.is_some_and(|country| sends.countries.contains(&country)) {
        return None;
    }
    let whose = country.map_or_else(|| "of no country that is known".to_owned(), |country| format!("of {country}"));
    let allowed: Vec<&str> = sends.countries.iter().map(|country| country.as_str()).collect();
    Some(format!(
        "the customer is {whose}, and this business may send to {} only: the operator can allow more with 'recado tenant set'",
        allowed.join(", ")
    ))
}

/// The wait of a send that would exceed the tenant's budget. A repeated try was counted before, and a confirmation of an
/// opt-out is owed.
fn over_budget(candidate: &Candidate, now: Timestamp, sends: &SendLimits) -> Option<Gate> {
    let Candidate { send, facts } = candidate;
    if !send.counts_in_budget() {
        return None;
    }
    let budgets = [("an hour", sends.per_hour, facts.sent_this_hour), ("24 hours", sends.per_day, facts.sent_today)];
    let over = budgets.into_iter().find_map(|(span, budget, sent)| {
        let budget = budget.filter(|budget| sent >= i64::from(budget.get()))?;
        Some(format!("send budget: this business may send {budget} messages and calls in {span}, and has; it waits"))
    })?;
    Some(Gate::Postpone(send_limits::next_hour(now), over))
}

/// Whether the business started this, so that quiet hours hold for it. An answer counts as one for an hour.
fn is_started(candidate: &Candidate, origin: Origin, now: Timestamp) -> bool {
    let event_at = Timestamp::from_unix_us(candidate.send.event.unix_ms() as i64 * 1_000);
    let last = candidate.facts.last_inbound_at.unwrap_or(event_at).max(event_at);
    match origin {
        Origin::Business => true,
        Origin::Answer => now.since(last) > ANSWERED_WITHIN,
        Origin::Manual | Origin::System => false,
    }
}

/// The judgement of the customer's quiet hours; `None` where the send may leave now.
fn until_allowed(
    candidate: &Candidate,
    phone: Option<&Phone>,
    expires: Option<Timestamp>,
    now: Timestamp,
    quiet: &Quiet<'_>,
) -> Option<Gate> {
    let local = quiet.for_customer(phone, candidate.facts.zone);
    if !local.is_quiet(now) {
        return None;
    }
    let reason = local.reason(now);
    Some(match local.next_allowed(now) {
        Some(next) if expires.is_none_or(|expires| next < expires) => Gate::Replan(next, format!("{reason}; it waits")),
        Some(next) => Gate::TooLate(next, format!("{reason}; when they end, at {next}, it is too late for it")),
        None => Gate::Block(format!(
            "{reason}; no minute of the day is allowed in all zones that the number may be in: set the customer's field \
             'zone', such as America/New_York"
        )),
    })
}

fn window_is_open(facts: &GateFacts, window: Duration, now: Timestamp) -> bool {
    facts.session_from.is_some_and(|last| now.since(last) < window)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::domain::action::Template;
    use crate::domain::{EventId, Route, Send, TenantId};
    use crate::store::QueuedSend;
    use crate::time::QuietRules;

    const NOW: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

    fn limits() -> Limits {
        Limits {
            loop_guard_messages: 20,
            loop_guard_window: Duration::from_secs(600),
            sender_rate_per_s: None,
            calls_per_second: None,
            frequency_cap_per_day: NonZeroU32::new(3),
        }
    }

    fn candidate(channel: Channel, origin: Origin) -> Candidate {
        let send = Send {
            channel,
            to: Phone::parse("+34600111222").unwrap().into(),
            reply: false,
            fallback: None,
            body: SendBody::Text("hola".to_owned()),
        };
        let id = uuid::Uuid::nil();
        let send = QueuedSend {
            id: ActionId::new(id),
            tenant: TenantId::new(id),
            event: EventId::new(id),
            contact: None,
            channel: Some(channel),
            sender: "+34911222333".to_owned(),
            recipient: send.to.to_string(),
            peer_key: send.to.key(),
            route: Some(Route::Twilio),
            origin,
            planned: Ok(Arc::new(Action::Send(send))),
            tries: 0,
            planned_at: NOW,
            first_try_at: None,
            tried_at: None,
            expires_at: None,
            ordering_key: None,
        };
        Candidate { send, facts: GateFacts::default() }
    }

    fn candidate_with(channel: Channel, origin: Origin, facts: GateFacts) -> Candidate {
        Candidate { facts, ..candidate(channel, origin) }
    }

    /// The same send, as another action.
    fn renamed(n: u128, mut candidate: Candidate) -> Candidate {
        candidate.send.id = ActionId::new(uuid::Uuid::from_u128(n));
        candidate
    }

    /// Judges for a tenant without quiet hours.
    fn judge(gate: &SendGate, candidate: &Candidate, now: Timestamp) -> Gate {
        judge_with(gate, candidate, now, &SendLimits::default())
    }

    fn judge_with(gate: &SendGate, candidate: &Candidate, now: Timestamp, sends: &SendLimits) -> Gate {
        let none = QuietRules::default();
        let quiet = Quiet { installation: &none, tenant: &none, zone: chrono_tz::Tz::UTC };
        gate.judge(candidate, now, &quiet, sends)
    }

    fn check(candidate: &Candidate, expect: &str) {
        let gate = judge(&SendGate::new(limits()), candidate, NOW);
        let word = match &gate {
            Gate::Pass => "pass",
            Gate::Block(_) | Gate::TooLate(..) => "block",
            Gate::Hold(_) => "hold",
            Gate::Postpone(..) => "postpone",
            Gate::Replan(..) => "replan",
        };
        assert_eq!(word, expect, "{gate:?}");
    }

    #[test]
    fn an_opt_out_stops_all_but_its_confirmation() {
        for (origin, expect) in [
            (Origin::Answer, "block"),
            (Origin::Business, "block"),
            (Origin::Manual, "block"),
            (Origin::System, "pass"),
        ] {
            let facts = GateFacts { opted_out: true, ..GateFacts::default() };
            check(&candidate_with(Channel::Sms, origin, facts), expect);
        }
    }

    #[test]
    fn whatsapp_text_needs_an_open_window() {
        // Meta's window: 24 hours after the customer's last message.
        let closed = NOW.minus(Duration::from_secs(86_400));
        let open = closed.plus(Duration::from_micros(1));
        for (session_from, expect) in [(None, "block"), (Some(closed), "block"), (Some(open), "pass")] {
            let facts = GateFacts { session_from, ..GateFacts::default() };
            check(&candidate_with(Channel::WhatsApp, Origin::Answer, facts), expect);
        }
        check(&candidate(Channel::Sms, Origin::Answer), "pass");
    }

    #[test]
    fn loops_are_held_and_people_are_not() {
        check(&candidate_with(Channel::Sms, Origin::Answer, GateFacts { recent: 19, ..GateFacts::default() }), "pass");
        check(&candidate_with(Channel::Sms, Origin::Answer, GateFacts { recent: 20, ..GateFacts::default() }), "hold");
        check(&candidate_with(Channel::Sms, Origin::Manual, GateFacts { recent: 20, ..GateFacts::default() }), "pass");
    }

    #[test]
    fn caps_hold_for_what_the_business_starts() {
        check(
            &candidate_with(Channel::Sms, Origin::Business, GateFacts { started: 2, ..GateFacts::default() }),
            "pass",
        );
        check(
            &candidate_with(Channel::Sms, Origin::Business, GateFacts { started: 3, ..GateFacts::default() }),
            "block",
        );
        check(&candidate_with(Channel::Sms, Origin::Answer, GateFacts { started: 3, ..GateFacts::default() }), "pass");
    }

    #[test]
    fn a_budget_makes_sends_wait_for_the_next_hour() {
        let gate = SendGate::new(limits());
        let sends = SendLimits { per_hour: NonZeroU32::new(2), per_day: NonZeroU32::new(5), ..SendLimits::default() };
        let judged = |origin, tries, sent_this_hour, sent_today| {
            let facts = GateFacts { sent_this_hour, sent_today, ..GateFacts::default() };
            let mut one = candidate_with(Channel::Sms, origin, facts);
            one.send.tries = tries;
            judge_with(&gate, &one, NOW, &sends)
        };
        assert_eq!(judged(Origin::Manual, 0, 1, 4), Gate::Pass);
        for (sent, says) in [((2, 2), "2 messages and calls in an hour"), ((0, 5), "5 messages and calls in 24 hours")]
        {
            for origin in [Origin::Answer, Origin::Business, Origin::Manual] {
                let Gate::Postpone(until, why) = judged(origin, 0, sent.0, sent.1) else { panic!("{origin:?} passed") };
                assert_eq!(until, send_limits::next_hour(NOW));
                assert!(why.contains(says), "{why}");
            }
        }
        assert_eq!(judged(Origin::System, 0, 9, 9), Gate::Pass, "a confirmation is owed");
        assert_eq!(judged(Origin::Manual, 1, 9, 9), Gate::Pass, "it was counted before");
    }

    #[test]
    fn a_budget_counts_messages_and_calls_of_every_channel() {
        let counts = |channel| candidate(channel, Origin::Manual).send.counts_in_budget();
        for channel in [Channel::Sms, Channel::WhatsApp, Channel::Rcs, Channel::Voice] {
            assert!(counts(channel), "{channel}");
        }
        assert!(!counts(Channel::Email));
    }

    #[test]
    fn only_allowed_countries_are_sent_to() {
        let gate = SendGate::new(limits());
        let sends = |countries: &[&str]| SendLimits {
            countries: countries.iter().map(|code| code.parse().unwrap()).collect(),
            ..SendLimits::default()
        };
        let one = candidate(Channel::Sms, Origin::Manual);
        assert_eq!(judge_with(&gate, &one, NOW, &sends(&[])), Gate::Pass);
        assert_eq!(judge_with(&gate, &one, NOW, &sends(&["PT", "ES"])), Gate::Pass);
        for origin in [Origin::Manual, Origin::System] {
            let one = candidate(Channel::Sms, origin);
            let Gate::Block(why) = judge_with(&gate, &one, NOW, &sends(&["US", "PT"])) else { panic!("it passed") };
            assert!(why.contains("is of ES") && why.contains("PT, US only"), "{why}");
        }
    }

    #[test]
    fn only_allowed_templates_are_sent() {
        let gate = SendGate::new(limits());
        let sends = |templates: &[&str]| SendLimits {
            templates: templates.iter().map(ToString::to_string).collect(),
            ..SendLimits::default()
        };
        let mut one = candidate(Channel::WhatsApp, Origin::Business);
        let template = Template { content: "HX1".to_owned(), variables: BTreeMap::new() };
        let Ok(planned) = &one.send.planned else { panic!("it is one") };
        let Action::Send(send) = planned.as_ref() else { panic!("it is one") };
        one.send.planned = Ok(Arc::new(Action::Send(Send { body: SendBody::Template(template), ..send.clone() })));
        assert_eq!(judge_with(&gate, &one, NOW, &sends(&[])), Gate::Pass);
        assert_eq!(judge_with(&gate, &one, NOW, &sends(&["HX1", "HX2"])), Gate::Pass);
        assert!(matches!(judge_with(&gate, &one, NOW, &sends(&["HX2"])), Gate::Block(why) if why.contains("HX1")));
    }

    #[test]
    fn a_rate_spaces_one_senders_messages() {
        let gate = SendGate::new(Limits { sender_rate_per_s: NonZeroU32::new(2), ..limits() });
        let one = candidate(Channel::Sms, Origin::Answer);
        let mut other = one.clone();
        other.send.sender = "+34911222444".to_owned();
        assert_eq!(judge(&gate, &one, NOW), Gate::Pass);
        assert_eq!(judge(&gate, &other, NOW), Gate::Pass);
        let half = Duration::from_millis(500);
        assert!(
            matches!(judge(&gate, &renamed(1, one.clone()), NOW), Gate::Postpone(until, _) if until == NOW.plus(half))
        );
    }

    #[test]
    fn a_routes_own_rate_holds_for_all_its_senders() {
        let rates = [("provider:india".to_owned(), NonZeroU32::MIN)].into();
        let gate = SendGate::new(limits()).with_rates(rates);
        let twilios = candidate(Channel::Sms, Origin::Answer);
        let mut one = twilios.clone();
        one.send.route = Some(Route::Provider("india".into()));
        let mut other = renamed(1, one.clone());
        other.send.sender = "OTHER".to_owned();
        assert_eq!(judge(&gate, &one, NOW), Gate::Pass);
        let second = Duration::from_secs(1);
        assert!(matches!(judge(&gate, &other, NOW), Gate::Postpone(until, _) if until == NOW.plus(second)));
        assert_eq!((judge(&gate, &twilios, NOW), judge(&gate, &twilios, NOW)), (Gate::Pass, Gate::Pass));
    }

    #[test]
    fn calls_are_paced_along_their_account_whatever_number_they_come_from() {
        let limits = Limits { sender_rate_per_s: NonZeroU32::new(1), calls_per_second: NonZeroU32::new(2), ..limits() };
        let gate = SendGate::new(limits);
        let call = |n: u128, account: &str, sender: &str| {
            let facts = GateFacts { account: account.to_owned(), ..GateFacts::default() };
            let mut call = renamed(n, candidate_with(Channel::Voice, Origin::Business, facts));
            call.send.sender = sender.to_owned();
            call
        };
        assert_eq!(judge(&gate, &call(1, "AC1", "+34911222333"), NOW), Gate::Pass);
        let half = Duration::from_millis(500);
        for (n, wait) in [(2, half), (3, half * 2)] {
            let other = call(n, "AC1", &format!("+3491122244{n}"));
            let Gate::Postpone(until, why) = judge(&gate, &other, NOW) else { panic!("it waits") };
            assert_eq!((until, why.as_str()), (NOW.plus(wait), "at most 2 calls a second from AC1"));
            assert_eq!(judge(&gate, &other, until), Gate::Pass);
        }
        assert_eq!(judge(&gate, &call(4, "AC2", "+34911222333"), NOW), Gate::Pass, "another account's own");
        let message = candidate(Channel::Sms, Origin::Business);
        assert_eq!(judge(&gate, &message, NOW), Gate::Pass, "a call takes no message's turn");
    }

    #[test]
    fn each_send_that_must_wait_has_a_slot_of_its_own() {
        let gate = SendGate::new(Limits { sender_rate_per_s: NonZeroU32::new(10), ..limits() });
        let step = Duration::from_millis(100);
        let sends: Vec<_> = (0..100).map(|n| renamed(n, candidate(Channel::Sms, Origin::Answer))).collect();
        assert_eq!(judge(&gate, &sends[0], NOW), Gate::Pass);
        let slots: Vec<_> = sends[1..]
            .iter()
            .map(|send| match judge(&gate, send, NOW) {
                Gate::Postpone(slot, _) => slot,
                other => panic!("{other:?}"),
            })
            .collect();
        for (n, (send, slot)) in sends[1..].iter().zip(&slots).enumerate() {
            assert_eq!(*slot, NOW.plus(step * (n as u32 + 1)));
            assert!(matches!(judge(&gate, send, NOW), Gate::Postpone(again, _) if again == *slot), "kept");
            assert_eq!(judge(&gate, send, *slot), Gate::Pass, "in its turn, though others wait");
        }
    }

    #[test]
    fn what_was_held_up_does_not_leave_all_at_once() {
        let gate = SendGate::new(Limits { sender_rate_per_s: NonZeroU32::new(10), ..limits() });
        let late = NOW.plus(Duration::from_secs(300));
        let sends: Vec<_> = (0..100).map(|n| renamed(n, candidate(Channel::Sms, Origin::Answer))).collect();
        sends.iter().for_each(|send| drop(judge(&gate, send, NOW)));
        let passed = sends.iter().filter(|send| judge(&gate, send, late) == Gate::Pass).count();
        assert_eq!(passed, 1);
    }
}
