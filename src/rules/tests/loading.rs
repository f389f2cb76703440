//! Loading a folder: the errors and their texts.

use super::{complaints, facts, load, rules, said, sms};
use crate::rules::{Limits, RuleSet, Severity};

const GOOD: &str = "rule(\"good\").on(\"inbound_sms\").then(|e| note(\"good\"));\n";

fn check(source: &str, expect: &str) {
    let said = complaints(source);
    assert!(said.contains(expect), "{source}\n  said: {said}\n  not:  {expect}");
}

#[test]
fn the_whole_folder_is_read_in_order() {
    let (rules, errors) = load(&[
        ("b/two.rhai", "rule(\"two\").on(\"inbound_sms\").then(|e| note(\"2\"));"),
        (
            "a/one.rhai",
            "rule(\"one\").on(\"inbound_sms\", \"inbound_whatsapp\").keyword(\"Uno\").then(|e| note(\"1\"));",
        ),
        ("a/notes.txt", "not a rule"),
        (".hidden/x.rhai", "nonsense("),
    ]);
    assert!(errors.is_empty(), "{}", said(&errors));
    let names: Vec<&str> = rules.rules().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let one = rules.rules().next().unwrap();
    assert_eq!((one.file.as_str(), one.line), ("a/one.rhai", 1));
    assert_eq!(one.kinds.len(), 2);
    assert_eq!(one.keywords, ["Uno"]);
}

#[test]
fn the_version_is_that_of_the_sources() {
    let version = |source: &str| rules(source).version().to_owned();
    assert_eq!(version(GOOD), version(GOOD));
    assert_ne!(version(GOOD), version(&GOOD.replace("\"good\"))", "\"better\"))")));
    assert_eq!(version(GOOD).len(), 16);
}

#[test]
fn a_broken_rule_stops_no_other() {
    for broken in [
        "rule(\"bad\").on(5).then(|e| note(\"x\"));",
        "rule(\"bad\").onn(\"inbound_sms\").then(|e| note(\"x\"));",
        "rule(\"bad\").on(\"inbound_sms\").then(|e| nota(\"x\"));",
        "rule(\"bad\").on(\"inbound_sms\").then(|e| note(helper()));\nfn helper() { nothing_of_the_kind() }",
        "rule(\"bad\").on(\"inbound_sms\");",
        "rule(\"bad\").then(|e| note(\"x\"));",
        "rule(\"bad\").on(\"inbound_sms\").then(5);",
        "rule(\"bad\").on(\"inbound_sms\").when(|e| true).then(|e| note(\"x\"));",
        "rule(\"bad\").on(\"inbound_sms\").then(|| note(\"x\"));",
        "rule(\"\").on(\"inbound_sms\").then(|e| note(\"x\"));",
        "rule(7).on(\"inbound_sms\").then(|e| note(\"x\"));",
        "throw \"top\";",
        "let x = 1; rule(\"bad\").on(\"inbound_sms\").then(|e| note(`${x}`));",
        "reply(\"at the top\");",
    ] {
        let (rules, errors) =
            load(&[("a.rhai", &format!("{broken}\n{GOOD}")), ("z.rhai", &GOOD.replace("good", "far"))]);
        let names: Vec<&str> = rules.rules().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["good", "far"], "{broken}\n{}", said(&errors));
        assert_eq!(errors.len(), 1, "{broken}\n{}", said(&errors));
        assert!(errors[0].line == 1 || errors[0].line == 2, "{}", errors[0]);
        assert_eq!(rules.decide(&sms("x"), &facts()).actions.len(), 2);
    }
    let (rules, errors) = load(&[("a.rhai", "rule(\"unfinished"), ("z.rhai", GOOD)]);
    assert_eq!(rules.rules().count(), 1);
    assert_eq!(errors.len(), 1);
}

#[test]
fn names_are_checked_when_loading() {
    let rule = |body: &str| format!("rule(\"r\").on(\"inbound_sms\").then(|e| {body});");
    check(&rule("rply(\"x\")"), "a.rhai:1:38: error: there is no function 'rply' (did you mean 'reply'?)");
    check(&rule("note(contians_any(e.body, []))"), "did you mean 'contains_any'?");
    check(&rule("note(e.body.to_uper())"), "did you mean 'to_upper'?");
    check(&rule("reply(\"a\", \"b\")"), "reply does not take 2 arguments");
    check(&rule("note(e.contcat.name)"), "e has no 'contcat' (did you mean 'contact'?)");
    check(&rule("note(e.contact.frist_name)"), "e.contact has no 'frist_name' (did you mean 'first_name'?)");
    check(&rule("note(e.business.nme)"), "e.business has no 'nme' (did you mean 'name'?)");
    check(&rule("print(\"x\")"), "warning: print goes nowhere");
}

#[test]
fn a_file_defines_no_function_of_the_language() {
    for name in ["reply", "call", "len", "rule"] {
        let source = format!("fn {name}(a, b) {{ 1 }}\n{GOOD}");
        check(&source, &format!("{name} is a function of the language"));
    }
}

#[test]
fn values_in_double_quotes_are_warned_of() {
    let rule = |body: &str| format!("rule(\"r\").on(\"inbound_sms\").then(|e| {body});");
    let warning = "warning: ${…} stays as it is in double quotes: the customer would read it (write the text in \
                   backticks: `Hola ${e.contact.first_name}`)";
    check(&rule("reply(\"Hola ${e.body}\")"), &format!("a.rhai:1:44: {warning}"));
    check(&rule("reply(pick(\"es\", #{ es: \"Hola ${e.body}\", en: \"Hi\" }))"), warning);
    check("rule(\"r\").on(\"inbound_sms\").blueprint().param(\"t\", \"${x}\").then(|e| reply(e.params.t));", warning);
    let twice = rule("{ let t = \"${e.body}\"; reply(t); }");
    assert_eq!(complaints(&twice).matches("warning").count(), 1);
    assert_eq!(load(&[("a.rhai", &twice)]).0.rules().count(), 1, "the rule is kept");
    for good in [
        "reply(`Hola ${e.body}`)",
        "reply(\"5 $ {x}\")",
        "reply(\"${\")",
        "reply(`a ${if true { \"b\" } else { \"c\" }}`)",
    ] {
        assert_eq!(complaints(&rule(good)), "", "{good}");
    }
}

#[test]
fn literals_that_never_do_are_refused() {
    let rule = |body: &str| format!("rule(\"r\").on(\"inbound_sms\").then(|e| {body});");
    check(&rule("send_sms(\"600\", \"x\")"), "a.rhai:1:47: error: send_sms: ");
    check(&rule("send_whatsapp_template(\"600\", \"hi\")"), "error: send_whatsapp_template: ");
    check(
        &rule("http_request(#{ url: \"file:///etc/passwd\" })"),
        "error: http_request: only http:// and https:// are",
    );
    check(
        &rule("http_request(#{ url: \"example.com/x\", body: e.body })"),
        "error: http_request: the URL cannot be read",
    );
    check(&rule("reply(5)"), "a.rhai:1:44: error: reply takes a text (write it in quotes: \"…\")");
    check(&rule("send_sms(e.contact, true)"), "error: send_sms takes a text");
    assert_eq!(complaints(&rule("send_sms(\"+34600111222\", \"x\")")), "");
}

#[test]
fn what_is_not_deterministic_or_not_safe_is_refused() {
    let rule = |body: &str| format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {body}; }});");
    for (body, expect) in [
        ("sleep(5)", "sleep is not available in rules (a rule decides at once"),
        ("exit()", "exit is not available in rules (use return)"),
        ("timestamp()", "timestamp is not available in rules (use e.now)"),
        ("parse_json(\"{}\")", "parse_json is not available"),
        ("eval(\"1\")", "eval is not available in rules"),
        ("import \"x\" as y", "import is not available in rules"),
        ("note(this)", "this is not available in rules"),
    ] {
        check(&rule(body), expect);
    }
}

#[test]
fn captures_are_refused_where_state_would_leak() {
    let hint = "the closure uses 'shop', which is not its own";
    check("let shop = \"Sol\"; rule(\"r\").on(\"inbound_sms\").then(|e| reply(shop));", hint);
    check("const shop = \"Sol\"; rule(\"r\").on(\"inbound_sms\").then(|e| reply(shop));", "write fn shop() { … }");
    check(
        "const shop = \"Sol\"; rule(\"r\").on(\"inbound_sms\").then(|e| reply(global::shop));",
        "'global::shop' is not there when a rule runs (write fn shop() { … }",
    );
    check(
        "rule(\"r\").on(\"inbound_sms\").then(|e| { let a = []; let f = || a.len(); a.push(f); });",
        "a closure that uses 'a' cannot be kept",
    );
    check(
        "fn f(a, b) { b } rule(\"r\").on(\"inbound_sms\").then(Fn(\"f\").curry(1));",
        "curry is not available in rules",
    );
    let set = rules(
        "rule(\"r\").on(\"inbound_sms\").then(|e| { let n = 0; note(`${e.words.filter(|x| x.len() > n).len()}`) });",
    );
    assert_eq!(set.decide(&sms("a b"), &facts()).actions.len(), 1);
    let set = rules("fn shop() { \"Sol\" } fn act(e) { note(shop()) } rule(\"r\").on(\"inbound_sms\").then(act);");
    assert_eq!(set.decide(&sms("a b"), &facts()).actions.len(), 1);
}

#[test]
fn two_rules_of_one_name_are_told_apart() {
    let (rules, errors) = load(&[("a.rhai", GOOD), ("b/b.rhai", &format!("\n{GOOD}"))]);
    assert_eq!(rules.rules().count(), 1);
    assert_eq!(
        errors[0].to_string(),
        "b/b.rhai:2:1: error: there is a rule \"good\" already, in a.rhai:1 (give each rule a name of its own)"
    );
}

#[test]
fn kinds_that_look_misspelt_are_warned_of_unless_emitted() {
    let source = "rule(\"r\").on(\"inbound_smss\", \"vip_came\").then(|e| note(\"x\"));";
    let (rules, errors) = load(&[("a.rhai", source)]);
    assert_eq!(rules.rules().count(), 1);
    assert_eq!(errors.len(), 1, "a program may tell of 'vip_came'");
    assert_eq!(errors[0].severity, Severity::Warning);
    assert!(errors[0].to_string().contains("did you mean 'inbound_sms'?"), "{}", errors[0]);
    let emits = "rule(\"s\").on(\"inbound_sms\").then(|e| emit(\"inbound_smss\", #{}));";
    assert_eq!(load(&[("a.rhai", source), ("b.rhai", emits)]).1.len(), 0);
}

#[test]
fn limits_of_the_folder_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..4 {
        let source = format!("rule(\"r{number}\").on(\"inbound_sms\").then(|e| note(\"x\"));");
        std::fs::write(dir.path().join(format!("{number}.rhai")), source).unwrap();
    }
    let load = |limits: Limits| {
        let (rules, errors) = RuleSet::load(dir.path(), limits);
        (rules.rules().count(), said(&errors))
    };
    let (count, said) = load(Limits { rules: 3, ..Limits::default() });
    assert_eq!(count, 3);
    assert!(said.contains("may hold 3 rules"), "{said}");
    let (count, said) = load(Limits { files: 2, ..Limits::default() });
    assert_eq!(count, 2);
    assert!(said.contains("may hold 2 files"), "{said}");
    let (count, said) = load(Limits { file_bytes: 10, ..Limits::default() });
    assert_eq!(count, 0);
    assert!(said.contains("and 10 is the most"), "{said}");
    let (rules, errors) = RuleSet::load(&dir.path().join("missing"), Limits::default());
    assert_eq!(rules.rules().count(), 0);
    assert!(errors[0].to_string().contains("the folder cannot be read"), "{}", errors[0]);
}

#[test]
fn rules_may_be_made_in_a_loop() {
    let set = rules(
        "for word in [\"uno\", \"dos\"] { rule(`say ${word}`).on(\"inbound_sms\").keyword(word).then(|e| note(e.keyword)); }",
    );
    assert_eq!(set.rules().count(), 2);
    assert_eq!(super::actions(&set.decide(&sms("DOS!"), &facts()))[0]["text"], "dos");
}
