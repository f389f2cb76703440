//! Which of the provider's messages is ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::listed::{Listed, Read, Window, Words, judge, judge_restored};
use crate::domain::action::Template;
use crate::domain::{Action, ActionId, Channel, EventId, Origin, Phone, Route, Send, SendBody, TenantId, Timestamp};
use crate::integrations::twilio::client::{CallResource, Content, MessageResource};
use crate::store::{AttemptResult, QueuedSend};

const SENDER: &str = "+34911222333";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
/// The first attempt, by our clock.
const FIRST: &str = "2026-11-21T08:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// `seconds` after the first attempt.
fn after(seconds: i64) -> Timestamp {
    Timestamp::from_unix_us(at(FIRST).unix_us() + seconds * 1_000_000)
}

fn text(text: &str) -> SendBody {
    SendBody::Text(text.to_owned())
}

fn template(variables: &[(&str, &str)]) -> SendBody {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SendBody::Template(Template { content: "HX0123456789abcdef0123456789abcdef".to_owned(), variables })
}

/// A send that was tried at [`FIRST`] and, for the last time, at `last`.
fn queued(sender: &str, body: SendBody, last: Timestamp) -> QueuedSend {
    let to = Phone::parse("+34600111222").unwrap();
    let send = Send { channel: Channel::Sms, to: to.into(), reply: false, fallback: None, body };
    let id = uuid::Uuid::nil();
    QueuedSend {
        id: ActionId::new(id),
        tenant: TenantId::new(id),
        event: EventId::new(id),
        contact: None,
        channel: Some(send.channel),
        sender: sender.to_owned(),
        recipient: "+34600111222".to_owned(),
        peer_key: "+34600111222".to_owned(),
        origin: Origin::Answer,
        planned: Ok(Arc::new(Action::Send(send))),
        route: Some(Route::Twilio),
        ordering_key: None,
        tries: 1,
        planned_at: at(FIRST),
        first_try_at: Some(at(FIRST)),
        tried_at: Some(last),
        expires_at: None,
    }
}

/// A list that was read two minutes after the first attempt; the provider's clock is `ahead_s` ahead of ours.
fn read(ahead_s: i64) -> Read {
    Read { date: Some(after(120 + ahead_s).to_utc()), asked: after(120), answered: after(120) }
}

fn message(sid: &str, body: &str, created: Timestamp) -> MessageResource {
    serde_json::from_value(json!({
        "sid": sid, "status": "sent", "direction": "outbound-api", "from": SENDER, "to": "+34600111222", "body": body,
        "date_created": created.to_utc().to_rfc2822(), "num_media": "0",
    }))
    .unwrap()
}

/// What becomes of a send whose list shows `messages`: `adopted SM1`, `never_taken` or `unknown`.
fn outcome(queued: &QueuedSend, words: &Words, read: Read, messages: &[MessageResource]) -> String {
    let window = Window::new(queued, read);
    let listed: Vec<Listed> = messages.iter().filter_map(|one| Listed::message(queued, words, &window, one)).collect();
    described(queued, &listed)
}

fn described(queued: &QueuedSend, listed: &[Listed]) -> String {
    match judge(queued, listed, after(120)).0 {
        AttemptResult::Adopted { sid, .. } => format!("adopted {sid}"),
        other => other.name().to_owned(),
    }
}

fn of_text(body: &str, messages: &[MessageResource]) -> String {
    let queued = queued(SENDER, text(body), at(FIRST));
    let words = Words::new(queued.message().unwrap(), None);
    outcome(&queued, &words, read(0), messages)
}

#[test]
fn only_the_very_text_is_ours() {
    let check = |body: &str, expect: &str| {
        assert_eq!(of_text("OK", &[message("SM1", body, after(1))]), expect, "{body}");
    };
    check("OK", "adopted SM1");
    check("Sent from your Twilio trial account - OK", "adopted SM1");
    for other in ["Your order 7: OK", "OK, see you", "ok", "Sent from your Twilio trial account - Your order: OK"] {
        check(other, "never_taken");
    }
    for doubtful in ["OK ", "\u{a0}OK", "", "Twilio Trial: OK"] {
        check(doubtful, "unknown");
    }
    assert_eq!(of_text("It’s “on”", &[message("SM1", "It's \"on\"", after(1))]), "unknown", "smart encoding");
}

#[test]
fn two_that_match_are_left_to_a_person() {
    let (one, other) = (message("SM1", "OK", after(0)), message("SM2", "OK", after(24)));
    assert_eq!(of_text("OK", &[one.clone(), other.clone()]), "unknown");
    // Of another program, long ago.
    let old = message("SM3", "OK", after(-3_000));
    assert_eq!(of_text("OK", &[one.clone(), old.clone()]), "adopted SM1");
    assert_eq!(of_text("OK", &[old]), "never_taken");
    assert_eq!(of_text("OK", &[]), "never_taken");
}

/// The last attempt may take ten seconds to leave and fifteen to be answered.
#[test]
fn a_match_was_created_while_we_tried() {
    let at_times = |last: i64, ahead_s: i64, created: i64| {
        let queued = queued(SENDER, text("OK"), after(last));
        let words = Words::new(queued.message().unwrap(), None);
        outcome(&queued, &words, read(ahead_s), &[message("SM1", "OK", after(created + ahead_s))])
    };
    for ahead_s in [0, -7, 40, 299] {
        // Twilio tells whole seconds.
        for within in [-1, 0, 12, 25, 26] {
            assert_eq!(at_times(0, ahead_s, within), "adopted SM1", "{within} s, {ahead_s} s ahead");
        }
        for perhaps in [-2, -200, 27, 200] {
            assert_eq!(at_times(0, ahead_s, perhaps), "unknown", "{perhaps} s, {ahead_s} s ahead");
        }
    }
    assert_eq!(at_times(60, 0, 85), "adopted SM1", "by the last of several attempts");
    assert_eq!((at_times(0, 0, -302).as_str(), at_times(0, 0, 330).as_str()), ("never_taken", "never_taken"));
    // Clocks an hour apart: the message lies in the window of the provider's clock, and far from that of ours.
    assert_eq!(at_times(0, 3_600, 3), "adopted SM1");
    assert_eq!(at_times(0, -3_600, 3), "adopted SM1");
}

/// Our clock was set between the attempt and the list: the provider's message seems an hour away.
#[test]
fn a_clock_that_was_set_meanwhile_makes_nothing_go_twice() {
    let queued = queued(SENDER, text("OK"), at(FIRST));
    let words = Words::new(queued.message().unwrap(), None);
    for ahead_s in [3_600, -3_600] {
        assert_eq!(outcome(&queued, &words, read(ahead_s), &[message("SM1", "OK", after(1))]), "unknown", "{ahead_s}");
    }
}

#[test]
fn a_list_without_a_date_adopts_nothing() {
    let queued = queued(SENDER, text("OK"), at(FIRST));
    let words = Words::new(queued.message().unwrap(), None);
    let read = Read { date: None, ..read(0) };
    assert_eq!(outcome(&queued, &words, read, &[message("SM1", "OK", after(1))]), "unknown");
    assert_eq!(outcome(&queued, &words, read, &[message("SM1", "no", after(1))]), "never_taken");
    let undated = MessageResource { date_created: None, ..message("SM1", "OK", after(1)) };
    assert_eq!(of_text("OK", &[undated]), "unknown");
}

#[test]
fn what_we_never_send_is_not_ours() {
    let ours = message("SM1", "OK", after(1));
    for direction in ["outbound-reply", "outbound-call", "inbound"] {
        assert_eq!(of_text("OK", &[MessageResource { direction: direction.into(), ..ours.clone() }]), "never_taken");
    }
    assert_eq!(of_text("OK", &[MessageResource { num_media: 1, ..ours.clone() }]), "never_taken");
    let of_service = |sid: &str| {
        let queued = queued(SERVICE, text("OK"), at(FIRST));
        let words = Words::new(queued.message().unwrap(), None);
        outcome(
            &queued,
            &words,
            read(0),
            &[MessageResource { messaging_service_sid: Some(sid.into()), ..ours.clone() }],
        )
    };
    assert_eq!(of_service(SERVICE), "adopted SM1");
    assert_eq!(of_service("MG00000000000000000000000000000001"), "never_taken");
}

#[test]
fn a_template_is_known_by_the_words_that_the_provider_has() {
    let content = |types: serde_json::Value| -> Content {
        serde_json::from_value(json!({"sid": "HX1", "variables": {"1": "Sample", "2": "10:00"}, "types": types}))
            .unwrap()
    };
    let queued = queued(SENDER, template(&[("1", "Ana")]), at(FIRST));
    let send = queued.message().unwrap();
    let check = |content: Option<&Content>, body: &str, expect: &str| {
        let words = Words::new(send, content);
        assert_eq!(outcome(&queued, &words, read(0), &[message("SM1", body, after(1))]), expect, "{body}");
    };
    let known = content(json!({"twilio/text": {"body": "Hola {{1}}, a las {{2}}."}, "twilio/media": null}));
    check(Some(&known), "Hola Ana, a las 10:00.", "adopted SM1");
    check(Some(&known), "Hola Luis, a las 10:00.", "unknown");
    check(Some(&known), "Su paquete ha llegado", "never_taken");
    check(Some(&known), "", "unknown");
    let without_words = content(json!({"whatsapp/flows": {"button": "x"}}));
    for unknown in [Some(&without_words), None] {
        check(unknown, "Hola Ana, a las 10:00.", "unknown");
        assert_eq!(outcome(&queued, &Words::new(send, unknown), read(0), &[]), "never_taken");
    }
    let bare = content(json!({"twilio/text": {"body": "{{1}}"}}));
    check(Some(&bare), "Anything at all", "unknown");
}

#[test]
fn a_call_is_known_by_its_time() {
    let call = |sid: &str, created: i64, parent: Option<&str>| -> CallResource {
        let created: DateTime<Utc> = after(created).to_utc();
        serde_json::from_value(json!({
            "sid": sid, "status": "ringing", "direction": "outbound-api", "date_created": created.to_rfc2822(),
            "parent_call_sid": parent,
        }))
        .unwrap()
    };
    let queued = queued(SENDER, text("a call"), at(FIRST));
    let window = Window::new(&queued, read(0));
    let outcome = |calls: &[CallResource]| {
        let listed: Vec<Listed> = calls.iter().filter_map(|one| Listed::call(&window, one)).collect();
        described(&queued, &listed)
    };
    assert_eq!(outcome(&[call("CA1", 2, None), call("CA2", -3_000, None)]), "adopted CA1");
    assert_eq!(outcome(&[call("CA1", 2, None), call("CA2", 3, None)]), "unknown");
    assert_eq!(outcome(&[call("CA1", -60, None)]), "unknown");
    assert_eq!(outcome(&[call("CA1", 2, Some("CA9"))]), "never_taken", "a leg of another call");
    assert_eq!(outcome(&[call("CA2", -3_000, None)]), "never_taken");
}

#[test]
fn a_slow_list_widens_the_window_by_its_own_time() {
    let queued = queued(SENDER, text("OK"), at(FIRST));
    let words = Words::new(queued.message().unwrap(), None);
    let slow = Read { answered: after(120).plus(Duration::from_secs(10)), ..read(0) };
    assert_eq!(outcome(&queued, &words, slow, &[message("SM1", "OK", after(-11))]), "adopted SM1");
    assert_eq!(outcome(&queued, &words, slow, &[message("SM1", "OK", after(-12))]), "unknown");
}

#[test]
fn variables_are_not_read_again() {
    let mut variables = BTreeMap::new();
    variables.insert("1".to_owned(), "{{2}}".to_owned());
    variables.insert("2".to_owned(), "x".to_owned());
    let body = SendBody::Template(Template { content: "HX1".to_owned(), variables });
    let queued = queued(SENDER, body, at(FIRST));
    let content: Content =
        serde_json::from_value(json!({"sid": "HX1", "types": {"twilio/text": {"body": "a {{1}} b"}}})).unwrap();
    let words = Words::new(queued.message().unwrap(), Some(&content));
    assert_eq!(outcome(&queued, &words, read(0), &[message("SM1", "a {{2}} b", after(1))]), "adopted SM1");
}

/// What becomes of a send that a restored database has open; the list comes newest first.
fn restored(origin: Origin, body: &str, messages: &[MessageResource]) -> String {
    let queued = QueuedSend { origin, ..queued(SENDER, text(body), after(100)) };
    let words = Words::new(queued.message().unwrap(), None);
    let window = Window::new(&queued, read(0));
    let listed: Vec<Listed> =
        messages.iter().filter_map(|one| Listed::message(&queued, &words, &window, one)).collect();
    match judge_restored(&queued, &listed, after(120)).0 {
        AttemptResult::Adopted { sid, .. } => format!("adopted {sid}"),
        other => other.name().to_owned(),
    }
}

#[test]
fn after_a_restore_the_oldest_that_matches_is_ours() {
    let (newer, older) = (message("SM2", "OK", after(60)), message("SM1", "OK", after(5)));
    for origin in [Origin::Answer, Origin::Business] {
        assert_eq!(restored(origin, "OK", &[newer.clone(), older.clone()]), "adopted SM1");
        assert_eq!(restored(origin, "OK", &[]), "never_taken");
        let before = message("SM3", "OK", after(-60));
        assert_eq!(restored(origin, "OK", &[before]), "unknown", "the clocks may have differed");
    }
}

#[test]
fn after_a_restore_an_answer_in_other_words_was_an_answer() {
    let other = message("SM1", "We are open from nine", after(5));
    assert_eq!(restored(Origin::Answer, "OK", std::slice::from_ref(&other)), "answered_before");
    assert_eq!(restored(Origin::Business, "OK", &[other]), "never_taken", "a reminder is no answer");
    let before = message("SM1", "We are open from nine", after(-60));
    assert_eq!(restored(Origin::Answer, "OK", &[before]), "never_taken", "that answered something else");
}
