//! Statements at the top of a file that fail: what they would have set has no value, and no rule gets the value of another.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{complaints, facts, load, said, sms};
use crate::rules::RuleError;

/// Loads one file; returns its rules with their keywords, and the findings.
fn loaded(source: &str) -> (Vec<(String, Vec<String>)>, Vec<RuleError>) {
    let (rules, errors) = load(&[("a.rhai", source)]);
    (rules.rules().map(|rule| (rule.name.clone(), rule.keywords.clone())).collect(), errors)
}

/// A rule of this name that listens to what the expression gives.
fn rule(name: &str, keyword: &str) -> String {
    format!("rule(\"{name}\").on(\"inbound_sms\").keyword({keyword}).then(|e| note(\"{name}\"));\n")
}

/// Asserts which rules load, each with its keyword, and that each of the others is reported by its name.
fn check(source: &str, expect: &[(&str, &str)], left_out: &[&str]) {
    let (rules, errors) = loaded(source);
    let expect: Vec<(String, Vec<String>)> =
        expect.iter().map(|(name, word)| ((*name).to_owned(), vec![(*word).to_owned()])).collect();
    assert_eq!(rules, expect, "{source}\n{}", said(&errors));
    let reported: BTreeSet<&str> = errors.iter().filter_map(|error| error.rule.as_deref()).collect();
    assert_eq!(reported, left_out.iter().copied().collect(), "{source}\n{}", said(&errors));
    assert!(!said(&errors).contains("the engine itself failed"), "{source}\n{}", said(&errors));
    assert!(errors.iter().all(|error| error.line > 0), "{source}\n{}", said(&errors));
}

#[test]
fn a_failed_variable_shifts_no_other() {
    for failing in [
        "let c = tariff();",
        "const c = tariff();",
        "let c = parse_int(\"x\");",
        "let c = [1][7];",
        "let c = #{ x: 1 }.y.z;",
        "let c = unheard_of;",
        "let c = { let inner = \"INNER\"; throw inner };",
        "let c = if true { throw \"no\" } else { \"C\" };",
        "let c = if true { return } else { \"C\" };",
        "let c = switch 1 { 1 => throw \"no\", _ => \"C\" };",
        "let c = [\"x\"].map(|w| w.nothing_of_the_kind());",
        "let c = [1].map(|w| w.len());",
        "let c = loop { let d = \"D\"; throw d };",
        "let c = reply(\"x\");",
        "fn make() { let x = \"X\"; throw x } let c = make();",
        "fn down(n) { down(n + 1) } let c = down(1);",
        "let c = \"a\"; loop { c += c; }",
    ] {
        let source = format!(
            "let a = \"ALPHA\";\nlet b = \"BETA\";\n{failing}\nlet d = \"DELTA\";\n{}{}{}{}",
            rule("a", "a"),
            rule("b", "b"),
            rule("c", "c"),
            rule("d", "d")
        );
        check(&source, &[("a", "ALPHA"), ("b", "BETA"), ("d", "DELTA")], &["c"]);
    }
}

#[test]
fn the_first_statement_may_fail() {
    let source = format!("let a = price();\n{}{}", rule("a", "a"), rule("b", "\"B\""));
    check(&source, &[("b", "B")], &["a"]);
    let source =
        format!("let a = price(); let b = a; let c = b + \"x\"; let d = \"D\";\n{}{}", rule("c", "c"), rule("d", "d"));
    check(&source, &[("d", "D")], &["c"]);
}

#[test]
fn what_depends_on_a_failed_variable_fails_with_it() {
    let fails = "let a = \"A\";\nlet bad = price();\n";
    for (statements, word) in [
        ("let x = bad;", "x"),
        ("let x = `${bad}`;", "x"),
        ("let x = [a, bad];", "x"),
        ("let x = #{ a: a, b: bad }.a;", "x"),
        ("let x = \"X\"; x = bad;", "x"),
        ("let x = \"X\"; x += bad;", "x"),
        ("let x = [\"X\"]; x.push(bad);", "x"),
        ("let x = [\"X\"]; push(x, bad);", "x"),
        ("let x = [\"X\"]; x[0] = bad;", "x"),
        ("let x = #{ w: \"X\" }; x.w = bad;", "x.w"),
        ("let x = \"X\"; if bad == \"b\" { x = \"Y\"; }", "x"),
        ("let x = \"X\"; for y in bad { x = y; }", "x"),
        ("let x = \"X\"; while bad { x = \"Y\"; }", "x"),
        ("let x = \"X\"; switch bad { 1 => x = \"Y\", _ => () }", "x"),
        ("let x = \"X\"; { let y = bad; x = y; }", "x"),
        ("let x = \"X\"; try { x = bad; } catch { x = \"Z\"; }", "x"),
        ("let x = \"X\"; let x = bad;", "x"),
        ("const x = \"X\"; const x = bad;", "x"),
        ("fn word(w) { w } let x = word(bad);", "x"),
        ("let x = try_this(bad);", "x"),
    ] {
        let source = format!("{fails}{statements}\n{}{}", rule("x", word), rule("a", "a"));
        check(&source, &[("a", "A")], &["x"]);
    }
}

#[test]
fn a_new_value_mends_a_failed_variable() {
    for mended in ["x = \"NEW\";", "let x = \"NEW\";", "const x = \"NEW\";"] {
        let source = format!("let x = price();\n{mended}\n{}", rule("x", "x"));
        check(&source, &[("x", "NEW")], &[]);
    }
    for not in ["x = x;", "x = [x, \"NEW\"][1];", "x += \"NEW\";", "x = other();", "{ let x = \"NEW\"; }"] {
        let source = format!("let x = price();\n{not}\n{}", rule("x", "x"));
        check(&source, &[], &["x"]);
    }
}

/// A failed statement changes nothing for the statements around it that do not depend on it.
#[test]
fn blocks_that_fail_leave_the_other_variables_alone() {
    for failing in [
        "{ let x = \"X\"; let y = \"Y\"; throw x; }",
        "for x in [\"X\", \"Y\"] { let y = x; throw y; }",
        "for (x, i) in [\"X\", \"Y\"] { throw i; }",
        "while true { let x = \"X\"; throw x; }",
        "do { let x = \"X\"; throw x; } while true;",
        "if true { let x = \"X\"; throw x; }",
        "switch 1 { 1 => { let x = \"X\"; throw x; }, _ => () }",
        "try { let x = \"X\"; throw x; } catch (err) { let y = \"Y\"; throw y; }",
        "try { let x = \"X\"; throw x; } catch (err) { let y = err; }",
        "[1, 2].for_each(|x| { let y = x; throw y; });",
        "throw \"top\";",
        "a.nothing_of_the_kind();",
        "nothing_of_the_kind(a, b);",
    ] {
        let source = format!(
            "let a = \"ALPHA\"; let b = \"BETA\";\n{failing}\nlet c = \"GAMMA\";\n{}{}{}",
            rule("a", "a"),
            rule("b", "b"),
            rule("c", "c")
        );
        check(&source, &[("a", "ALPHA"), ("b", "BETA"), ("c", "GAMMA")], &[]);
    }
}

#[test]
fn every_rule_of_a_failed_statement_is_reported() {
    let many = "for word in [\"A\", \"B\", price] { rule(`say ${word}`).on(\"inbound_sms\").keyword(word).then(|e| note(\"x\")); }";
    check(&format!("let price = list();\n{many}"), &[], &[]);
    let (rules, errors) = loaded(&format!("let price = list();\n{many}"));
    assert!(rules.is_empty());
    assert!(
        said(&errors).contains("a.rhai:2:24: error: 'price' has no value, because line 1 failed"),
        "{}",
        said(&errors)
    );
    let half = "for word in [\"A\", \"B\", 7] { rule(`say ${word}`).on(\"inbound_sms\").keyword(word + \"x\").then(|e| note(\"x\")); if word == \"B\" { throw \"no\" } }";
    check(half, &[], &["say A", "say B"]);
    let both = format!("let p = list();\nif true {{ {} {} }}", rule("one", "\"ONE\""), rule("two", "p"));
    check(&both, &[], &["one", "two"]);
}

/// Otherwise it would answer everything.
#[test]
fn a_rule_that_is_made_by_half_is_left_out() {
    for source in [
        "let r = rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\"));\nr.keyword(price());",
        "let r = rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\"));\nr.keyword(parse_int(\"x\"));",
        "let p = price(); let r = rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\"));\nr.keyword(p);",
        "let rs = [rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\"))];\nfor r in rs { r.keyword(parse_int(\"x\")); }",
        "let rs = #{ a: rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\")) };\nrs.a.keyword(parse_int(\"x\"));",
        "fn more(r) { r.keyword(parse_int(\"x\")) }\nlet r = rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\"));\nmore(r);",
        "try { rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\")).keyword(parse_int(\"x\")); } catch { }",
        "fn make() { try { rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\")).keyword(nothing) } catch { } }\nmake();",
        "fn make() { let t = rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\")); t.keyword(nothing); }\nmake();",
        "rule(\"half\").on(\"inbound_sms\").then(|e| note(\"x\")).keyword(nothing);",
        "if 1 > 2 { rule(\"half\").on(\"inbound_sms\").keyword(nothing).then(|e| note(\"x\")); }",
    ] {
        let (rules, errors) = loaded(&format!("{source}\n{}", rule("whole", "\"W\"")));
        let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["whole"], "{source}\n{}", said(&errors));
        assert!(!errors.is_empty(), "{source}");
    }
}

#[test]
fn a_name_that_is_no_variable_is_refused_when_loading() {
    let in_rule = |body: &str| {
        format!("fn helper(x) {{ {body} }}\n{}", "rule(\"r\").on(\"inbound_sms\").then(|e| note(helper(1)));")
    };
    for body in [
        "greeting",
        "`hello ${greeting}`",
        "let y = greeting; y",
        "[1].map(|z| z + greeting)",
        "if x == 1 { greeting } else { \"\" }",
    ] {
        let said = complaints(&in_rule(body));
        assert!(said.contains("'greeting'"), "{body}: {said}");
        assert!(loaded(&in_rule(body)).0.is_empty(), "{body}");
    }
    check(&rule("unquoted", "JOIN"), &[], &["unquoted"]);
    let closure = "rule(\"r\").on(\"inbound_sms\").then(|e| reply(greeting));";
    check(closure, &[], &["r"]);
    for good in [
        "let y = x; y",
        "for (y, i) in [x] { note(`${y}${i}`); } \"\"",
        "try { throw x } catch (err) { `${err}` }",
        "[1].map(|z| z + x).len().to_string()",
        "let f = |z| z; f.call(x)",
        "switch x { 1 => x, _ => 2 }",
    ] {
        assert_eq!(complaints(&in_rule(good)), "", "{good}");
    }
}

#[test]
fn a_file_that_cannot_be_parsed_names_its_rules() {
    let (_, errors) = loaded(&format!("{}{}let x = ;", rule("one", "\"A\""), rule("two", "\"B\"")));
    assert!(errors[0].to_string().contains("the rules of the file are left out: \"one\", \"two\""), "{}", errors[0]);
}

/// A statement of a generated file, with what it does to the three variables `v0`, `v1` and `v2`.
#[derive(Clone, Debug)]
enum Line {
    Set { new: &'static str, which: usize, value: usize },
    Fail { new: &'static str, which: usize },
    Copy { to: usize, from: usize },
    Noise(&'static str),
    Rule { which: usize },
}

fn line() -> impl Strategy<Value = Line> {
    let new = prop::sample::select(vec!["let ", "const ", "let "]);
    let noise = prop::sample::select(vec![
        "{ let n = \"N\"; throw n; }",
        "for n in [\"N\", \"M\"] { let k = n; throw k; }",
        "let other = [1, 2];",
        "let lost = gone();",
        "if true { let n = \"N\"; }",
        "throw \"x\";",
        "let q = if true { return } else { 1 };",
        "fn twice(x) { x + x }",
        "try { let n = \"N\"; gone_too(); } catch (err) { let m = err; }",
    ]);
    prop_oneof![
        3 => (new.clone(), 0..3usize, 0..100usize).prop_map(|(new, which, value)| Line::Set { new, which, value }),
        2 => (new, 0..3usize).prop_map(|(new, which)| Line::Fail { new, which }),
        2 => (0..3usize, 0..3usize).prop_map(|(to, from)| Line::Copy { to, from }),
        2 => noise.prop_map(Line::Noise),
        4 => (0..3usize).prop_map(|which| Line::Rule { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A rule has the value that its variable has where the rule stands, or it is left out and reported.
    #[test]
    fn a_rule_has_the_value_of_its_own_variable(lines in prop::collection::vec(line(), 1..24)) {
        let mut values: [Option<String>; 3] = Default::default();
        let (mut source, mut expect, mut out) = (String::new(), Vec::new(), BTreeSet::new());
        for (number, line) in lines.iter().enumerate() {
            match line {
                Line::Set { new, which, value } => {
                    let word = format!("W{which}X{value}");
                    source += &format!("{new}v{which} = \"{word}\";\n");
                    values[*which] = Some(word);
                }
                Line::Fail { new, which } => {
                    source += &format!("{new}v{which} = parse_int(\"no\");\n");
                    values[*which] = None;
                }
                Line::Copy { to, from } => {
                    source += &format!("let v{to} = v{from};\n");
                    values[*to] = values[*from].clone();
                }
                Line::Noise(noise) => source += &format!("{noise}\n"),
                Line::Rule { which } => {
                    let name = format!("r{number}");
                    source += &rule(&name, &format!("v{which}"));
                    match &values[*which] {
                        Some(word) => expect.push((name, vec![word.clone()])),
                        None => drop(out.insert(name)),
                    }
                }
            }
        }
        // Functions of one name twice are refused with the whole file.
        prop_assume!(source.matches("fn twice").count() < 2);
        let (rules, errors) = loaded(&source);
        prop_assert_eq!(rules, expect, "{}\n{}", source, said(&errors));
        let reported: BTreeSet<String> = errors.iter().filter_map(|error| error.rule.clone()).collect();
        prop_assert_eq!(reported, out, "{}\n{}", source, said(&errors));
        prop_assert!(!said(&errors).contains("the engine itself failed"), "{}\n{}", source, said(&errors));
    }

    /// A file that is cut, mixed or bitten anywhere makes nothing panic, neither while it is loaded nor while it decides.
    #[test]
    fn mutated_files_make_nothing_panic(
        picks in prop::collection::vec((0..SAMPLES.len(), 0..1_000usize, 0..1_000usize), 1..5),
        bites in prop::collection::vec((0..4_000usize, prop::sample::select(vec!["", ";", "x", "(", ")", "{", "}", "=", "let ", "\"", "|", "."])), 0..6),
    ) {
        let mut source = String::new();
        for (sample, from, length) in picks {
            let lines: Vec<&str> = SAMPLES[sample].lines().collect();
            let from = from % lines.len();
            source += &lines[from..].iter().take(1 + length % lines.len()).copied().collect::<Vec<_>>().join("\n");
            source.push('\n');
        }
        for (at, bite) in bites {
            let starts: Vec<usize> = source.char_indices().map(|(at, _)| at).collect();
            if let Some(at) = starts.get(at % starts.len().max(1)) {
                let next = source[*at..].chars().next().map_or(0, char::len_utf8);
                source.replace_range(*at..*at + next, bite);
            }
        }
        let (rules, errors) = load(&[("a.rhai", &source)]);
        prop_assert!(!said(&errors).contains("the engine itself failed"), "{}\n{}", source, said(&errors));
        let decision = rules.decide(&sms("JOIN 2 please"), &facts());
        for trace in &decision.trace.rules {
            prop_assert!(!trace.result.to_string().contains("the engine itself failed"), "{}\n{:?}", source, trace);
        }
    }
}

const SAMPLES: &[&str] = &[
    "let leave = \"LEAVE\";\nlet join = \"JOIN\";\nlet prices = price_list();\nconst open = [\"OPEN\", join];\n\
     rule(\"join\").on(\"inbound_sms\").keyword(join).then(|e| reply(\"Welcome\"));\n\
     rule(\"leave\").on(\"inbound_sms\").keyword(leave).then(|e| reply(prices));\n\
     rule(\"open\").on(\"inbound_sms\").keyword(open)\n    .when(\"is new\", |e| e.contact.is_new)\n    .then(|e| { let t = e.body; reply(t) });",
    "fn words(list) { let out = []; for w in list { if w.len() > 2 { out.push(w); } } out }\nlet all = words([\"ONE\", \"TWO\"]);\n\
     for (word, i) in all {\n    let name = `rule ${i}`;\n    rule(name).on(\"inbound_sms\").keyword(word).then(|e| note(e.keyword));\n}\n\
     let r = rule(\"late\").on(\"inbound_sms\");\nr.keyword(all[1]);\nr.then(|e| note(\"late\"));",
    "let m = #{ a: \"A\", b: [1, 2, 3] };\nlet n = m.b.filter(|x| x > 1).map(|x| x * 2);\nm.a += \"x\";\nm.c = n;\n\
     switch m.a { \"Ax\" => { let k = m.c; k.push(1); }, _ => throw \"no\" }\ntry { let q = m.z.y; q.x(); } catch (err) { m.e = err; }\n\
     do { let t = n.pop(); m.b.push(t); } while n.len() > 0;\nlet f = |x| x + 1;\nlet g = f.call(1);\n\
     rule(\"m\").on(\"inbound_sms\").then(|e| { let a = [1]; a.map(|x| { let y = x; y + a.len() }); note(`${a}`) });",
    "rule(\"ask\").on(\"inbound_sms\").keyword(\"JOIN\").then(|e| ask(\"n\", \"How many?\", \"1h\"))\n    .on_answer(\"n\", |e, answer| {\n\
             let n = number(answer);\n        if n == () { return false; }\n        for i in 0..n { let x = i; if x > 3 { break; } }\n        note(`${n}`);\n    });",
];
