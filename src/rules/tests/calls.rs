//! Rules of calls: which one has the call, and what the checks find in them before it rings.

use serde_json::json;

use super::{complaints, event, facts, load, said, sms};
use crate::domain::{Action, Channel, Event, QuestionChange, Step};
use crate::rules::{Decision, RuleResult, RuleSet};

fn loaded(source: &str) -> RuleSet {
    let (rules, errors) = load(&[("a.rhai", source)]);
    assert!(errors.is_empty(), "{source}\n{}", said(&errors));
    rules
}

fn ring() -> Event {
    Event {
        channel: Some(Channel::Voice),
        ..event("call_received", json!({"from": "+34600111222", "to": "+34911111111"}))
    }
}

fn results(decision: &Decision) -> Vec<(&str, String)> {
    decision.trace.rules.iter().map(|trace| (trace.rule.as_str(), trace.result.to_string())).collect()
}

fn steps(decision: &Decision) -> Vec<(&str, &str)> {
    let step = |planned: &crate::rules::Planned| match &planned.action {
        Action::Voice(step) => Some(step.kind()),
        _ => None,
    };
    decision.actions.iter().filter_map(|planned| Some((planned.rule.as_str(), step(planned)?))).collect()
}

const MENU: &str =
    "rule(\"menu\").on(\"call_received\").then(|e| menu(\"main\", #{ say: \"Press 1.\", \"1\": \"one\" }))
    .on_input(\"one\", |e, input| hangup());\n";

#[test]
fn the_first_rule_that_speaks_has_the_call() {
    for second in
        ["dial(\"+34911000001\")", "say(\"Hi\")", "hangup()", "reject(\"busy\")", "enqueue(\"desk\")", "record()"]
    {
        let set = loaded(&format!(
            "{MENU}rule(\"second\").on(\"call_received\").then(|e| {{ tag(\"rang\"); {second}; }});
             rule(\"third\").on(\"call_received\").then(|e| note(\"rang\"));"
        ));
        let decision = set.decide(&ring(), &facts());
        assert_eq!(
            results(&decision),
            [
                ("menu", "fired".to_owned()),
                ("second", "not asked: \"menu\" has the call".to_owned()),
                ("third", "fired".to_owned())
            ],
            "{second}"
        );
        assert_eq!(steps(&decision), [("menu", "gather")], "{second}");
        assert_eq!(decision.actions.len(), 2, "{second}: what speaks counts as a whole or not at all");
        let shown: Vec<String> =
            set.explain(&ring(), &facts()).into_iter().map(|one| one.trace.result.to_string()).collect();
        assert_eq!(shown[1], "not asked: \"menu\" has the call");
    }
}

#[test]
fn a_rule_that_says_nothing_takes_no_call() {
    let quiet = "rule(\"quiet\").on(\"call_received\").then(|e| { remember(\"n\", 1); note(\"x\"); });\n";
    let asleep = "rule(\"asleep\").on(\"call_received\").when(\"never\", |e| false).then(|e| say(\"x\"));\n";
    let broken = "rule(\"broken\").on(\"call_received\").then(|e| { say(\"x\"); throw \"no\"; });\n";
    let decision = loaded(&format!("{quiet}{asleep}{broken}{MENU}")).decide(&ring(), &facts());
    assert_eq!(decision.trace.rules.last().unwrap().result, RuleResult::Fired);
    assert_eq!(steps(&decision), [("quiet", "remember"), ("menu", "gather")]);
}

#[test]
fn a_limit_counts_no_run_of_a_rule_that_came_too_late() {
    let set = loaded(&format!("{MENU}rule(\"second\").on(\"call_received\").limit(1, \"1h\").then(|e| say(\"x\"));"));
    assert!(set.decide(&ring(), &facts()).firings.is_empty());
}

#[test]
fn the_first_rule_that_asks_has_the_question() {
    let rule = |name: &str, channel: &str| {
        format!("rule(\"{name}\").on(\"inbound_sms\").then(|e| {{ tag(\"{name}\"); ask(\"q\", \"{name}?\", \"1h\", \"{channel}\"); }})
            .on_answer(\"q\", |e, a| note(a));\n")
    };
    let set = loaded(&format!("{}{}{}", rule("one", "sms"), rule("two", "sms"), rule("three", "whatsapp")));
    let decision = set.decide(&sms("x"), &facts());
    assert_eq!(
        results(&decision),
        [
            ("one", "fired".to_owned()),
            ("two", "not asked: \"one\" asks the customer on sms".to_owned()),
            ("three", "fired".to_owned())
        ]
    );
    let asked: Vec<&str> = decision
        .questions
        .iter()
        .map(|change| match change {
            QuestionChange::Open(question) | QuestionChange::Close(question) => question.rule.as_str(),
        })
        .collect();
    assert_eq!(asked, ["one", "three"]);
    let twice = "rule(\"r\").on(\"inbound_sms\").then(|e| { ask(\"a\", \"?\", \"1h\"); ask(\"b\", \"?\", \"1h\"); })
        .on_answer(\"a\", |e, x| note(x)).on_answer(\"b\", |e, x| note(x));";
    let decision = loaded(twice).decide(&sms("x"), &facts());
    assert!(decision.trace.rules[0].result.to_string().contains("one question at a time"), "{decision:?}");
}

fn in_call(line: &str) -> String {
    format!(
        "rule(\"r\").on(\"call_received\").then(|e| {line}).on_input(\"known\", |e, input| hangup()).on_call(\"begin\", |e| say(\"x\"));"
    )
}

#[test]
fn settings_and_steps_are_checked_when_loading() {
    for (line, expect) in [
        ("gather(\"known\", #{ sya: \"x\" })", "gather: there is no 'sya' here, did you mean 'say'?"),
        ("gather(\"known\", #{ say: e.body, timout: 5 })", "did you mean 'timeout'?"),
        ("gather(\"known\", #{ timeout: 61 })", "timeout must be 1 to 60"),
        ("gather(\"known\", #{ timeout: \"5\" })", "timeout is a whole number from 1 to 60"),
        ("gather(\"known\", #{ digits: 0 })", "digits must be 1 to 32"),
        ("gather(\"known\", #{ tries: 11 })", "tries must be 1 to 10"),
        ("gather(\"known\", #{ input: \"keys\" })", "input is one of \"digits\", \"dtmf\", \"speech\", \"both\""),
        ("gather(\"known\", #{ method: \"PUT\" })", "method is one of \"GET\", \"POST\""),
        ("gather(\"known\", #{ say: \"\" })", "say: the text is empty"),
        ("gather(\"known\", #{ play: \"welcome.mp3\" })", "begins with https://"),
        ("gather(\"known\", #{ hints: 5 })", "hint"),
        ("gather(\"known\", #{ otherwise: \"gone\" })", "nobody hears the step \"gone\""),
        ("gather(\"nown\", #{ say: \"x\" })", "nobody hears the step \"nown\""),
        ("gather(\"known\", \"x\")", "gather: it takes a map"),
        ("menu(#{ say: \"x\" })", "menu: a menu has choices"),
        ("menu(\"main\", #{ say: \"x\", \"1\": \"gone\" })", "nobody hears the step \"gone\""),
        ("menu(\"main\", #{ say: \"x\", \"1\": 5 })", "the name of a step must be text"),
        ("record(#{ max: 0 })", "record: max must be 1 to 3600"),
        ("record(#{ beep: \"no\" })", "beep is true or false"),
        ("record(#{ then: \"gone\" })", "nobody hears the step \"gone\""),
        ("dial(\"911\")", "dial: "),
        ("dial(\"+34911000001\", #{ timeout: 601 })", "timeout must be 1 to 600"),
        ("dial(\"+34911000001\", #{ ring: 5 })", "there is no 'ring' here"),
        ("dial(\"+34911000001\", #{ otherwise: \"gone\" })", "nobody hears the step \"gone\""),
        ("enqueue(\"desk\", #{ then: \"gone\" })", "nobody hears the step \"gone\""),
        ("enqueue(\"\")", "the name of a queue"),
        ("say(\"\")", "say: the text is empty"),
        ("say(\"x\", #{ lang: \"es\" })", "there is no 'lang' here"),
        ("play(\"ftp://x\")", "begins with https://"),
        ("pause(0)", "the pause must be 1 to 3600 seconds"),
        ("reject(\"later\")", "'later' is not known here (use \"busy\" or \"rejected\")"),
        ("redirect(\"gone\")", "nobody hears the step \"gone\""),
        ("call(e.contact, \"known\")", "does not say how the call begins at the step \"known\""),
        ("call(e.contact, \"begin\", #{ machine: \"beep\" })", "machine is one of \"hangup\", \"message\", \"go_on\""),
        ("call(e.contact, #{ say: \"x\", timeout: 4 })", "timeout must be 5 to 600"),
        ("call(\"600\", \"begin\")", "call: "),
    ] {
        let said = complaints(&in_call(line));
        assert!(said.contains(expect) && said.contains("error"), "{line}\n  said: {said}\n  not: {expect}");
        let (rules, _) = load(&[("a.rhai", &in_call(line))]);
        assert_eq!(rules.rules().count(), 0, "{line}");
    }
    for good in [
        "gather(\"known\", #{ say: `Hello ${e.contact.name}`, timeout: 5, digits: e.data.n, hints: [\"a\"], method: \"GET\" })",
        "gather(#{ say: \"x\" })",
        "menu(\"main\", #{ say: \"x\", \"1|one\": \"known\", \"2\": \"begin\" })",
        "{ let how = #{ say: \"x\" }; how.timeout = 5; gather(\"known\", how) }",
        "{ let step = \"known\"; redirect(step) }",
        "call(e.contact, \"begin\", #{ state: #{ order: 7 }, record: true })",
        "record(#{ say: \"x\", method: \"GET\" })",
    ] {
        assert_eq!(complaints(&in_call(good)), "", "{good}");
    }
}

#[test]
fn what_is_said_where_nobody_is_on_the_line_is_refused() {
    for source in [
        "rule(\"r\").on(\"inbound_sms\").then(|e| say(\"x\"));",
        "rule(\"r\").on(\"call_missed\").then(|e| { note(\"x\"); dial(\"+34911000001\") });",
        "rule(\"r\").cron(\"0 9 * * *\").then(|e| hangup());",
        "rule(\"r\").on(\"call_received\").then(|e| { say(\"x\"); ask(\"q\", \"?\", \"1h\") }).on_answer(\"q\", |e, a| say(a));",
    ] {
        let said = complaints(source);
        assert!(said.contains("nobody is on the line here"), "{source}: {said}");
    }
    for good in [
        "rule(\"r\").on(\"inbound_sms\", \"call_received\").then(|e| if e.call != () { say(\"x\") } else { reply(\"x\") });",
        "rule(\"r\").on(\"inbound_sms\").then(|e| call(e.contact, \"s\")).on_call(\"s\", |e| say(\"x\"));",
    ] {
        assert_eq!(complaints(good), "", "{good}");
    }
}

#[test]
fn the_callers_keys_may_come_by_get() {
    for line in [
        "gather(\"known\", #{ say: \"x\", method: \"GET\" })",
        "menu(#{ say: \"x\", \"1\": \"known\", method: \"GET\" })",
    ] {
        let decision = loaded(&in_call(line)).decide(&ring(), &facts());
        let Action::Voice(Step::Gather(gather)) = &decision.actions[0].action else { panic!("{decision:?}") };
        assert_eq!(serde_json::to_value(gather).unwrap()["method"], "GET", "{line}");
    }
}
