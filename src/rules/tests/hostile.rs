//! Hostile and clumsy scripts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{event, facts, load, result, rules, said, sms};
use crate::rules::{Decision, Limits, RuleResult, RuleSet};

/// Runs the body of a then with all the time that a slow machine may need.
fn run_unhurried(body: &str) -> Decision {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.rhai"), format!("rule(\"r\").on(\"inbound_sms\").then(|e| {{ {body} }});"))
        .unwrap();
    let limits = Limits { rule_ms: 60_000, decision_ms: 60_000, ..Limits::default() };
    let (set, errors) = RuleSet::load(dir.path(), limits);
    assert!(errors.is_empty(), "{}", said(&errors));
    set.decide(&sms("x"), &facts())
}

/// Returns the limit that stops this script; it must plan nothing.
fn stopped(body: &str) -> String {
    let decision = run_unhurried(body);
    assert!(decision.overran, "{body}: {:?}", result(&decision));
    assert!(decision.actions.is_empty());
    match result(&decision) {
        RuleResult::TooMuch { error } => error.clone(),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn endless_loops_end() {
    for body in [
        "loop {}",
        "while true { let x = 1; }",
        "let x = 0; do { x += 1 } while x >= 0",
        "for i in 0..9_000_000_000 { i; }",
        "let a = []; a.pad(900, 1); loop { a.map(|x| x + 1); }",
        "try { loop {} } catch { note(\"caught\"); } loop {}",
    ] {
        let error = stopped(body);
        assert!(error.contains("too many operations") || error.contains("took too long"), "{body}: {error}");
    }
}

#[test]
fn endless_recursion_ends() {
    let set = rules("fn down(n) { down(n + 1) } rule(\"r\").on(\"inbound_sms\").then(|e| note(down(1)));");
    let decision = set.decide(&sms("x"), &facts());
    assert!(result(&decision).to_string().contains("functions call each other too deeply"), "{:?}", result(&decision));
}

#[test]
fn what_grows_is_stopped() {
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; loop { s = `${s}${s}`; }",
        "let s = \"aaaaaaaaaa\"; loop { s.replace(\"a\", \"aaaaaaaaaa\"); }",
        "let s = \"\"; s.pad(1_000_000_000, 'x');",
        "let a = [1]; loop { a += a; }",
        "let a = [1]; loop { a = [a, a]; }",
        "let a = [0, 0]; loop { let b = [0, 0]; b[0] = a; b[1] = a; a = b; }",
        "let a = [0]; loop { a[0] = a; a.push(a); }",
        "let a = []; a.pad(1_000_000_000, 0);",
        "let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }",
        "let m = #{}; let i = 0; let s = \"\"; s.pad(9_000, 'x'); loop { m[`k${i}`] = s + i; i += 1; }",
        "let m = #{}; let i = 0; loop { let n = #{}; n.a = m; n.b = m; m = n; }",
        "let m = #{ x: #{} }; let i = 0; loop { m.x[`k${i}`] = `v${i}`; i += 1; }",
        "let m = #{ x: [] }; loop { m.x.push(m.x); }",
    ] {
        let error = stopped(body);
        assert!(error.contains("grew too large"), "{body}: {error}");
    }
}

#[test]
fn many_values_at_once_stay_within_bounds() {
    let mut body = String::from("let s = \"\"; s.pad(16_000, 'x');");
    for number in 0..200 {
        body += &format!("let v{number} = s + {number};");
    }
    assert!(stopped(&body).contains("too many variables"));
}

#[test]
fn files_that_nest_without_end_are_refused() {
    let deep = 60_000;
    for (what, source) in [
        ("brackets", format!("let x = {}1{};", "(".repeat(deep), ")".repeat(deep))),
        ("arrays", "[".repeat(deep)),
        ("maps", "#{a:".repeat(deep)),
        ("blocks", "{".repeat(deep)),
        ("loops", "loop{".repeat(deep / 2)),
        ("blocks in a closure", format!("rule(\"r\").then(|e| {}", "if true {".repeat(20_000))),
        ("nots", format!("let x = {}true;", "!".repeat(deep))),
        ("minuses", format!("let x = {}1;", "- ".repeat(deep))),
        ("closures", "|x| ".repeat(deep / 2)),
        ("sums", format!("let x = {}1;", "1+".repeat(deep))),
        ("concatenations", format!("let x = {}\"\";", "\"a\"+".repeat(deep / 2))),
        ("powers", format!("let x = {}1;", "1**".repeat(deep / 2))),
        ("ors", format!("let x = {}true;", "true||".repeat(deep / 2))),
        ("dots", format!("let x = a{};", ".b".repeat(deep))),
        ("indexes", format!("let x = a{};", "[0]".repeat(deep / 2))),
        ("calls", format!("rule(\"r\"){};", ".on(\"a\")".repeat(20_000))),
        ("else ifs", format!("if a {{}} {}", "else if a {} ".repeat(15_000))),
        ("interpolations", "`${".repeat(deep / 2)),
        ("switches", "switch 1 { 1 => ".repeat(10_000)),
    ] {
        let (set, errors) =
            load(&[("deep.rhai", &source), ("z.rhai", "rule(\"z\").on(\"manual\").then(|e| note(\"z\"));")]);
        assert_eq!(set.rules().count(), 1, "{what}");
        assert!(!errors.is_empty(), "{what}");
    }
}

/// A file as deep as the limits allow, at every level of calls, must load and run, and never end the process.
#[test]
fn files_just_below_the_limits_are_harmless() {
    let below = |make: &dyn Fn(usize) -> String| {
        let source = |depth: usize| {
            let row = make(depth);
            format!(
                "fn down(n) {{ if n < 12 {{ down(n + 1); }} {row} 1 }}
                 rule(\"r\").on(\"inbound_sms\").then(|e| {{ down(0); {row} note(\"end\"); }});"
            )
        };
        (1..34).rev().map(source).find(|source| load(&[("a.rhai", source)]).1.is_empty()).unwrap()
    };
    let rows: [&dyn Fn(usize) -> String; 7] = [
        &|depth| format!("let x = {}1;", "1+".repeat(depth)),
        &|depth| format!("let x = {}true;", "true&&".repeat(depth)),
        &|depth| format!("if false {{}} {}", "else if false {} ".repeat(depth)),
        &|depth| format!("let x = {}1{};", "(".repeat(depth), ")".repeat(depth)),
        &|depth| format!("let x = {}1{};", "[".repeat(depth), "]".repeat(depth)),
        &|depth| format!("{}let y = 1;{}", "if true {".repeat(depth), "}".repeat(depth)),
        &|depth| format!("let x = {}1{};", "[1].map(|y| ".repeat(depth), ")".repeat(depth)),
    ];
    for row in rows {
        let source = below(row);
        let decision = load(&[("a.rhai", &source)]).0.decide(&sms("x"), &facts());
        assert!(
            matches!(result(&decision), RuleResult::Fired | RuleResult::TooMuch { .. }),
            "{source}: {:?}",
            result(&decision)
        );
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let source =
        format!("rule(\"r\").on(\"inbound_sms\").keyword(\"{}\").then(|e| note(\"x\"));", "a".repeat(1_000_000));
    let (set, errors) = load(&[("big.rhai", &source)]);
    assert_eq!(set.rules().count(), 0);
    assert!(said(&errors).contains("and 262144 is the most"), "{}", said(&errors));
    let source = format!("rule(\"r\").on(\"inbound_sms\").keyword(\"{}\").then(|e| note(\"x\"));", "a".repeat(20_000));
    assert!(said(&load(&[("long.rhai", &source)]).1).contains("error"));
    let (_, errors) = load(&[("latin.rhai", "rule(\"\u{0}\").on(\"inbound_sms\").then(|e| note(\"x\"));")]);
    assert!(said(&errors).contains("no line breaks"), "{}", said(&errors));
}

#[test]
fn deep_or_huge_data_is_an_error_of_the_rule() {
    let set = rules("rule(\"r\").on(\"inbound_sms\").then(|e| note(`${e.data}`));");
    let mut deep = json!(1);
    for _ in 0..500 {
        deep = json!([deep]);
    }
    let decision = set.decide(&event("inbound_sms", json!({"body": "x", "deep": deep})), &facts());
    assert!(result(&decision).to_string().contains("nested too deeply"), "{:?}", result(&decision));
    let huge: Value = (0..100_000).collect();
    let decision = set.decide(&event("inbound_sms", json!({"body": "x", "huge": huge})), &facts());
    assert!(result(&decision).to_string().contains("too large"), "{:?}", result(&decision));
    let set = rules("rule(\"r\").on(\"inbound_sms\").keyword(\"x\").then(|e| note(`${e.body.len()}`));");
    let decision = set.decide(&sms(&"x ".repeat(1_000_000)), &facts());
    assert!(result(&decision).to_string().contains("too large"), "{:?}", result(&decision));
}

#[test]
fn nothing_leaks_from_one_event_to_the_next() {
    let set = Arc::new(rules(
        "fn count(m) { m.n = (m.n ?? 0) + 1; m.n } rule(\"r\").on(\"inbound_sms\").then(|e| { let m = #{}; note(`${count(m)} ${e.body}`) });",
    ));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let set = Arc::clone(&set);
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let decision = set.decide(&sms(&number.to_string()), &facts());
                    assert_eq!(super::actions(&decision)[0]["text"], format!("1 {number}"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_time_limit_holds_for_the_whole_decision() {
    let source: String = (0..40)
        .map(|number| {
            format!("rule(\"r{number}\").on(\"inbound_sms\").then(|e| {{ loop {{ [1, 2, 3].map(|x| x + 1); }} }});\n")
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.rhai"), source).unwrap();
    let limits = Limits { decision_ms: 50, operations: 1_000_000_000, ..Default::default() };
    let (set, errors) = RuleSet::load(dir.path(), limits);
    assert!(errors.is_empty(), "{}", said(&errors));
    let decision = set.decide(&sms("x"), &facts());
    assert!(decision.overran);
    assert_eq!(decision.trace.rules.last().unwrap().result, RuleResult::NoTime);
    assert!(matches!(decision.trace.rules[0].result, RuleResult::TooMuch { .. }));
}
/// The most memory that all of these scripts together may add, in KiB.
const MEMORY_MAX_KIB: u64 = 64 * 1024;
const CHILD: &str = "RECADO_TEST_MEASURES_MEMORY";

/// Measured in a separate process, because other tests need memory, too.
#[test]
fn memory_stays_within_bounds() {
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "rules::tests::hostile::memory_stays_within_bounds"]).env(CHILD, "yes");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let before = peak_kib();
    for body in [
        "let s = \"\"; s.pad(16_000, 'x'); s.replace(\"x\", s);",
        "let m = #{}; let i = 0; let s = \"\"; s.pad(9_000, 'x'); loop { m[`k${i}`] = s + i; i += 1; }",
        "let s = \"\"; s.pad(16_000, 'x'); let a = []; a.pad(1000, 1); a.map(|x| { let t = \"\"; t.pad(16_000, 'x'); t });",
        "let a = []; a.pad(1000, 1); a.map(|x| { let b = []; b.pad(1000, 1); b });",
        "let x = [1, 2]; [1].map(|y| x.len() + y); let b = []; loop { b.push(x); x.push(b) }",
        "let a = []; for i in 0..990 { a = [a]; } note(`${a}`); throw a",
        "let m = #{}; for i in 0..490 { m = #{ a: m }; } throw m.to_json()",
        "let s = \"xx\"; loop { s = [s, s, s].reduce(|t, x| t + x, s); }",
        "let s = \"\"; s.pad(1_000_000_000, \"ab\")",
        "let a = []; loop { a.push(|x| x); }",
        "for i in 0..3_000 { e.data; e.contact.fields; e.words; }",
        "for i in 0..5_000 { e.contact.tag(`${i}`); }",
    ] {
        run_unhurried(body);
    }
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < MEMORY_MAX_KIB, "{} KiB", after - before);
    }
}

/// Returns the most memory that this process ever held; `None` if the system does not tell.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn what_a_script_throws_is_kept_in_short() {
    let error = result(&run_unhurried("let a = []; for i in 0..900 { a = [a]; } throw a")).to_string();
    assert!(error.ends_with("the script threw \"[1 items]\""), "{error}");
    let error = result(&run_unhurried("let s = \"\"; s.pad(9_000, 'x'); throw s")).to_string();
    assert!(error.len() < 600, "{error}");
    let error = result(&run_unhurried("throw")).to_string();
    assert!(error.contains("the script threw"), "{error}");
}
