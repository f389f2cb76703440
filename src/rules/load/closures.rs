//! From a draft to a rule: checks of its closures and questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::AST;

use crate::domain::words::fold_words;
use crate::rules::load::builder::draft::{Closure, Draft};
use crate::rules::load::error::SourcePosition;
use crate::rules::load::lint::report::Report;
use crate::rules::model::{Handlers, Rule, RuleInfo, Timing};
use crate::rules::promises::{compared, promised};

/// The fault of a closure.
pub(in crate::rules) enum ClosureFault {
    None,
    /// The finding of this number tells it already.
    Reported(usize),
    /// Its position, the text and a hint.
    New(SourcePosition, String, String),
}

/// Returns a draft's closures, each with its number of parameters and the path from the event to the first parameter.
pub(in crate::rules) fn closures(draft: &Draft) -> impl Iterator<Item = (&Closure, usize, &'static [&'static str])> {
    let named = draft.whens.iter().chain(&draft.silences).chain(&draft.unsents).chain(&draft.calls);
    let of_event = named.map(|(_, closure)| closure).chain(&draft.thens);
    let of_answer = draft.answers.iter().chain(&draft.inputs).map(|(_, closure)| (closure, 2, &[][..]));
    let of_contacts = draft.timing.for_each.iter().filter_map(|each| each.filter.as_ref());
    let of_contacts = of_contacts.map(|closure| (closure, 1, &["contact"][..]));
    of_event.map(|closure| (closure, 1, &[][..])).chain(of_answer).chain(of_contacts)
}

/// Returns a fault for each question that the rule asks by a literal name, or has an `.on_silence` or `.on_unsent` for, without
/// an `.on_answer`.
pub(in crate::rules) fn question_faults(draft: &Draft, report: &Report) -> Vec<(SourcePosition, String, String)> {
    let handled = |name: &str| draft.answers.iter().any(|(known, _)| known == name);
    let asked = closures(draft).flat_map(|(closure, ..)| report.asked_in(&closure.function));
    let asked = asked.map(|(name, at)| (name, *at));
    let silent = draft.silences.iter().chain(&draft.unsents).map(|(name, closure)| (name.as_str(), closure.at));
    let unhandled: BTreeMap<&str, SourcePosition> = asked.chain(silent).filter(|(name, _)| !handled(name)).collect();
    let fault = |(name, at): (&str, SourcePosition)| {
        let message = format!("nobody hears the answer to the question \"{name}\"");
        (at, message, format!("add .on_answer(\"{name}\", |e, answer| …) to the rule"))
    };
    unhandled.into_iter().map(fault).collect()
}

/// Returns a fault for each step of a call that the rule names literally and has no handler for, and for each closure that
/// speaks in a call where nobody is on the line.
pub(in crate::rules) fn call_faults(draft: &Draft, report: &Report) -> Vec<(SourcePosition, String, String)> {
    let begins = |name: &str| draft.calls.iter().any(|(known, _)| known == name);
    let handled = |name: &str| begins(name) || draft.inputs.iter().any(|(known, _)| known == name);
    let mut faults = BTreeMap::new();
    for step in closures(draft).flat_map(|(closure, ..)| report.steps_in(&closure.function)) {
        let name = &step.name;
        if step.begins_call && !begins(name) {
            let message = format!("the rule does not say how the call begins at the step \"{name}\"");
            faults.insert(step.at, (message, format!("add .on_call(\"{name}\", |e| say(\"…\")) to the rule")));
        } else if !step.begins_call && !handled(name) {
            let message = format!("nobody hears the step \"{name}\"");
            faults.insert(step.at, (message, format!("add .on_input(\"{name}\", |e, input| …) to the rule")));
        }
    }
    let in_call = draft.kinds.iter().any(|(kind, _)| kind.is_on_the_line());
    let of_event = draft.whens.iter().map(|(_, closure)| closure).chain(&draft.thens).filter(|_| !in_call);
    let of_questions = draft.answers.iter().chain(&draft.silences).chain(&draft.unsents).map(|(_, closure)| closure);
    for closure in of_event.chain(of_questions) {
        if let Some((name, at)) = report.voice.get(&closure.function) {
            let message = format!("{name} speaks in a call, and nobody is on the line here");
            let hint = "it belongs to call_received, call_input or a rule's .on_call(…) and .on_input(…)";
            faults.insert(*at, (message, hint.to_owned()));
        }
    }
    faults.into_iter().map(|(at, (message, hint))| (at, message, hint)).collect()
}

/// Returns the fault of a closure, if it has one.
pub(in crate::rules) fn closure_fault(
    closure: &Closure,
    parameters: usize,
    of: &[&str],
    report: &Report,
) -> ClosureFault {
    if let Some((finding, _)) = report.fault_in(&closure.function) {
        return ClosureFault::Reported(finding);
    }
    if closure.curried {
        let reported = report.findings.iter().position(|finding| finding.function.is_none() && !finding.warning);
        let hint = "a closure sees its parameter, its own variables and functions";
        let new = || ClosureFault::New(closure.at, "the closure carries values from outside".into(), hint.into());
        return reported.map_or_else(new, ClosureFault::Reported);
    }
    match report.parameters.get(&closure.function) {
        Some(count) if *count == parameters => {}
        Some(_) => {
            let (number, hint) =
                if parameters == 1 { ("one parameter", "|e|") } else { ("two parameters", "|e, answer|") };
            let message = format!("the closure must have {number}");
            return ClosureFault::New(closure.at, message, format!("write {hint} …"));
        }
        None => {
            let message = format!("'{}' is no function of this file", closure.function);
            return ClosureFault::New(closure.at, message, "write a closure: |e| …".into());
        }
    }
    report
        .bad_path_in(&closure.function, of)
        .map_or(ClosureFault::None, |(at, message, hint)| ClosureFault::New(at, message, hint))
}

/// Makes a rule of a draft without faults.
pub(in crate::rules) fn finished(
    file: &str,
    draft: Draft,
    timing: Option<Timing>,
    functions: &Arc<AST>,
    report: &Report,
) -> Rule {
    let mut folded: Vec<String> = Vec::new();
    for keyword in &draft.keywords {
        let keyword = fold_words(keyword);
        if !folded.contains(&keyword) {
            folded.push(keyword);
        }
    }
    let templates =
        closures(&draft).flat_map(|(closure, ..)| report.templates_in(&closure.function)).map(str::to_owned).collect();
    let texts = || closures(&draft).flat_map(|(closure, ..)| report.texts_in(&closure.function));
    let promises = texts().flat_map(promised).collect();
    let words = texts().filter_map(compared).collect();
    let by_name = |list: Vec<(String, Closure)>| -> BTreeMap<String, String> {
        list.into_iter().map(|(name, closure)| (name, closure.function)).collect()
    };
    Rule {
        limit: draft.limit,
        promises,
        words,
        reads_free_slots: false,
        handlers: Arc::new(Handlers {
            answers: by_name(draft.answers),
            silences: by_name(draft.silences),
            unsents: by_name(draft.unsents),
            inputs: by_name(draft.inputs),
            calls: by_name(draft.calls),
        }),
        info: RuleInfo {
            name: draft.name,
            file: file.to_owned(),
            line: draft.at.line,
            kinds: draft.kinds.into_iter().map(|(kind, _)| kind).chain(draft.implied).collect(),
            keywords: draft.keywords,
            blueprint: draft.blueprint,
            params: draft.params,
            templates,
            timing: timing.as_ref().map(Timing::text),
        },
        keywords: folded,
        functions: Arc::clone(functions),
        whens: draft.whens.into_iter().map(|(text, closure)| (text, closure.function)).collect(),
        thens: draft.thens.into_iter().map(|closure| closure.function).collect(),
        timing,
        for_each: draft.timing.for_each.map(|each| each.filter.map(|filter| filter.function)),
    }
}
