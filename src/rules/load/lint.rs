//! What can be said against a file before anything of it runs: names that do not exist, closures that capture.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rhai::{AST, ASTNode, Array, Dynamic, Engine, Expr, FnCallExpr, FnPtr, ImmutableString, Map, Stmt};

use super::error::{Place, did_you_mean};
use crate::domain::{EmailAddress, Phone};
use crate::integrations::email::template::Templates;
use crate::rules::script::functions::helpers::FORBIDDEN;
use crate::rules::script::functions::send_email::STAFF;
use crate::rules::script::views::event;
use crate::time::Span;

/// Every function of the engine by name, with the numbers of arguments it takes; built once.
pub(in crate::rules) struct Vocabulary(HashMap<String, BTreeSet<usize>>);

/// What the language handles by itself, without a function being registered.
const BUILT_IN: &[&str] = &[
    "call",
    "curry",
    "Fn",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "print",
    "debug",
    "type_of",
    "eval",
    "in",
    "contains",
];
/// Functions that take a closure and are done with it when they return. Only for these may a closure capture: kept
/// elsewhere, a captured variable could come to hold itself, and its memory would never be freed.
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

impl Vocabulary {
    pub fn of(engine: &Engine) -> Self {
        let mut names: HashMap<String, BTreeSet<usize>> = HashMap::new();
        let all = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        for (name, arguments) in all {
            names.entry(name).or_default().insert(arguments);
        }
        Self(names)
    }
}

/// One thing to say, and the function in whose body it is; `None` for the top of the file.
pub(in crate::rules) struct Finding {
    pub function: Option<String>,
    pub place: Place,
    pub message: String,
    pub hint: String,
    pub warning: bool,
}

#[derive(Default)]
pub(in crate::rules) struct Report {
    pub findings: Vec<Finding>,
    /// Kinds that the file's rules emit, where they are written out.
    pub emitted: BTreeSet<String>,
    /// Templates that each function sends, where their names are written out.
    templates: BTreeMap<String, BTreeSet<String>>,
    /// Questions that each function asks, where their names are written out.
    asked: BTreeMap<String, Vec<(String, Place)>>,
    /// Which functions each function names; `None` is the top of the file.
    calls: BTreeMap<Option<String>, BTreeSet<String>>,
    /// Paths such as `["contact", "first_name"]` that follow a function's first parameter.
    paths: Vec<(String, Vec<String>, Place)>,
    /// Number of parameters by function.
    pub parameters: HashMap<String, usize>,
}

impl Report {
    /// Whether something is wrong in this function or in one that it calls, and what.
    pub fn fault_in(&self, function: &str) -> Option<&Finding> {
        let is_in = |finding: &Finding, name: &str| finding.function.as_deref() == Some(name);
        let faults = |name| self.findings.iter().find(move |finding| !finding.warning && is_in(finding, name));
        self.reached(function).into_iter().find_map(faults)
    }

    /// The templates that this function, or one that it calls, names in so many words.
    pub fn templates_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a str> {
        let reached = self.reached(function).into_iter();
        reached.flat_map(|name| self.templates.get(name).into_iter().flatten().map(String::as_str))
    }

    /// The questions that this function, or one that it calls, asks by names in so many words.
    pub fn asked_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = (&'a str, &'a Place)> {
        let reached = self.reached(function).into_iter();
        reached.flat_map(|name| self.asked.get(name).into_iter().flatten().map(|(name, place)| (name.as_str(), place)))
    }

    /// A function and those that it calls, each once.
    fn reached<'a>(&'a self, function: &'a str) -> Vec<&'a str> {
        let (mut seen, mut reached, mut next) = (HashSet::new(), Vec::new(), vec![function]);
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                reached.push(name);
                next.extend(self.calls.get(&Some(name.to_owned())).into_iter().flatten().map(String::as_str));
            }
        }
        reached
    }

    /// What is wrong with the things that this closure of a rule reads of its event, or of what stands at `of` in it.
    pub fn bad_path_in(&self, function: &str, of: &[&str]) -> Option<(Place, String, String)> {
        self.paths.iter().filter(|(owner, _, _)| owner == function).find_map(|(_, path, place)| {
            let path: Vec<&str> = of.iter().copied().chain(path.iter().map(String::as_str)).collect();
            (of.len()..path.len()).find_map(|at| {
                let known = event::names_after(&path[..at])?;
                if known.contains(&path[at]) {
                    return None;
                }
                let before: String = path[..at].iter().map(|name| format!(".{name}")).collect();
                let hint = did_you_mean(path[at], known.iter().copied())
                    .map_or_else(|| format!("it has {}", known.join(", ")), |meant| format!("did you mean '{meant}'?"));
                Some((*place, format!("e{before} has no '{}'", path[at]), hint))
            })
        })
    }
}

pub(in crate::rules) fn check(ast: &AST, vocabulary: &Vocabulary, templates: &Templates) -> Report {
    let mut report = Report::default();
    let mut scripted: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for function in ast.iter_fn_def() {
        scripted.entry(function.name.to_string()).or_default().insert(function.params.len());
        report.parameters.insert(function.name.to_string(), function.params.len());
    }
    let mut walker =
        Walker { report: &mut report, vocabulary, templates, scripted: &scripted, function: None, parameter: None };
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| walker.visit(path));
    }
    for function in ast.iter_fn_def() {
        walker.function = Some(function.name.to_string());
        walker.parameter = function.params.first().map(ToString::to_string);
        if vocabulary.0.contains_key(function.name.as_str()) {
            walker.say(
                Place::default(),
                format!("{} is a function of the language", function.name),
                "give yours another name".to_owned(),
            );
        }
        // The crate shows a function's body only through an AST that holds nothing else.
        let mut module = rhai::Module::new();
        module.set_script_fn(function.clone());
        let alone = AST::new_from_module(module);
        alone.walk(&mut |path: &[ASTNode<'_>]| walker.visit(path));
    }
    report
}

struct Walker<'a> {
    report: &'a mut Report,
    vocabulary: &'a Vocabulary,
    templates: &'a Templates,
    scripted: &'a HashMap<String, BTreeSet<usize>>,
    function: Option<String>,
    parameter: Option<String>,
}

impl Walker<'_> {
    fn visit(&mut self, path: &[ASTNode<'_>]) -> bool {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                self.call(call, call.args.len(), (*at).into());
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, at))) => self.call(call, call.args.len() + 1, (*at).into()),
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
            Some(ASTNode::Expr(Expr::Variable(variable, _, at))) if !variable.2.is_empty() => {
                let name = &variable.1;
                self.say(
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

    fn say(&mut self, place: Place, message: String, hint: String) {
        self.report.findings.push(Finding { function: self.function.clone(), place, message, hint, warning: false });
    }

    fn warn(&mut self, place: Place, message: String, hint: String) {
        self.report.findings.push(Finding { function: self.function.clone(), place, message, hint, warning: true });
    }

    fn not_interpolated(&mut self, place: Place) {
        self.warn(
            place,
            "${…} stays as it is in double quotes: the customer would read it".to_owned(),
            "write the text in backticks: `Hola ${e.contact.first_name}`".to_owned(),
        );
    }

    fn names(&mut self, function: &str) {
        self.report.calls.entry(self.function.clone()).or_default().insert(function.to_owned());
    }

    fn call(&mut self, call: &FnCallExpr, arguments: usize, place: Place) {
        let name = call.name.as_str();
        if call.is_operator_call() || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        if name == "emit"
            && let Some(Expr::StringConstant(kind, _)) = call.args.first()
        {
            self.report.emitted.insert(kind.to_string());
        }
        if name == "send_whatsapp_template"
            && let (Some(Expr::StringConstant(template, _)), Some(function)) = (call.args.get(1), &self.function)
        {
            self.report.templates.entry(function.clone()).or_default().insert(template.to_string());
        }
        if name == "ask"
            && let (Some(Expr::StringConstant(question, _)), Some(function)) = (call.args.first(), &self.function)
        {
            self.report.asked.entry(function.clone()).or_default().push((question.to_string(), place));
        }
        if let Some((_, instead)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
            return self.say(place, format!("{name} is not available in rules"), (*instead).to_owned());
        }
        if name == "print" || name == "debug" {
            let hint = "the trace shows what a rule reads; note(…) keeps a text";
            return self.warn(place, format!("{name} goes nowhere"), hint.to_owned());
        }
        if name == "curry" && !is_capture(call, place) {
            // What a function pointer carries is not counted by the size limits, so it could grow without end.
            return self.say(place, "curry is not available in rules".into(), "write a closure: |x| f(1, x)".into());
        }
        if let Some((place, message, hint)) = bad_literal(name, call) {
            self.say(place, message, hint);
        }
        if name == "send_email"
            && let Some((place, message, hint)) = bad_template(call, self.templates)
        {
            self.say(place, message, hint);
        }
        if BUILT_IN.contains(&name) {
            return;
        }
        if let Some(counts) = self.scripted.get(name) {
            self.names(name);
            // A function of the file called as a method takes its object as `this`, which rules do without.
            if !counts.contains(&arguments) {
                self.say(place, format!("{name} does not take {arguments} arguments"), takes(counts));
            }
            return;
        }
        match self.vocabulary.0.get(name) {
            Some(counts) if counts.contains(&arguments) => {}
            Some(counts) => self.say(place, format!("{name} does not take {arguments} arguments"), takes(counts)),
            None => {
                let known = self.vocabulary.0.keys().chain(self.scripted.keys()).map(String::as_str);
                let known = known.filter(|name| name.starts_with(char::is_alphabetic));
                let hint = did_you_mean(name, known).map_or_else(
                    || "the functions are listed in the rules' reference".to_owned(),
                    |meant| format!("did you mean '{meant}'?"),
                );
                self.say(place, format!("there is no function '{name}'"), hint);
            }
        }
    }

    fn path(&mut self, lhs: &Expr, rhs: &Expr, place: Place) {
        let (Expr::Variable(variable, _, at), Some(function)) = (lhs, &self.function) else { return };
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
        let place = if place.line > 0 { place } else { (*at).into() };
        self.report.paths.push((function.clone(), names, place));
    }

    fn capture(&mut self, path: &[ASTNode<'_>], variable: &str, place: Place) {
        let taker = path.iter().rev().skip(1).find_map(|node| match node {
            ASTNode::Expr(Expr::Stmt(_)) => None,
            ASTNode::Expr(Expr::MethodCall(call, _) | Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
                Some(Some(call.name.as_str()))
            }
            _ => Some(None),
        });
        match (&self.function, taker.flatten()) {
            (None, _) => self.say(
                place,
                format!("the closure uses '{variable}', which is not its own"),
                format!("a closure sees its parameter, its own variables and functions: write fn {variable}() {{ … }} at the top of the file and call it"),
            ),
            (Some(_), Some(taker)) if HIGHER_ORDER.contains(&taker) => {}
            (Some(_), _) => self.say(
                place,
                format!("a closure that uses '{variable}' cannot be kept"),
                "pass it straight to filter, map, some, all, find or the like".to_owned(),
            ),
        }
    }
}

/// The parser writes a closure that captures as `curry(closure, variable…)`, in the closure's own place.
fn is_capture(call: &FnCallExpr, place: Place) -> bool {
    matches!(call.args.first(), Some(Expr::DynamicConstant(_, at)) if Place::from(*at) == place)
}

/// What is wrong with an argument that is written out, and so wrong each time: a recipient, or a text that is none.
fn bad_literal(name: &str, call: &FnCallExpr) -> Option<(Place, String, String)> {
    if name == "send_email"
        && let Some(Expr::StringConstant(address, at)) = call.args.first()
        && address.as_str() != STAFF
        && let Err(error) = EmailAddress::parse(address)
    {
        let hint = "use e.contact, \"staff\" or an address".to_owned();
        return Some(((*at).into(), format!("{name}: {error}"), hint));
    }
    if name == "http_request" {
        let (url, place) = written_url(call.args.first()?)?;
        let why = crate::rules::script::functions::http_request::bad_url(&url)?;
        return Some((
            place,
            format!("http_request: {why}"),
            "write it out, as in https://example.com/hook".to_owned(),
        ));
    }
    let span_at = match name {
        "in" => 0,
        "limit" => 1,
        "ask" => 2,
        _ => usize::MAX,
    };
    if let Some(Expr::StringConstant(span, at)) = call.args.get(span_at)
        && let Err(error) = span.parse::<Span>()
    {
        return Some(((*at).into(), format!("{name}: {error}"), "write it as \"2h\" or \"1d\"".to_owned()));
    }
    let text_at = match name {
        "reply" | "note" => 0,
        "ask" => 1,
        "send_sms" | "send_whatsapp" => 1,
        "send_whatsapp_template" => usize::MAX,
        _ => return None,
    };
    if let (1.., Some(Expr::StringConstant(number, at))) = (text_at, call.args.first())
        && name != "ask"
        && let Err(error) = Phone::parse(number)
    {
        return Some(((*at).into(), format!("{name}: {error}"), "use e.contact, or a whole number".to_owned()));
    }
    match call.args.get(text_at) {
        Some(Expr::IntegerConstant(_, at) | Expr::FloatConstant(_, at) | Expr::BoolConstant(_, at)) => {
            Some(((*at).into(), format!("{name} takes a text"), "write it in quotes: \"…\"".to_owned()))
        }
        _ => None,
    }
}

/// What is wrong with a template and its values where both are written out.
fn bad_template(call: &FnCallExpr, templates: &Templates) -> Option<(Place, String, String)> {
    let [_, Expr::StringConstant(name, at), values] = call.args.as_slice() else { return None };
    let given: BTreeSet<String> = match values {
        Expr::Map(map, _) => map.0.iter().map(|(key, _)| key.name.to_string()).collect(),
        Expr::DynamicConstant(map, _) => map.read_lock::<Map>()?.keys().map(ToString::to_string).collect(),
        _ => return None,
    };
    let at = Place::from(*at);
    let Some(needed) = templates.values(name) else {
        let hint = did_you_mean(name, templates.names())
            .map_or_else(|| format!("write templates/{name}.txt"), |meant| format!("did you mean '{meant}'?"));
        return Some((at, format!("send_email: there is no template '{name}'"), hint));
    };
    let missing = needed.iter().find(|value| !given.contains(**value));
    let spare = given.iter().find(|value| !needed.contains(value.as_str()));
    let hint =
        |known: Vec<&str>| format!("it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") });
    match (missing, spare) {
        (Some(value), _) => Some((
            at,
            format!("send_email: the template '{name}' needs the value '{value}'"),
            format!("add {value}: … to the map"),
        )),
        (None, Some(value)) => {
            let known = needed.iter().copied().collect();
            Some((at, format!("send_email: the template '{name}' has no {{{{{value}}}}}"), hint(known)))
        }
        (None, None) => None,
    }
}

/// The `url` of a map that is written out.
fn written_url(map: &Expr) -> Option<(ImmutableString, Place)> {
    match map {
        Expr::Map(entries, _) => entries.0.iter().find_map(|(name, value)| match value {
            Expr::StringConstant(url, at) if name.as_str() == "url" => Some((url.clone(), (*at).into())),
            _ => None,
        }),
        Expr::DynamicConstant(value, at) => {
            let url = value.read_lock::<Map>()?.get("url")?.clone();
            Some((url.try_cast::<ImmutableString>()?, (*at).into()))
        }
        _ => None,
    }
}

/// Whether a text means to be put together from values. In backticks it would have been taken apart already.
fn looks_interpolated(text: &str) -> bool {
    text.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

/// The same of a constant, and of all that is in it.
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
