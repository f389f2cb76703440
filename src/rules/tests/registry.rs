//! The registry: every function has an example that runs, and a case that calls it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rhai::{ASTNode, Engine, Expr, Stmt};
use serde_json::json;

use super::{event, facts, load, said};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, CallFacts, Event, Facts};
use crate::rules::load::lint::vocabulary::{functions, written_name};
use crate::rules::script::engine;
use crate::rules::script::registry::{Function, Group};
use crate::rules::script::tokens::PLACE_CALL;
use crate::rules::{Limits, RuleResult, RuleSet, cases};

/// The folders whose cases count: the shipped rules, and rules that exist only for their cases.
fn folders() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("rules"), root.join("src/rules/tests/cases")]
}

/// Facts of a customer with everything that examples read.
fn full_facts() -> Facts {
    let mut facts = facts();
    let appointment = AppointmentFacts {
        id: AppointmentId::new(uuid::Uuid::from_u128(7)),
        service: "cut".to_owned(),
        staff: None,
        starts_at: crate::domain::Timestamp::parse("2026-12-01T09:00:00Z").unwrap(),
        ends_at: crate::domain::Timestamp::parse("2026-12-01T09:30:00Z").unwrap(),
        zone: "Europe/Madrid".to_owned(),
        state: "booked".to_owned(),
    };
    facts.free_slots = vec![appointment.starts_at];
    facts.appointment = Some(appointment.clone());
    facts.next_appointment = Some(appointment);
    facts.tenant.staff_emails = vec![crate::domain::EmailAddress::parse("staff@example.com").unwrap()];
    if let Some(contact) = &mut facts.contact {
        contact.fields.insert("email".to_owned(), json!("ana@example.com"));
    }
    facts.call = Some(CallFacts::default());
    facts
}

/// An event of the kind that the rule listens to.
fn event_for(rules: &RuleSet) -> Event {
    let info = rules.rules().next().unwrap();
    let kind = info.kinds.first().map_or("inbound_sms", |kind| kind.as_str()).to_owned();
    let word = info.keywords.first().cloned().unwrap_or_else(|| "Hola, qué tal".to_owned());
    let starts_at = "2026-12-01T09:00:00Z";
    event(
        &kind,
        json!({"body": word, "from": "+34600111222", "to": "+34911111111", "appointment": {"starts_at": starts_at}}),
    )
}

/// An example as a whole file: a line of a `then` gets a rule around it.
fn as_file(function: &Function) -> String {
    if function.example.starts_with("rule(") {
        return function.example.to_owned();
    }
    let kind = if function.group == Group::Calls { "call_received" } else { "inbound_sms" };
    format!("rule(\"example\").on(\"{kind}\").then(|e| {{ {} }});", function.example)
}

#[test]
fn every_example_loads_and_runs() {
    for function in functions() {
        let (rules, errors) = load(&[("example.rhai", &as_file(function))]);
        assert!(errors.is_empty(), "{}: {}", function.name, said(&errors));
        let info = rules.rules().next().unwrap();
        if info.timing.as_deref().is_some_and(|timing| timing.starts_with("cron")) || info.kinds.is_empty() {
            continue;
        }
        let mut facts = full_facts();
        facts.tenant.blueprints.insert(info.name.clone(), <_>::default());
        let decision = rules.decide(&event_for(&rules), &facts);
        let result = &decision.trace.rules[0].result;
        assert!(matches!(result, RuleResult::Fired | RuleResult::Waits { .. }), "{}: {result}", function.name);
        let acts = !decision.actions.is_empty() || !decision.timers.is_empty();
        assert!(acts, "{}: the example leads to nothing", function.name);
    }
}

/// The functions that a file calls, and whether each is called as a method.
fn called_in(source: &str) -> BTreeSet<(String, bool)> {
    let engine: Engine = engine::build(&Limits::default());
    let ast = engine.compile(source).unwrap();
    let mut called = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => {
                called.insert((written_name(&call.name).to_owned(), false));
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) => {
                called.insert((call.name.to_string(), true));
            }
            _ => {}
        }
        true
    });
    called
}

#[test]
fn every_function_has_a_case() {
    let mut called = BTreeSet::new();
    for folder in folders() {
        let (rules, errors) = RuleSet::load(&folder, Limits::default());
        assert!(errors.is_empty(), "{}", said(&errors));
        let report = cases::run_on(&rules, &folder);
        assert!(report.passed(), "{report}");
        let with_cases: BTreeSet<&str> = report.cases.iter().map(|case| case.file.as_str()).collect();
        for file in with_cases {
            let path = folder.join(file.replace(".cases.json", ".rhai"));
            called.extend(called_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    let missing: Vec<&str> = functions()
        .filter(|function| !called.contains(&(function.name.to_owned(), function.receiver.is_some())))
        .map(|function| function.name)
        .collect();
    assert!(missing.is_empty(), "no case calls {missing:?}: add one to rules/ or src/rules/tests/cases/");
}

/// The engine's functions beyond the language's own are those of the registry, with the same numbers of arguments.
#[test]
fn the_registry_and_the_engine_agree() {
    let of_engine = |engine: &Engine| -> BTreeSet<(String, usize)> {
        let all = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        all.into_iter().collect()
    };
    let language = of_engine(&engine::language());
    let is_name = |name: &str| name.starts_with(char::is_alphabetic) && !name.contains('$');
    let mut registered: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (name, arity) in of_engine(&engine::build(&Limits::default())).difference(&language) {
        let forbidden = crate::rules::script::functions::forbidden::FORBIDDEN.iter().any(|(known, _)| known == name);
        // Texts of times for interpolation and debugging are registered with `to_string`.
        if is_name(name) && !forbidden && name != "to_debug" {
            registered.entry(name.replace(PLACE_CALL, "call")).or_default().insert(*arity);
        }
    }
    let mut described: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for function in functions() {
        described.entry(function.name.to_owned()).or_default().extend(function.arities());
    }
    // `when` also accepts a single closure, in order to say what is missing.
    registered.entry("when".to_owned()).or_default().remove(&2);
    for (name, arities) in &mut described {
        let known = |arity: &usize| !language.contains(&(name.clone(), *arity));
        arities.retain(known);
    }
    described.retain(|_, arities| !arities.is_empty());
    assert_eq!(described, registered);
    let names: Vec<(&str, bool)> = functions().map(|function| (function.name, function.receiver.is_some())).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

#[test]
fn every_description_is_one_sentence_or_more() {
    for function in functions() {
        assert!(function.about.ends_with('.') && !function.signatures.is_empty(), "{}", function.name);
    }
}
