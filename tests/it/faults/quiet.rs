//! Quiet hours, in which customers get no message that the business starts: on any clock, around every change.

use std::sync::Arc;
use std::time::Duration;

use chrono::Timelike;
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;
use recado::config::Limits;
use recado::domain::{
    Action, ActionId, Channel, Clock, EventId, Origin, Phone, Route, Send, SendBody, SendLimits, TenantId, Timestamp,
};
use recado::engine::sending::gate::SendGate;
use recado::engine::wakeups::Speed;
use recado::store::{Candidate, Gate, GateFacts, QueuedSend};
use recado::time::zone::{next_change, to_wall};
use recado::time::{Quiet, QuietRules, phones};
use tokio::task::JoinSet;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{ACCOUNT, OURS, Provider, TOKEN, customer, taken_to};
use crate::support::replace_tenant;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The largest distance of a checked instant from a change of clocks.
const AROUND: Duration = Duration::from_secs(36 * 3_600);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a constant")
}

fn candidate(phone: &Phone, zone: Option<Tz>, origin: Origin, expires: Option<Timestamp>) -> Candidate {
    let body = SendBody::Text("hola".to_owned());
    let send = Send { channel: Channel::Sms, to: phone.clone().into(), reply: false, fallback: None, body };
    let id = uuid::Uuid::nil();
    let send = QueuedSend {
        id: ActionId::new(id),
        tenant: TenantId::new(id),
        event: EventId::new(id),
        contact: None,
        channel: Some(Channel::Sms),
        sender: "+34911222333".to_owned(),
        recipient: phone.to_string(),
        peer_key: phone.key(),
        origin,
        planned: Ok(Arc::new(Action::Send(send))),
        route: Some(Route::Twilio),
        tries: 0,
        planned_at: Timestamp::from_unix_us(0),
        first_try_at: None,
        tried_at: None,
        expires_at: expires,
        ordering_key: None,
    };
    Candidate { send, facts: GateFacts { zone, ..GateFacts::default() } }
}

fn gate() -> SendGate {
    SendGate::new(Limits {
        loop_guard_messages: 20,
        loop_guard_window: Duration::from_secs(600),
        sender_rate_per_s: None,
        calls_per_second: None,
        frequency_cap_per_day: None,
    })
}

fn judge(candidate: &Candidate, now: Timestamp, tenants: Tz) -> Gate {
    let installation: QuietRules = "+1=21:00-08:00, all=21:00-09:00".parse().expect("a constant");
    let tenant = QuietRules::default();
    gate().judge(
        candidate,
        now,
        &Quiet { installation: &installation, tenant: &tenant, zone: tenants },
        &SendLimits::default(),
    )
}

/// Whether it is day for the customer in every possible zone. It shares no code with the tested one.
fn allowed(phone: &Phone, own: Option<Tz>, tenants: Tz, now: Timestamp) -> bool {
    let first = if phone.as_str().starts_with("+1") { 8 } else { 9 };
    let zones = match own {
        Some(own) => vec![own],
        None if phones::zones(phone).is_empty() => vec![tenants],
        None => phones::zones(phone),
    };
    zones.into_iter().all(|zone| (first..21).contains(&to_wall(now, zone).hour()))
}

fn a_zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(&TZ_VARIANTS[..])
}

/// A number with any prefix of the table, or with none.
fn a_phone() -> impl Strategy<Value = Phone> {
    let prefixes: Vec<&str> = phones::TABLE.lines().filter_map(|line| line.split(' ').next()).chain(["999"]).collect();
    (proptest::sample::select(prefixes), "[0-9]{11}").prop_map(|(prefix, digits)| {
        let digits: String = format!("{prefix}{digits}").chars().take(12).collect();
        Phone::parse(&format!("+{digits}")).expect("E.164")
    })
}

/// An instant near a change of this zone's clocks, where there is one, or anywhere from 2026 to 2030.
fn an_instant(zone: Tz, seed: u64, near: bool) -> Timestamp {
    let (first, last) = (at("2026-01-01T00:00:00Z"), at("2031-01-01T00:00:00Z"));
    let anywhere = Timestamp::from_unix_us(first.unix_us() + (seed % (last.since(first).as_micros() as u64)) as i64);
    let change = near.then(|| next_change(anywhere, last, zone)).flatten();
    let offset_us = (seed >> 8) as i64 % AROUND.as_micros() as i64;
    change.map_or(anywhere, |change| Timestamp::from_unix_us(change.unix_us() + offset_us))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_that_the_business_begins_leaves_by_night(
        phone in a_phone(), own in proptest::option::of(a_zone()), tenants in a_zone(), seed: u64, near: bool,
        expires_min in proptest::option::of(1u64..3_000),
    ) {
        let zone = own.or_else(|| phones::zones(&phone).first().copied()).unwrap_or(tenants);
        let now = an_instant(zone, seed, near);
        let expires = expires_min.map(|minutes| now.plus(MINUTE * minutes as u32));
        let send = candidate(&phone, own, Origin::Business, expires);
        let day = |at| allowed(&phone, own, tenants, at);
        match judge(&send, now, tenants) {
            Gate::Pass => prop_assert!(day(now)),
            Gate::Replan(until, reason) => {
                prop_assert!(!day(now) && until > now && day(until), "{reason}: until {until}");
                prop_assert!(expires.is_none_or(|expires| until < expires));
                prop_assert!(reason.contains("quiet hours"), "{reason}");
                // It is the next allowed minute: no earlier one is allowed.
                let minutes = until.since(now).as_secs() / 60;
                let sooner = (1..=minutes).map(|back| until.minus(MINUTE * back as u32)).find(|at| *at >= now && day(*at));
                prop_assert_eq!(sooner, None);
                prop_assert_eq!(judge(&send, until, tenants), Gate::Pass, "then it leaves");
            }
            Gate::TooLate(until, reason) => {
                let expires = expires.expect("only what would come too late is blocked");
                prop_assert!(until >= expires && day(until), "until {until}");
                prop_assert!(!day(now) && reason.contains("too late"), "{reason}");
                let minutes = expires.since(now).as_secs() / 60;
                let in_time = (0..minutes).map(|ahead| now.plus(MINUTE * ahead as u32)).find(|at| day(*at));
                prop_assert_eq!(in_time, None);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_shifted_timer_falls_by_day_and_in_time(
        phone in a_phone(), own in proptest::option::of(a_zone()), tenants in a_zone(), seed: u64, near: bool,
        lasts_min in 1u64..3_000,
    ) {
        let due = an_instant(own.unwrap_or(tenants), seed, near);
        let expires = due.plus(MINUTE * lasts_min as u32);
        let installation: QuietRules = "+1=21:00-08:00, all=21:00-09:00".parse().expect("a constant");
        let tenant = QuietRules::default();
        let local = Quiet { installation: &installation, tenant: &tenant, zone: tenants }.for_customer(Some(&phone), own);
        let shifted = local.shift_out(due, Some(expires)).expect("every day has an hour");
        prop_assert!(allowed(&phone, own, tenants, shifted) && shifted < expires, "{shifted} for {due}");
        prop_assert!(shifted >= due.minus(DAY) && (shifted == due) == allowed(&phone, own, tenants, due));
    }
}

#[test]
fn an_answer_is_one_for_an_hour() {
    let phone = Phone::parse("+34600111222").expect("a number");
    let night = at("2026-11-23T22:30:00Z");
    let minutes_ago = |minutes: u32| night.minus(MINUTE * minutes);
    let word = |origin: Origin, event: Timestamp, last: Option<Timestamp>| {
        let mut send = candidate(&phone, Some(Tz::Europe__Madrid), origin, None);
        let id = uuid::Builder::from_unix_timestamp_millis(event.unix_ms() as u64, &[0; 10]).into_uuid();
        send.send.event = EventId::new(id);
        send.facts.last_inbound_at = last;
        matches!(judge(&send, night, Tz::UTC), Gate::Replan(..))
    };
    for (origin, event, last, waits) in [
        (Origin::Answer, minutes_ago(0), None, false),
        (Origin::Answer, minutes_ago(60), None, false),
        (Origin::Answer, minutes_ago(61), None, true),
        (Origin::Answer, minutes_ago(600), Some(minutes_ago(59)), false),
        (Origin::Answer, minutes_ago(600), Some(minutes_ago(61)), true),
        (Origin::Business, minutes_ago(0), Some(minutes_ago(1)), true),
        (Origin::Manual, minutes_ago(600), None, false),
        (Origin::System, minutes_ago(600), None, false),
    ] {
        assert_eq!(word(origin, event, last), waits, "{origin:?}, decided by what came at {event}, last {last:?}");
    }
}

#[test]
fn what_makes_no_sense_any_more_does_not_leave_by_day_either() {
    let phone = Phone::parse("+34600111222").expect("a number");
    let noon = at("2026-11-23T12:00:00Z");
    let clock = Clock::simulated(noon);
    let send = candidate(&phone, None, Origin::Business, Some(noon.plus(MINUTE)));
    assert_eq!(judge(&send, clock.now(), Tz::UTC), Gate::Pass);
    clock.advance(MINUTE);
    let Gate::Block(reason) = judge(&send, clock.now(), Tz::UTC) else { panic!("it is too late") };
    assert!(reason.contains("it made sense until 2026-11-23T12:01:00Z"), "{reason}");
}

const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// The customer asked for the answer. The business started the offer.
const RULES: &str = "rule(\"answer\").on(\"inbound_sms\").then(|e| { emit(\"offer_wanted\", #{}); reply(\"answer\") });
rule(\"offer\").on(\"offer_wanted\").then(|e| send_sms(e.contact, \"offer\"));\n";

#[tokio::test(flavor = "multi_thread")]
async fn by_night_answers_leave_and_offers_wait_for_the_morning() {
    let provider = Provider::start(23).await;
    let clock = Clock::simulated(at("2026-11-23T22:30:00Z"));
    let inside = Inside::at(&provider.url, clock.clone(), RULES).await;
    let store = &inside.installation.store;
    let (_, rows, _) = store.directory().await.expect("it can be read");
    let mut demo = rows.into_iter().find(|row| row.slug == "demo").expect("it is made");
    demo.settings = r#"{"quiet": {"all": "21:00-09:00"}}"#.to_owned();
    replace_tenant(store, demo.clone()).await.expect("it can be changed");
    inside.installation.directory.refresh().await.expect("it can be read");
    let mut loops = JoinSet::new();
    let pipeline = inside.pipeline.clone();
    loops.spawn(async move { pipeline.dispatch(Speed::Fast).await });
    let pipeline = Arc::clone(&inside.pipeline);
    loops.spawn(async move { pipeline.perform().await });

    let from = customer(1);
    let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(1), &from, OURS, "hola");
    let path = "/api/twilio/demo/sms";
    let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
    assert_eq!(inside.answer(posted(path, encode(&form), Some(&signature))).await.0, 200);
    let tenant = recado::domain::TenantId::new(demo.id);
    let postponed = || async {
        // Planned sends count up from now in microseconds. They fall due when the clock goes on.
        clock.advance(Duration::from_millis(1));
        inside.pipeline.sweep_once().await.expect("it can be read");
        let listed = store.messages(tenant, None, 10).await.expect("they can be listed");
        let waits = listed.into_iter().find_map(|one| match one {
            recado::store::Listed::Send(send) if send.reason.is_some() => Some(send),
            _ => None,
        });
        waits.ok_or_else(|| "nothing waits".to_owned())
    };
    let waits = eventually(SETTLED_WITHIN, postponed).await;
    assert!(waits.reason.as_ref().is_some_and(|reason| reason.contains("quiet hours 21:00-09:00")), "{waits:?}");
    let morning = Timestamp::from_unix_us(waits.due_us);
    assert_eq!(morning, at("2026-11-24T08:00:00Z"), "nine in Madrid");
    taken_to(&provider, &from, 1).await;
    assert_eq!(provider.sent()[0].body, "answer");
    clock.set(morning);
    taken_to(&provider, &from, 2).await;
    assert_eq!(provider.sent()[1].body, "offer");
}
