//! Checks of a file before anything of it runs: unknown names, wrong arguments, closures that capture.

mod literals;
pub(in crate::rules) mod report;
pub(in crate::rules) mod vocabulary;
mod walker;

use std::collections::{BTreeSet, HashMap};

use rhai::{AST, ASTNode};

use crate::integrations::email::template::Templates;
use crate::rules::load::error::SourcePosition;
use crate::rules::load::lint::report::Report;
use crate::rules::load::lint::vocabulary::{Vocabulary, written_name};
use crate::rules::load::lint::walker::{Place, Walker};

/// Checks a file before anything of it runs.
pub(in crate::rules) fn check(ast: &AST, templates: &Templates) -> Report {
    let vocabulary = Vocabulary::get();
    let mut report = Report::default();
    let mut scripted: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for function in ast.iter_fn_def() {
        scripted.entry(function.name.to_string()).or_default().insert(function.params.len());
        report.parameters.insert(function.name.to_string(), function.params.len());
    }
    let mut walker = Walker {
        report: &mut report,
        vocabulary,
        templates,
        scripted: &scripted,
        place: Place::Top(0),
        parameter: None,
        parameters: BTreeSet::new(),
    };
    for (number, statement) in ast.statements().iter().enumerate() {
        walker.place = Place::Top(number);
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| walker.visit(path));
    }
    for function in ast.iter_fn_def() {
        walker.place = Place::Function(function.name.to_string());
        walker.parameter = function.params.first().map(ToString::to_string);
        let name = written_name(function.name.as_str());
        if vocabulary.has(name) {
            walker.error(
                SourcePosition::default(),
                format!("{name} is a function of the language"),
                "give yours another name".to_owned(),
            );
        }
        // The crate shows a function's body only through an AST that holds nothing else.
        let mut module = rhai::Module::new();
        module.set_script_fn(function.clone());
        let alone = AST::new_from_module(module);
        walker.parameters = function.params.iter().map(ToString::to_string).collect();
        alone.walk(&mut |path: &[ASTNode<'_>]| walker.visit(path));
    }
    report
}
