//! Postponed actions, limits, questions and their answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{actions, complaints, event, facts, now, result, rules, sms, then, value};
use crate::domain::{Channel, Event, Facts, Question, QuestionChange, Timestamp};
use crate::rules::{Decision, RuleResult, RuleSet};

const BOOKING: &str = r##"
rule("booking").on("inbound_sms").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h"))
    .on_answer("day", |e, answer| {
        if answer == "monday" || answer == "tuesday" { ask("hour", "At what time?", "2h", #{ day: answer }) }
    })
    .on_answer("hour", |e, answer| {
        if number(answer) == () { note("no hour"); return false; }
        if answer == "9 please" { pass_on(); }
        reply(`${e.question.state.day} ${answer}, ${e.body}`)
    })
    .on_silence("day", |e| send_sms(e.contact, `about ${e.question.name}?`));
rule("other").on("inbound_sms").then(|e| note(`other ${e.body}`));
"##;

fn due(decision: &Decision) -> Vec<Option<String>> {
    decision.actions.iter().map(|planned| planned.due.map(|due| due.to_string())).collect()
}

#[test]
fn actions_leave_later() {
    for (body, expect) in [
        (r#"send_sms(e.contact, "x").in("2h")"#, Some("2026-11-21T10:30:00Z")),
        (r#"reply("x").in("90s")"#, Some("2026-11-21T08:31:30Z")),
        // The same time of day tomorrow, by the clock of Madrid.
        (r#"send_whatsapp(e.contact, "x").in("1d")"#, Some("2026-11-22T08:30:00Z")),
        (r#"http_request(#{ url: "https://example.com/a" }).in("15m")"#, Some("2026-11-21T08:45:00Z")),
        (r#"send_sms(e.contact, "x").at("2026-12-01T10:00:00+01:00")"#, Some("2026-12-01T09:00:00Z")),
        (r#"send_sms(e.contact, "x").at(time("2026-12-01T10:00:00Z"))"#, Some("2026-12-01T10:00:00Z")),
        (r#"let s = send_sms(e.contact, "x"); s.in("2h"); s.in("1h")"#, Some("2026-11-21T09:30:00Z")),
        (r#"send_sms(e.contact, "x").at("2020-12-01T10:00:00Z")"#, None),
        (r#"send_sms(e.contact, "x")"#, None),
    ] {
        let decision = then(body);
        assert_eq!(due(&decision), [expect.map(str::to_owned)], "{body}: {:?}", result(&decision));
    }
    let two = then(r#"reply("a"); send_sms(e.contact, "b").in("1h"); note("c"); send_sms(e.contact, "d")"#);
    assert_eq!(due(&two), [None, Some("2026-11-21T09:30:00Z".to_owned()), None, None]);
}

#[test]
fn what_cannot_be_later_says_why() {
    for (body, expect) in [
        ("send_sms(e.contact, \"x\").in(2)", "in: a span is a text such as"),
        ("let t = \"soon\"; send_sms(e.contact, \"x\").in(t)", "in: "),
        ("send_sms(e.contact, \"x\").in(\"60w\")", "more than 366 days ahead"),
        ("send_sms(e.contact, \"x\").at(\"tomorrow\")", "at: 'tomorrow' is no moment"),
        ("send_sms(e.contact, \"x\").at(5)", "at: a number is no moment"),
    ] {
        match result(&then(body)) {
            RuleResult::Failed { error } => assert!(error.contains(expect), "{body}: {error}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    let written = complaints("rule(\"r\").on(\"inbound_sms\").then(|e| send_sms(e.contact, \"x\").in(\"soon\"));");
    assert!(written.contains("a.rhai:1:") && written.contains("in: "), "{written}");
}

#[test]
fn in_is_still_a_keyword() {
    for (expression, expect) in [
        ("3 in [1, 2, 3]", "true"),
        ("3 !in [1, 2]", "true"),
        ("{ let sum = 0; for x in [1, 2, 3] { sum += x; } sum }", "6"),
        ("{ let m = #{ list: [1] }; let n = 0; for x in m.list { n += x; } n }", "1"),
        ("\"a\" in #{ a: 1 }", "true"),
        ("`${e.contact.name}` in [\"Ana María\"]", "true"),
        ("{ let n = 0; for (x, i) in [4, 5] { n += i; } n }", "1"),
        ("{ let t = \"qué\"; t in e.body }", "true"),
    ] {
        assert_eq!(value(expression), expect, "{expression}");
    }
    assert!(complaints("let in = 3;").contains("in"), "no variable is called so");
}

#[test]
fn a_limit_counts_for_one_customer() {
    let set = rules("rule(\"r\").on(\"inbound_sms\").limit(2, \"4h\").then(|e| send_sms(\"+34600111222\", \"x\"));");
    let ago = |minutes: u64| now().minus(std::time::Duration::from_secs(minutes * 60));
    let fired = |firings: Vec<Timestamp>| {
        let facts = Facts { firings: BTreeMap::from([("r".to_owned(), firings)]), ..facts() };
        let decision = set.decide(&sms("hola"), &facts);
        assert_eq!(decision.actions.len(), decision.firings.len(), "what runs is counted");
        result(&decision).clone()
    };
    assert_eq!(fired(vec![]), RuleResult::Fired);
    assert_eq!(fired(vec![ago(60)]), RuleResult::Fired);
    assert_eq!(fired(vec![ago(500), ago(60)]), RuleResult::Fired, "one is too old to count");
    let limited = RuleResult::Limited { times: 2, span: "4h".to_owned() };
    assert_eq!(fired(vec![ago(239), ago(60)]), limited);
    assert_eq!(limited.to_string(), "limited: it has run 2 times within 4h");
    let decision = set.decide(&sms("hola"), &facts());
    assert_eq!(decision.firings[0].since, ago(240));
    let nobody = Event { contact: None, ..sms("hola") };
    assert_eq!(result(&set.decide(&nobody, &Facts { contact: None, ..facts() })), &RuleResult::Fired);
    assert_eq!(set.firings_since(&sms("hola"), &facts()), Some(ago(240)));
    assert_eq!(set.firings_since(&event("opted_in", json!({})), &facts()), None, "no rule of that event's has one");
    for bad in ["limit(0, \"4h\")", "limit(1, \"x\")", "limit(\"1\", \"4h\")", "limit(101, \"4h\")"] {
        let said = complaints(&format!("rule(\"r\").on(\"inbound_sms\").{bad}.then(|e| note(\"x\"));"));
        assert!(said.contains("limit"), "{bad}: {said}");
    }
}

/// A message with an id of its own.
fn message(body: &str) -> Event {
    let id = body.bytes().fold(0u128, |id, byte| id * 256 + u128::from(byte));
    Event { id: crate::domain::EventId::new(uuid::Uuid::from_u128(id)), ..sms(body) }
}

/// Decides the customer's next message, and applies its questions to the facts.
fn says(set: &RuleSet, facts: &mut Facts, body: &str) -> Decision {
    let decision = set.decide(&message(body), facts);
    decision.questions.iter().for_each(|change| facts.apply_question(change));
    decision
}

fn open(facts: &Facts) -> Option<(&str, &Value)> {
    facts.questions.get(&Channel::Sms).map(|question| (question.name.as_str(), &question.state))
}

fn results(decision: &Decision) -> Vec<(&str, &RuleResult)> {
    decision.trace.rules.iter().map(|trace| (trace.rule.as_str(), &trace.result)).collect()
}

#[test]
fn a_conversation_has_steps() {
    let set = rules(BOOKING);
    let mut facts = facts();
    let asked = says(&set, &mut facts, "BOOK");
    assert_eq!(actions(&asked)[0]["text"], "Which day?");
    assert_eq!(asked.trace.rules[0].asks, ["asks \"day\" on sms, until 2026-11-22T08:30:00Z if it leaves at once"]);
    assert_eq!(open(&facts), Some(("day", &Value::Null)));
    let QuestionChange::Open(question) = &asked.questions[0] else { panic!("{asked:?}") };
    assert_eq!(
        question.id,
        crate::domain::ActionId::of(message("BOOK").id, "booking", 0),
        "that of the send that asks it"
    );

    let day = || "day".to_owned();
    let odd = says(&set, &mut facts, "what?");
    let fits_nothing = RuleResult::FitsNothing { question: day() };
    assert_eq!(results(&odd), [("booking", &fits_nothing), ("other", &RuleResult::Fired)]);
    assert_eq!(open(&facts), Some(("day", &Value::Null)), "it stays open");

    let monday = says(&set, &mut facts, " ¡Monday ");
    assert_eq!(
        results(&monday),
        [("booking", &fits_nothing), ("other", &RuleResult::Fired)],
        "folded, not stripped of signs"
    );
    let monday = says(&set, &mut facts, " MÓNDAY ");
    assert_eq!(results(&monday), [("booking", &RuleResult::Answered { question: day() })], "nobody else is asked");
    assert_eq!(open(&facts), Some(("hour", &json!({"day": "monday"}))));
    assert!(matches!(&monday.questions[..], [QuestionChange::Close(_), QuestionChange::Open(_)]));

    let odd = says(&set, &mut facts, "early");
    assert_eq!(
        actions(&odd),
        json!([{"effect": "note", "text": "other early"}]),
        "false: what it asked for does not count"
    );
    let hour = says(&set, &mut facts, "9 PLEASE");
    assert_eq!(actions(&hour)[0]["text"], "monday 9 please, 9 PLEASE");
    assert_eq!(actions(&hour)[1]["text"], "other 9 PLEASE", "pass_on");
    assert_eq!(open(&facts), None);
    assert_eq!(results(&says(&set, &mut facts, "10")), [("other", &RuleResult::Fired)]);
}

#[test]
fn a_new_question_replaces_the_old_one_and_says_so() {
    let set = rules(BOOKING);
    let mut facts = facts();
    says(&set, &mut facts, "BOOK");
    let again = says(&set, &mut facts, "BOOK");
    let booking = &again.trace.rules[1];
    assert_eq!(booking.rule, "booking");
    assert_eq!(booking.asks[1], "which replaces \"day\" of booking, open on sms since 2026-11-21T08:30:00Z");
    assert_eq!(again.trace.rules[0].result, RuleResult::FitsNothing { question: "day".into() });
}

#[test]
fn words_that_the_intake_heeds_answer_nothing() {
    let set = rules(BOOKING);
    let mut facts = facts();
    says(&set, &mut facts, "BOOK");
    for word in ["STOP", "help", "Baja"] {
        assert_eq!(results(&says(&set, &mut facts, word)), [("other", &RuleResult::Fired)], "{word}");
    }
    let mut named = sms("Basta");
    named.data["opt_out_type"] = "STOP".into();
    assert_eq!(results(&set.decide(&named, &facts)), [("other", &RuleResult::Fired)]);
    let yes = says(&set, &mut facts, "YES");
    assert_eq!(results(&yes)[0].1, &RuleResult::FitsNothing { question: "day".into() }, "a START only for who is out");
}

fn silence(question: &Question) -> Event {
    event(
        "timer",
        json!({"question": {"id": question.id, "channel": "sms", "rule": question.rule, "name": question.name},
               "timer": {"rule": question.rule, "purpose": "silence", "due": question.expires_at}}),
    )
}

#[test]
fn silence_ends_a_question_once() {
    let set = rules(BOOKING);
    let mut facts = facts();
    says(&set, &mut facts, "BOOK");
    let question = facts.questions[&Channel::Sms].clone();
    let quiet = set.decide(&silence(&question), &facts);
    assert_eq!(results(&quiet), [("booking", &RuleResult::Silent { question: "day".into() })]);
    assert_eq!(actions(&quiet)[0]["text"], "about day?");
    assert_eq!(quiet.questions, [QuestionChange::Close(question.clone())]);

    says(&set, &mut facts, "monday");
    let broken = set.decide(&silence(&question), &facts);
    assert_eq!(results(&broken), [("booking", &RuleResult::SilenceBroken { question: "day".into() })]);
    assert!(broken.actions.is_empty() && broken.questions.is_empty());
    // Without an on_silence the question only closes.
    let hour = facts.questions[&Channel::Sms].clone();
    let quiet = set.decide(&silence(&hour), &facts);
    assert_eq!(quiet.questions, [QuestionChange::Close(hour)]);
    assert!(quiet.actions.is_empty());
}

#[test]
fn a_silence_whose_rule_fails_ends_the_question_all_the_same() {
    let set = rules(
        "rule(\"r\").on(\"inbound_sms\").then(|e| ask(\"q\", \"?\", \"1h\")).on_answer(\"q\", |e, a| reply(a))
            .on_silence(\"q\", |e| { note(\"x\"); throw \"no\" });",
    );
    let mut facts = facts();
    says(&set, &mut facts, "hola");
    let question = facts.questions[&Channel::Sms].clone();
    let quiet = set.decide(&silence(&question), &facts);
    assert!(matches!(result(&quiet), RuleResult::Failed { .. }));
    assert_eq!((quiet.actions.len(), quiet.questions), (0, vec![QuestionChange::Close(question)]));
}

#[test]
fn a_rule_that_is_gone_gets_no_answer() {
    let mut facts = facts();
    says(&rules(BOOKING), &mut facts, "BOOK");
    let question = facts.questions[&Channel::Sms].clone();
    let others = rules("rule(\"other\").on(\"inbound_sms\").then(|e| note(\"other\"));");
    let nobody = RuleResult::NobodyHears { question: "day".into() };
    let answer = others.decide(&sms("monday"), &facts);
    assert_eq!(results(&answer), [("booking", &nobody), ("other", &RuleResult::Fired)]);
    assert!(answer.questions.is_empty());
    let quiet = others.decide(&silence(&question), &facts);
    assert_eq!(results(&quiet), [("booking", &nobody)]);
    assert_eq!(quiet.questions, [QuestionChange::Close(question)]);
}

#[test]
fn a_failing_answer_leaves_the_question_open() {
    let set = rules(
        "rule(\"r\").on(\"inbound_sms\").keyword(\"go\").then(|e| ask(\"q\", \"?\", \"1h\"))
            .on_answer(\"q\", |e, a| { reply(a); throw \"no\" });
         rule(\"other\").on(\"inbound_sms\").then(|e| note(\"other\"));",
    );
    let mut facts = facts();
    says(&set, &mut facts, "go");
    let failed = says(&set, &mut facts, "x");
    assert_eq!(actions(&failed), json!([{"effect": "note", "text": "other"}]));
    assert!(open(&facts).is_some());
}

#[test]
fn every_rule_is_explained_when_one_has_heard_the_answer() {
    let set = rules(BOOKING);
    let mut facts = facts();
    says(&set, &mut facts, "BOOK");
    let decide_answer = |body: &str| -> Vec<(String, RuleResult)> {
        let explained = set.explain(&sms(body), &facts);
        explained.into_iter().map(|one| (one.trace.rule, one.trace.result)).collect()
    };
    let elsewhere = RuleResult::AnsweredElsewhere { rule: "booking".into() };
    let answered = RuleResult::Answered { question: "day".into() };
    assert_eq!(decide_answer("monday"), [("booking".to_owned(), answered), ("other".to_owned(), elsewhere)]);
    let fits_nothing = RuleResult::FitsNothing { question: "day".into() };
    assert_eq!(decide_answer("x"), [("booking".to_owned(), fits_nothing), ("other".to_owned(), RuleResult::Fired)]);
}

#[test]
fn whom_and_where_to_ask() {
    let asks = |kind: &str, call: &str| {
        let set =
            rules(&format!("rule(\"r\").on(\"{kind}\").then(|e| {{ {call} }}).on_answer(\"q\", |e, a| reply(a));"));
        let mut facts = facts();
        let customer = facts.contact.as_mut().unwrap();
        customer.last_inbound_at.insert(Channel::WhatsApp, now());
        set.decide(&Event { channel: None, ..event(kind, json!({})) }, &facts)
    };
    for (kind, call, channel, reply) in [
        ("opted_in", "ask(\"q\", \"?\", \"1h\")", "whatsapp", false),
        ("opted_in", "ask(\"q\", \"?\", \"1h\", \"sms\")", "sms", false),
        ("opted_in", "ask(\"q\", \"?\", \"1h\", \"sms\", #{ a: 1 })", "sms", false),
        ("inbound_sms", "ask(\"q\", \"?\", \"1h\", #{ a: 1 })", "sms", true),
        ("inbound_sms", "ask(\"q\", \"?\", \"1h\", \"whatsapp\")", "whatsapp", false),
    ] {
        let decision = asks(kind, call);
        let send = &actions(&decision)[0];
        assert_eq!((send["send"].as_str(), send["reply"] == true), (Some(channel), reply), "{call}");
    }
    for (call, expect) in [
        ("let q = \"w\"; ask(q, \"?\", \"1h\")", "nobody would hear the answer: add .on_answer(\"w\""),
        ("ask(\"q\", \"?\", \"0s\")", "span"),
        ("ask(\"q\", \"?\", \"1h\", \"email\")", "no answer can come in on email"),
        ("ask(\"q\", \"?\", \"1h\", \"pigeon\")", "pigeon"),
        (
            "let t = \"12345678\"; for i in [1,2,3,4,5,6,7,8] { t += t; } ask(\"q\", \"?\", \"1h\", #{ t: t, u: t })",
            "larger than 2048 bytes",
        ),
        ("pass_on()", "inside .on_answer"),
    ] {
        let decision = asks("opted_in", call);
        assert!(result(&decision).to_string().contains(expect), "{call}: {}", result(&decision));
        assert!(decision.questions.is_empty());
    }
}

#[test]
fn questions_without_a_handler_are_found_when_rules_are_loaded() {
    for (rest, expect) in [
        ("then(|e| ask(\"q\", \"?\", \"1h\"))", "nobody hears the answer to the question \"q\""),
        ("then(|e| note(\"x\")).on_silence(\"q\", |e| note(\"x\"))", "nobody hears the answer to the question \"q\""),
        ("then(|e| note(\"x\")).on_answer(\"q\", |e| note(\"x\"))", "the closure must have two parameters"),
        ("then(|e| note(\"x\")).on_answer(\"q\", 5)", "on_answer takes a question's name and a closure"),
        ("then(|e| ask(\"q\", \"?\", \"soon\")).on_answer(\"q\", |e, a| reply(a))", "ask: "),
        (
            "then(|e| note(\"x\")).on_answer(\"q\", |e, a| reply(a)).on_answer(\"q\", |e, a| reply(a))",
            "there is an on_answer for \"q\" already",
        ),
    ] {
        let said = complaints(&format!("rule(\"r\").on(\"inbound_sms\").{rest};"));
        assert!(said.contains(expect), "{rest}: {said}");
    }
}
