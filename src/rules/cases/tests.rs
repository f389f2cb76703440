//! Cases that hold, differ, or cannot be read.

use super::*;

fn report(cases: &str) -> CaseReport {
    let dir = tempfile::tempdir().unwrap();
    let rule = "rule(\"hi\").on(\"inbound_sms\").keyword(\"hi\").when(\"named\", |e| e.contact.name != \"\")
        .then(|e| reply(`Hi ${e.contact.name}, it is ${local(e.now, \"%H:%M\")}`));
        rule(\"bad\").on(\"inbound_sms\").keyword(\"bad\").then(|e| { throw \"no\" });";
    fs::write(dir.path().join("hi.rhai"), rule).unwrap();
    fs::write(dir.path().join("other.rhai"), "rule(\"o\").on(\"inbound_sms\").then(|e| note(\"o\"));").unwrap();
    fs::write(dir.path().join("hi.cases.json"), cases).unwrap();
    run(dir.path())
}

#[test]
fn a_case_that_holds_says_nothing() {
    let report = report(
        r#"[{"name": "a", "event": {"kind": "inbound_sms", "body": "HI!"},
             "facts": {"contact": {"name": "Eva"}, "tenant": {"zone": "Europe/Madrid"}}, "now": "2026-07-01T10:00:00Z",
             "expect": {"fired": ["hi"], "actions": [
                {"send": "sms", "to": "+15005550006", "reply": true, "text": "Hi Eva, it is 12:00"}]}},
            {"name": "b", "event": {"kind": "inbound_sms", "data": {"body": "other"}}, "expect": {"actions": []}}]"#,
    );
    assert!(report.passed(), "{report}");
    assert_eq!(report.cases.len(), 2);
    assert_eq!(report.findings.len(), 1, "a file without cases is a warning");
    assert!(report.findings[0].to_string().contains("other.rhai: warning: the rules have no cases"));
}

#[test]
fn a_case_that_differs_says_how_and_why() {
    let report = report(
        r#"[{"name": "a", "event": {"kind": "inbound_sms", "body": "hi"},
             "expect": {"actions": [{"effect": "tag", "tag": "x"}]}},
            {"name": "b", "event": {"kind": "inbound_sms", "body": "bad"}, "expect": {"actions": []}},
            {"name": "c", "event": {"kind": "inbound_sms", "body": "hi"}, "facts": {"contact": {"name": "Eva"}},
             "expect": {"fired": [], "actions": []}}]"#,
    );
    assert!(!report.passed());
    let text = report.to_string();
    for line in [
        "hi.cases.json: \"a\" differs",
        "  - {\"effect\":\"tag\",\"tag\":\"x\"}",
        "  + nothing",
        "hi: not when \"named\"",
        "bad failed: hi.rhai:3:",
        "fired: expected [], got [\"hi\"]",
        "Hi Eva, it is 09:00",
        "0 cases hold, 3 differ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_file_of_cases_that_cannot_be_read_is_an_error() {
    for (cases, expect) in [
        ("[{", "hi.cases.json:1:2: error: EOF while parsing"),
        ("[{\"name\": \"a\", \"evnt\": {}}]", "unknown field `evnt`"),
        (
            "[{\"name\": \"a\", \"event\": {\"kind\": \"Bad\"}, \"expect\": {\"actions\": []}}]",
            "cannot be an event kind",
        ),
    ] {
        let report = report(cases);
        assert!(!report.passed());
        assert!(report.to_string().contains(expect), "{report}");
    }
}

#[test]
fn an_expected_action_that_lacks_something_is_named() {
    for (action, expect) in [
        (r#"{"send": "sms", "text": "Hi"}"#, "missing field `to`"),
        (r#"{"send": "sms", "to": "+15005550006"}"#, "it lacks \"text\", \"template\", \"email\" or \"call\""),
        (r#"{"effect": "tag"}"#, "missing field `tag`"),
        (r#"{"reply": "Hi"}"#, "one of \"send\", \"unaddressed\", \"effect\", \"url\" and \"do\""),
    ] {
        let report = report(&format!(
            r#"[{{"name": "a", "event": {{"kind": "inbound_sms", "body": "hi"}}, "expect": {{"actions": [{action}]}}}},
                {{"name": "b", "event": {{"kind": "inbound_sms", "body": "hi"}}, "expect": {{"actions": []}}}}]"#
        ));
        let text = report.to_string();
        assert_eq!(report.failed().count(), 1, "the other case is tried: {text}");
        for words in ["hi.cases.json: \"a\" differs", "action 1 is expected in a form that cannot be read", expect] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }
}

#[test]
fn rules_that_wait_are_asked_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let rules =
        "rule(\"later\").on(\"inbound_sms\").after(\"2h\").then(|e| note(`${e.body} ${local(e.now, \"%H:%M\")}`));
        rule(\"news\").cron(\"0 9 * * *\").for_each(\"contacts\").then(|e| note(`news for ${e.contact.name}`));";
    fs::write(dir.path().join("t.rhai"), rules).unwrap();
    let cases = r#"[{"name": "later", "event": {"kind": "inbound_sms", "body": "hi"}, "now": "2026-01-05T09:00:00Z",
         "expect": {"fired": ["later"], "actions": [{"effect": "note", "text": "hi 11:00"}]}},
        {"name": "news", "event": {"kind": "timer", "timer": {"rule": "news"}}, "facts": {"contact": {"name": "Ana"}},
         "expect": {"fired": ["news"], "actions": [{"effect": "note", "text": "news for Ana"}]}}]"#;
    fs::write(dir.path().join("t.cases.json"), cases).unwrap();
    let report = run(dir.path());
    assert!(report.passed(), "{report}");
}

#[test]
fn cases_without_rules_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/parking.cases.json"), "[]").unwrap();
    fs::write(dir.path().join("a/parkin.rhai"), "").unwrap();
    let report = run(dir.path());
    assert!(!report.passed());
    let expect = "a/parking.cases.json: error: there is no a/parking.rhai for these cases (";
    assert!(report.to_string().starts_with(expect), "{report}");
}

#[test]
fn the_shipped_rules_hold_their_cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let (rules, errors) = RuleSet::load(&dir, Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    let report = run_on(&rules, &dir);
    assert!(report.passed() && report.findings.is_empty(), "{report}");
    assert!(rules.rules().count() >= 10);
}

#[test]
fn cases_tell_of_later_and_of_questions() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "rule(\"r\").on(\"inbound_sms\").keyword(\"go\").limit(1, \"4h\")
        .then(|e| { send_sms(e.contact, \"later\").in(\"2h\"); ask(\"q\", \"?\", \"1d\", #{ a: 1 }) })
        .on_answer(\"q\", |e, answer| note(`${answer} ${e.question.state.a}`)).on_silence(\"q\", |e| note(\"silence\"));";
    fs::write(dir.path().join("r.rhai"), rule).unwrap();
    let later = |when: &str| format!(r#"{{"send": "sms", "to": "+15005550006", "text": "later", {when}}}"#);
    let ask = r#"{"send": "sms", "to": "+15005550006", "reply": true, "text": "?"}"#;
    let go = |name: &str, when: &str, asks: &str| {
        format!(
            r#"{{"name": "{name}", "event": {{"kind": "inbound_sms", "body": "go"}},
                "expect": {{"fired": ["r"], "actions": [{}, {ask}], "asks": {asks}}}}}"#,
            later(when)
        )
    };
    let asks = r#"[{"name": "q", "state": {"a": 1}}]"#;
    let question = r#""question": {"name": "q", "state": {"a": 2}}"#;
    let cases = [
        go("in", r#""in": "2h""#, asks),
        go("due", r#""due": "2026-01-05T11:00:00Z""#, asks),
        go("soon", r#""in": "1h""#, asks),
        go("forgets", r#""in": "2h""#, "[]"),
        go("both", r#""in": "2h", "due": "2026-01-05T11:00:00Z""#, asks),
        format!(
            r#"{{"name": "answer", "event": {{"kind": "inbound_sms", "body": "Sí"}}, "facts": {{{question}}},
                "expect": {{"fired": ["r"], "actions": [{{"effect": "note", "text": "si 2"}}], "asks": []}}}}"#
        ),
        format!(
            r#"{{"name": "silence", "event": {{"kind": "timer"}}, "facts": {{{question}}},
                "expect": {{"fired": ["r"], "actions": [{{"effect": "note", "text": "silence"}}]}}}}"#
        ),
        r#"{"name": "limited", "event": {"kind": "inbound_sms", "body": "go"},
            "facts": {"firings": {"r": ["2026-01-05T08:00:00Z"]}}, "expect": {"fired": [], "actions": []}}"#
            .to_owned(),
    ];
    fs::write(dir.path().join("r.cases.json"), format!("[{}]", cases.join(","))).unwrap();
    let report = run(dir.path());
    let differ: Vec<&str> = report.failed().map(|case| case.name.as_str()).collect();
    assert_eq!(differ, ["soon", "forgets", "both"], "{report}");
    let text = report.to_string();
    for words in [
        r#"+ {"send":"sms","to":"+15005550006","text":"later","due":"2026-01-05T11:00:00Z"}"#,
        r#"asks: expected [], got [{"name":"q","state":{"a":1}}]"#,
        "it must have \"in\" (a span) or \"due\"",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}
