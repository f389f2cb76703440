//! Actions that cannot be done: they are blocked with their reason, and the rest of the rule stands.

use serde_json::json;

use super::{actions, event, facts, load, result, said, sms};
use crate::domain::{Event, Facts};
use crate::rules::{Decision, RuleResult, RuleSet};

/// Decides one rule that listens to messages and deliveries, with a tag before and a note behind the line.
fn around(line: &str, event: &Event, facts: &Facts) -> Decision {
    let source = format!(
        "rule(\"r\").on(\"inbound_sms\", \"message_status\").then(|e| {{ emit(\"before\"); {line}; emit(\"behind\"); }})
            .on_answer(\"q\", |e, a| note(a)).on_call(\"c\", |e| say(\"x\"));"
    );
    let (rules, errors): (RuleSet, _) =
        load(&[("templates/visit.txt", "Subject: {{day}}\n\nHi {{name}}"), ("a.rhai", &source)]);
    assert!(errors.is_empty(), "{line}: {}", said(&errors));
    rules.decide(event, facts)
}

/// The reason for which the action of the line is blocked. The actions around it must stand.
fn blocked(line: &str, event: &Event, facts: &Facts) -> String {
    let decision = around(line, event, facts);
    assert_eq!(result(&decision), &RuleResult::Fired, "{line}");
    let [before, found @ .., behind] = &decision.actions[..] else { panic!("{line}: {decision:?}") };
    assert!(before.blocked.is_none() && behind.blocked.is_none(), "{line}");
    let [found] = found else { panic!("{line}: {found:?}") };
    assert_eq!(found.index, 1, "{line}: it keeps its place");
    let json = serde_json::to_string(&found.action).unwrap();
    assert_eq!(serde_json::from_str::<crate::domain::Action>(&json).unwrap(), found.action, "{json}");
    found.blocked.clone().unwrap_or_else(|| panic!("{line}: it is not blocked: {found:?}"))
}

#[test]
fn what_cannot_be_done_is_blocked_and_the_rest_stands() {
    for (line, reason) in [
        (r#"send_email(e.contact, "a", "b")"#, "the customer has no e-mail address"),
        (r#"send_email("staff", "a", "b")"#, "--staff-email"),
        (r#"let to = "ana"; send_email(to, "a", "b")"#, "'ana' is no e-mail address"),
        (r#"let to = "ana@"; send_email(to, "a", "b")"#, "is no e-mail address"),
        (r#"let t = "vist"; send_email("a@b.example", t, #{})"#, "there is no template 'vist'"),
        (r#"let t = "visit"; send_email("a@b.example", t, #{ day: 1 })"#, "{{name}} is missing"),
        (r#"send_email("staff", "visit", #{ day: 1, name: "x" })"#, "--staff-email"),
        (r#"let to = "600111222"; send_sms(to, "x")"#, "has no country code"),
        (r#"let to = ""; send_sms(to, "x")"#, "is not a phone number"),
        (r#"let to = "call me"; send_whatsapp(to, "x")"#, "'call me'"),
        (r#"send_sms(e.data.nobody, "x")"#, "nobody to send to"),
        (r#"send_rcs(e.data.nobody, "x")"#, "nobody to send to"),
        (r#"send_whatsapp_template(e.data.nobody, "offer")"#, "nobody to send to"),
        (r#"send_email(e.data.nobody, "a", "b")"#, "nobody to send to"),
        (r#"call(e.data.nobody, #{ say: "x" })"#, "nobody to send to"),
        (r#"let to = "12"; call(to, "c")"#, "'12'"),
        (r#"let u = "ftp://x"; http_request(#{ url: u })"#, "only http:// and https:// are called"),
        (r#"let u = "http://a:b@x"; http_request(#{ url: u })"#, "a user or a password"),
        (r#"let u = ""; http_request(#{ url: u })"#, "the URL cannot be read"),
        (r#"http_request(#{ url: e.data.hook })"#, "the URL cannot be read"),
        (r#"http_request(#{ url: "http://x.example", headers: #{ Host: "y" } })"#, "the connection's own"),
        (r#"http_request(#{ url: "http://x.example", headers: #{ A: "y\r\nB: z" } })"#, "a line break"),
    ] {
        let found = blocked(line, &sms("x"), &facts());
        assert!(found.contains(reason), "{line}: {found}");
    }
}

#[test]
fn an_event_without_a_customer_blocks_what_is_about_one() {
    let (mut event, mut facts) = (event("message_status", json!({})), facts());
    (event.contact, facts.contact) = (None, None);
    for line in [
        "send_sms(e.contact, \"x\")",
        "send_email(e.contact, \"a\", \"b\")",
        "call(e.contact, \"c\")",
        "notify(e.contact, \"x\")",
        "ask(\"q\", \"x?\", \"1h\")",
        "tag(\"x\")",
        "untag(\"x\")",
        "note(\"x\")",
        "set_field(\"x\", 1)",
    ] {
        let found = blocked(line, &event, &facts);
        assert!(found.contains("concerns no customer"), "{line}: {found}");
        assert!(around(line, &event, &facts).questions.is_empty(), "{line}");
    }
}

#[test]
fn each_staff_address_is_an_action_and_none_is_one_that_is_blocked() {
    let mut facts = facts();
    let decision = around("send_email(\"staff\", \"A lead\", \"Ana wrote\")", &sms("x"), &facts);
    assert_eq!(
        actions(&decision)[1],
        json!({"unaddressed": "email", "to": "staff", "email": {"subject": "A lead", "text": "Ana wrote"}})
    );
    facts.tenant.staff_emails =
        ["eva@sol.example", "leo@sol.example"].map(|text| crate::domain::EmailAddress::parse(text).unwrap()).to_vec();
    let decision = around("send_email(\"staff\", \"A lead\", \"Ana wrote\")", &sms("x"), &facts);
    assert_eq!(decision.actions.iter().filter(|planned| planned.blocked.is_none()).count(), 4);
}

#[test]
fn a_mistake_of_the_script_fails_the_rule() {
    for line in [
        "send_email(5, \"a\", \"b\")",
        "send_sms(4, \"x\")",
        "let t = 5; send_sms(e.contact, t)",
        "send_sms(e.contact, \"\")",
        "http_request(\"http://x.example\")",
        "http_request(#{ uri: \"http://x.example\" })",
        "http_request(#{ method: \"GET\", url: \"http://x.example\", body: \"x\" })",
        "throw \"no\"",
        "cancel_appointment()",
    ] {
        let decision = around(line, &sms("x"), &facts());
        assert!(matches!(result(&decision), RuleResult::Failed { .. }), "{line}: {:?}", result(&decision));
        assert!(decision.actions.is_empty(), "{line}");
    }
}

/// Otherwise a lead who has answered would get the follow-ups all the same.
#[test]
fn an_answer_that_leads_to_a_blocked_action_is_taken() {
    let source = "rule(\"r\").on(\"inbound_sms\").keyword(\"go\").then(|e| ask(\"q\", \"?\", \"1h\"))
        .on_answer(\"q\", |e, a| { untag(\"lead\"); send_email(\"staff\", \"A lead\", a); });";
    let (rules, _) = load(&[("a.rhai", source)]);
    let mut facts = facts();
    rules.decide(&sms("go"), &facts).questions.iter().for_each(|change| facts.apply_question(change));
    let mut answer = sms("tomorrow");
    answer.id = crate::domain::EventId::new(uuid::Uuid::from_u128(77));
    let decision = rules.decide(&answer, &facts);
    assert_eq!(result(&decision), &RuleResult::Answered { question: "q".into() });
    assert_eq!(actions(&decision)[0], json!({"effect": "untag", "tag": "lead"}));
    assert!(decision.actions[1].blocked.is_some());
}
