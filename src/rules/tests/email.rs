//! `send_email`: its recipients, its text, and the checks when rules are loaded.

use serde_json::json;

use super::*;
use crate::domain::EmailAddress;

const VISIT: (&str, &str) = ("templates/visit.txt", "Subject: {{day}}\n\nHi {{name}}");

fn with_mail() -> Facts {
    let mut facts = facts();
    facts.contact.as_mut().unwrap().fields.insert("email".into(), "Ana@Example.com".into());
    facts.tenant.staff_emails =
        ["eva", "leo"].map(|name| EmailAddress::parse(&format!("{name}@sol.example")).unwrap()).into();
    facts
}

fn source(body: &str) -> String {
    format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {body} }});")
}

/// Runs a then with the template above, for Ana with her address.
fn decided(body: &str, facts: &Facts) -> Decision {
    let (rules, errors) = load(&[VISIT, ("templates/visit.html", "<b>{{name}}</b>"), ("a.rhai", &source(body))]);
    assert!(errors.is_empty(), "{}", said(&errors));
    rules.decide(&sms("Hola"), facts)
}

#[test]
fn e_mails_are_written_down() {
    let body = r##"send_email(e.contact, "Hola", e.contact.email); send_email("x@y.example", "visit", #{ name: "<A>", day: 5 });
                   send_email("staff", "Aviso", "uno");"##;
    let decision = decided(body, &with_mail());
    assert_eq!(
        actions(&decision),
        json!([
            {"send": "email", "to": "Ana@Example.com", "email": {"subject": "Hola", "text": "Ana@Example.com"}},
            {"send": "email", "to": "x@y.example",
             "email": {"subject": "5", "text": "Hi <A>", "html": "<b>&lt;A&gt;</b>"}},
            {"send": "email", "to": "eva@sol.example", "email": {"subject": "Aviso", "text": "uno"}},
            {"send": "email", "to": "leo@sol.example", "email": {"subject": "Aviso", "text": "uno"}},
        ]),
        "{:?}",
        result(&decision)
    );
    assert_eq!(decided(body, &with_mail()), decision, "deciding again gives the same");
    let read: crate::domain::Action = serde_json::from_value(actions(&decision)[1].clone()).unwrap();
    assert_eq!((&read, read.kind()), (&decision.actions[1].action, "send_email"));
}

#[test]
fn bad_e_mails_say_why() {
    for (body, expect) in [
        ("send_email(5, \"a\", \"b\")", "use e.contact, \"staff\" or an address"),
        ("let s = \"\"; s.pad(201, 'x'); send_email(\"a@b.c\", s, \"b\")", "200 is the most for a subject"),
        ("send_email(\"a@b.c\", \"\", \"b\")", "the text is empty"),
        ("send_email(\"a@b.c\", \"visit\", #{ day: 1, name: [1] })", "must be text or a whole number"),
    ] {
        let decision = decided(body, &facts());
        assert!(
            format!("{:?}", result(&decision)).replace("\\\"", "\"").contains(expect),
            "{body}: {:?}",
            result(&decision)
        );
        assert!(decision.actions.is_empty());
    }
    let many = decided("for i in 0..31 { note(`${i}`) } send_email(\"staff\", \"a\", \"b\")", &with_mail());
    assert!(format!("{:?}", result(&many)).contains("at most 32 actions"), "each address is an action: {many:?}");
}

#[test]
fn templates_are_checked_with_the_rules() {
    let check = |body: &str, expect: &str| {
        let errors = said(&load(&[VISIT, ("a.rhai", &source(body))]).1);
        assert!(errors.contains(expect), "{body}: {errors:?}");
    };
    check("send_email(e.contact, \"vist\", #{})", "there is no template 'vist' (did you mean 'visit'?)");
    check("send_email(e.contact, \"visit\", #{ day: 1 })", "the template 'visit' needs the value 'name'");
    check("send_email(e.contact, \"visit\", #{ day: e.body })", "the template 'visit' needs the value 'name'");
    check(
        "send_email(e.contact, \"visit\", #{ day: 1, name: e.body, x: 2 })",
        "the template 'visit' has no {{x}} (it has day, name)",
    );
    check("send_email(\"+34600111222\", \"a\", \"b\")", "use e.contact, \"staff\" or an address");
    check("send_email(\"a@b.c\", \"a\")", "send_email does not take 2 arguments");
    let broken = said(&load(&[("templates/a.txt", "Hola"), ("a.rhai", &source("note(\"x\")"))]).1);
    assert_eq!(broken, "templates/a.txt:1: error: the first line must be the subject: Subject: …");
}

#[test]
fn the_version_stands_for_the_templates_too() {
    let version =
        |text: &str| load(&[("templates/a.txt", text), ("a.rhai", &source("note(\"x\")"))]).0.version().to_owned();
    assert_eq!(version("Subject: a\n\nb"), version("Subject: a\n\nb"));
    assert_ne!(version("Subject: a\n\nb"), version("Subject: a\n\nc"));
}
