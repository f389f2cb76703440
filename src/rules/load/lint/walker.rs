//! The walk over a file's syntax tree.

use std::collections::{BTreeSet, HashMap};

use rhai::{ASTNode, Array, Dynamic, Expr, FnCallExpr, FnPtr, ImmutableString, Map, Stmt};

use crate::integrations::email::template::Templates;
use crate::rules::load::error::SourcePosition;
use crate::rules::load::lint::literals;
use crate::rules::load::lint::report::{Finding, NamedStep, Report};
use crate::rules::load::lint::vocabulary::{Vocabulary, called, written_name};
use crate::rules::promises::texts_in;
use crate::rules::script::functions::forbidden::FORBIDDEN;
use crate::rules::script::registry::{Function, Group, Kind};
use crate::rules::script::settings::{Holds, Setting};
use crate::rules::suggest::did_you_mean;

/// Functions that take a closure and do not keep it. Only for these may a closure capture: a kept closure could come to hold
/// itself through a captured variable, and its memory would never be freed.
const HIGHER_ORDER: &[&str] = &[
    "filter",
    "map",
    "some",
    "all",
    "find",
    "find_map",
    "index_of",
    "for_each",
    "reduce",
    "reduce_rev",
    "retain",
    "drain",
    "sort",
    "sort_by",
    "order_by",
    "dedup",
    "zip",
];

/// Walks the syntax tree of a file.
pub(super) struct Walker<'a> {
    pub report: &'a mut Report,
    pub vocabulary: &'a Vocabulary,
    pub templates: &'a Templates,
    pub scripted: &'a HashMap<String, BTreeSet<usize>>,
    pub place: Place,
    /// The first parameter of the function under check.
    pub parameter: Option<String>,
    /// The parameters of the function under check. The parser makes what a closure captures its parameters, but gives their
    /// uses no position.
    pub parameters: BTreeSet<String>,
}

/// The part of the file under check.
pub(super) enum Place {
    /// A statement at the top of the file, by its number.
    Top(usize),
    Function(String),
}

impl Walker<'_> {
    /// Checks one node; true lets the walk go on.
    pub fn visit(&mut self, path: &[ASTNode<'_>]) -> bool {
        self.texts(path.last());
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                self.call(path, call, false, (*at).into());
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, at))) => self.call(path, call, true, (*at).into()),
            Some(ASTNode::Expr(Expr::DynamicConstant(value, at))) => {
                if let Some(pointer) = value.read_lock::<FnPtr>() {
                    self.names(pointer.fn_name());
                }
                if holds_interpolated(value) {
                    self.not_interpolated((*at).into());
                }
            }
            Some(ASTNode::Expr(Expr::StringConstant(text, at))) if looks_interpolated(text) => {
                self.not_interpolated((*at).into());
            }
            Some(ASTNode::Expr(Expr::Variable(variable, None, at)))
                if variable.2.is_empty()
                    && variable.0.is_none()
                    && !self.scripted.contains_key(variable.1.as_str()) =>
            {
                self.undefined(path, &variable.1, (*at).into());
            }
            Some(ASTNode::Expr(Expr::Variable(variable, _, at))) if !variable.2.is_empty() => {
                let name = &variable.1;
                self.error(
                    (*at).into(),
                    format!("'{}::{name}' is not there when a rule runs", variable.2),
                    format!("write fn {name}() {{ … }} at the top of the file and call it"),
                );
            }
            Some(ASTNode::Expr(Expr::Dot(chain, _, at))) => self.path(&chain.lhs, &chain.rhs, (*at).into()),
            Some(ASTNode::Stmt(Stmt::Share(captured))) => {
                if let Some((variable, _)) = captured.first() {
                    self.capture(path, &variable.name, variable.pos.into());
                }
            }
            _ => {}
        }
        true
    }

    /// Adds an error.
    pub fn error(&mut self, at: SourcePosition, message: String, hint: String) {
        self.add(at, message, hint, false);
    }

    fn warn(&mut self, at: SourcePosition, message: String, hint: String) {
        self.add(at, message, hint, true);
    }

    fn add(&mut self, at: SourcePosition, message: String, hint: String, warning: bool) {
        let (function, statement) = match &self.place {
            Place::Top(number) => (None, Some(*number)),
            Place::Function(name) => (Some(name.clone()), None),
        };
        self.report.findings.push(Finding { function, statement, at, message, hint, warning });
    }

    /// The function under check; `None` at the top of the file.
    const fn function(&self) -> Option<&String> {
        match &self.place {
            Place::Top(_) => None,
            Place::Function(name) => Some(name),
        }
    }

    /// Reports a variable that the parser has found nowhere.
    fn undefined(&mut self, path: &[ASTNode<'_>], name: &str, at: SourcePosition) {
        // At the top, [`Walker::capture`] tells what a closure captures.
        let captured = path.iter().rev().nth(1).is_some_and(
            |node| matches!(node, ASTNode::Expr(Expr::FnCall(call, at)) if call.name == "curry" && is_capture(call, (*at).into())),
        );
        let reported = self.report.findings.iter().any(|finding| finding.at == at && !finding.warning);
        if reported || self.parameters.contains(name) || (captured && self.function().is_none()) {
            return;
        }
        self.error(
            at,
            format!("there is no variable '{name}' here"),
            "put a text in quotes; a function and a closure see their parameters, their own variables and functions"
                .to_owned(),
        );
    }

    fn not_interpolated(&mut self, at: SourcePosition) {
        self.warn(
            at,
            "${…} stays as it is in double quotes: the customer would read it".to_owned(),
            "write the text in backticks: `Hola ${e.contact.first_name}`".to_owned(),
        );
    }

    /// Records the texts that a function writes out.
    fn texts(&mut self, node: Option<&ASTNode<'_>>) {
        let Some(inside) = self.function().cloned() else { return };
        let mut add = |text: &str| self.report.texts.entry(inside.clone()).or_default().push(text.to_owned());
        match node {
            Some(ASTNode::Expr(Expr::StringConstant(text, _))) => add(text.as_str()),
            Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => texts_in(value, &mut add),
            _ => {}
        }
    }

    fn names(&mut self, function: &str) {
        let inside = self.function().cloned();
        self.report.calls.entry(inside).or_default().insert(function.to_owned());
    }

    fn call(&mut self, path: &[ASTNode<'_>], call: &FnCallExpr, is_method: bool, at: SourcePosition) {
        let name = written_name(call.name.as_str());
        if call.is_operator_call() || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        if let Some((_, instead)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
            return self.error(at, format!("{name} is not available in rules"), (*instead).to_owned());
        }
        if name == "print" || name == "debug" {
            let hint = "the trace shows what a rule reads; note(…) keeps a text";
            return self.warn(at, format!("{name} goes nowhere"), hint.to_owned());
        }
        if name == "curry" && !is_capture(call, at) {
            // The size limits do not count what a function pointer carries, so it could grow without end.
            return self.error(at, "curry is not available in rules".into(), "write a closure: |x| f(1, x)".into());
        }
        if name == "rule" && path.iter().any(|node| matches!(node, ASTNode::Stmt(Stmt::TryCatch(..)))) {
            let hint = "declare it outside: a rule whose declaration failed half way would run without its conditions";
            return self.error(at, "a rule cannot be declared inside try".to_owned(), hint.to_owned());
        }
        if let Some(function) = called(name, is_method) {
            self.literal_names(function, call, at);
            self.steps(function, call, at);
            for (at, message, hint) in literals::faults(function, call, self.templates) {
                self.error(at, message, hint);
            }
        }
        self.check_arity(call, name, is_method, at);
    }

    /// Records the steps of calls that a call gives literally, and that the function speaks in a call.
    fn steps(&mut self, function: &Function, call: &FnCallExpr, at: SourcePosition) {
        let Some(inside) = self.function().cloned() else { return };
        if function.group == Group::Calls {
            self.report.voice.entry(inside.clone()).or_insert((function.name, at));
        }
        for (index, argument) in call.args.iter().enumerate() {
            for kind in function.kinds_in_call(index, call.args.len()) {
                let steps = match (kind, argument) {
                    (Kind::Step | Kind::CallStep, Expr::StringConstant(name, at)) => {
                        vec![(name.to_string(), (*at).into())]
                    }
                    (Kind::Settings(settings) | Kind::Choices(settings), map) => steps_in(map, settings, kind),
                    _ => Vec::new(),
                };
                let begins_call = kind == Kind::CallStep;
                let named = steps.into_iter().filter(|(name, _)| !name.is_empty());
                let named = named.map(|(name, at)| NamedStep { name, at, begins_call });
                self.report.steps.entry(inside.clone()).or_default().extend(named);
            }
        }
    }

    /// Records the names that a call gives literally: event kinds, templates and questions.
    fn literal_names(&mut self, function: &Function, call: &FnCallExpr, at: SourcePosition) {
        for (index, argument) in call.args.iter().enumerate() {
            let Expr::StringConstant(text, _) = argument else { continue };
            let inside = self.function().cloned();
            match (function.kind_at(index), inside) {
                (Some(Kind::EventName), _) if function.name == "emit" => {
                    self.report.emitted.insert(text.to_string());
                }
                (Some(Kind::ContentTemplate), Some(inside)) => {
                    self.report.templates.entry(inside).or_default().insert(text.to_string());
                }
                (Some(Kind::Question), Some(inside)) => {
                    self.report.asked.entry(inside).or_default().push((text.to_string(), at));
                }
                _ => {}
            }
        }
    }

    fn check_arity(&mut self, call: &FnCallExpr, name: &str, is_method: bool, at: SourcePosition) {
        let arguments = call.args.len() + usize::from(is_method);
        // `call` as a method, or of a function pointer, is the language's own.
        if Vocabulary::is_built_in(call.name.as_str()) {
            return;
        }
        if let Some(counts) = self.scripted.get(name) {
            self.names(name);
            if let Place::Top(number) = self.place {
                self.report.called_at_top.entry(number).or_default().insert(name.to_owned());
            }
            // A function of the file that is called as a method takes its object as `this`, which rules do without.
            if !counts.contains(&arguments) {
                self.error(at, format!("{name} does not take {arguments} arguments"), takes(counts));
            }
            return;
        }
        match self.vocabulary.arities(name) {
            Some(counts) if counts.contains(&arguments) => {}
            Some(counts) => self.error(at, format!("{name} does not take {arguments} arguments"), takes(counts)),
            None => {
                let known = self.vocabulary.names().chain(self.scripted.keys().map(String::as_str));
                let known = known.filter(|name| name.starts_with(char::is_alphabetic));
                let hint = did_you_mean(name, known).map_or_else(
                    || "'recado reference' lists the functions".to_owned(),
                    |meant| format!("did you mean '{meant}'?"),
                );
                self.error(at, format!("there is no function '{name}'"), hint);
            }
        }
    }

    fn path(&mut self, lhs: &Expr, rhs: &Expr, at: SourcePosition) {
        let (Expr::Variable(variable, _, start), Some(function)) = (lhs, self.function()) else { return };
        if self.parameter.as_deref() != Some(variable.1.as_str()) {
            return;
        }
        let mut names = Vec::new();
        let mut next = Some(rhs);
        while let Some(step) = next {
            let (property, after) = match step {
                Expr::Dot(chain, _, _) => (&chain.lhs, Some(&chain.rhs)),
                Expr::Index(chain, _, _) => (&chain.lhs, None),
                property => (property, None),
            };
            let Expr::Property(name, _) = property else { break };
            names.push(name.2.to_string());
            next = after;
        }
        let at = if at.line > 0 { at } else { (*start).into() };
        let function = function.clone();
        self.report.paths.push((function, names, at));
    }

    fn capture(&mut self, path: &[ASTNode<'_>], variable: &str, at: SourcePosition) {
        let taker = path.iter().rev().skip(1).find_map(|node| match node {
            ASTNode::Expr(Expr::Stmt(_)) => None,
            ASTNode::Expr(Expr::MethodCall(call, _) | Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
                Some(Some(call.name.as_str()))
            }
            _ => Some(None),
        });
        match (self.function(), taker.flatten()) {
            (None, _) => self.error(
                at,
                format!("the closure uses '{variable}', which is not its own"),
                format!("a closure sees its parameter, its own variables and functions: write fn {variable}() {{ … }} at the top of the file and call it"),
            ),
            (Some(_), Some(taker)) if HIGHER_ORDER.contains(&taker) => {}
            (Some(_), _) => self.error(
                at,
                format!("a closure that uses '{variable}' cannot be kept"),
                "pass it straight to filter, map, some, all, find or the like".to_owned(),
            ),
        }
    }
}

/// The steps in a map of settings that is written out, and those of its choices.
fn steps_in(map: &Expr, settings: &[Setting], kind: Kind) -> Vec<(String, SourcePosition)> {
    let is_step = |name: &str| match settings.iter().find(|setting| setting.name == name) {
        Some(setting) => setting.holds == Holds::Step,
        None => matches!(kind, Kind::Choices(_)),
    };
    let entries = literals::entries(map).unwrap_or_default().into_iter().filter(|(name, ..)| is_step(name));
    entries.filter_map(|(_, value, at)| Some((value?.into_string().ok()?, at))).collect()
}

/// The parser writes a closure that captures as `curry(closure, variable…)`, at the closure's own position.
fn is_capture(call: &FnCallExpr, at: SourcePosition) -> bool {
    matches!(call.args.first(), Some(Expr::DynamicConstant(_, closure)) if SourcePosition::from(*closure) == at)
}

/// Returns whether a text in double quotes was meant to be interpolated. In backticks the parser has split it already.
fn looks_interpolated(text: &str) -> bool {
    text.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

/// The same for a constant and everything in it.
fn holds_interpolated(constant: &Dynamic) -> bool {
    if let Some(array) = constant.read_lock::<Array>() {
        return array.iter().any(holds_interpolated);
    }
    if let Some(map) = constant.read_lock::<Map>() {
        return map.values().any(holds_interpolated);
    }
    constant.read_lock::<ImmutableString>().is_some_and(|text| looks_interpolated(&text))
}

fn takes(counts: &BTreeSet<usize>) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("it takes {}, counting what stands before the dot", counts.join(" or "))
}
