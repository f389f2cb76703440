//! The result of the checks of one file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::rules::load::error::SourcePosition;
use crate::rules::script::views;
use crate::rules::suggest::did_you_mean;

/// One finding.
pub(in crate::rules) struct Finding {
    /// The function in whose body it is; `None` at the top of the file.
    pub function: Option<String>,
    /// The number of the statement at the top of the file in which it is; `None` in a function's body.
    pub statement: Option<usize>,
    pub at: SourcePosition,
    pub message: String,
    pub hint: String,
    pub warning: bool,
}

/// The findings of the checks in a file.
#[derive(Default)]
pub(in crate::rules) struct Report {
    pub findings: Vec<Finding>,
    /// Event kinds that the file's rules emit by literal names.
    pub emitted: BTreeSet<String>,
    /// The templates that each function sends by literal names.
    pub templates: BTreeMap<String, BTreeSet<String>>,
    /// The questions that each function asks by literal names.
    pub asked: BTreeMap<String, Vec<(String, SourcePosition)>>,
    /// The texts that each function writes out.
    pub texts: BTreeMap<String, Vec<String>>,
    /// The steps of calls that each function names literally.
    pub steps: BTreeMap<String, Vec<NamedStep>>,
    /// The first function of calls that each function calls by itself.
    pub voice: BTreeMap<String, (&'static str, SourcePosition)>,
    /// The functions that each function calls; `None` is the top of the file.
    pub calls: BTreeMap<Option<String>, BTreeSet<String>>,
    /// The file's own functions that each statement at the top calls.
    pub called_at_top: BTreeMap<usize, BTreeSet<String>>,
    /// Paths such as `["contact", "first_name"]` that follow a function's first parameter.
    pub paths: Vec<(String, Vec<String>, SourcePosition)>,
    /// The number of parameters of each function.
    pub parameters: HashMap<String, usize>,
}

/// A step of a call that a function names.
pub(in crate::rules) struct NamedStep {
    pub name: String,
    pub at: SourcePosition,
    /// An outbound call begins at it, so only `.on_call` handles it.
    pub begins_call: bool,
}

impl Report {
    /// Returns the steps of calls that this function, or one that it calls, names literally.
    pub fn steps_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a NamedStep> {
        self.reached(function).into_iter().flat_map(|name| self.steps.get(name).into_iter().flatten())
    }

    /// Returns an error in this function or in one that it calls, and its number among the findings.
    pub fn fault_in(&self, function: &str) -> Option<(usize, &Finding)> {
        let is_in = |finding: &Finding, name: &str| finding.function.as_deref() == Some(name);
        let mut errors = self.findings.iter().enumerate().filter(|(_, finding)| !finding.warning).peekable();
        errors.peek()?;
        let reached = self.reached(function);
        errors.find(|(_, finding)| reached.iter().any(|name| is_in(finding, name)))
    }

    /// Returns whether a statement at the top of the file has an error outside the functions.
    pub fn has_error_in_statement(&self, number: usize) -> bool {
        self.findings.iter().any(|finding| finding.statement == Some(number) && !finding.warning)
    }

    /// Returns a function with an error that a statement at the top of the file calls, and the error.
    pub fn faulty_function_of_statement(&self, number: usize) -> Option<(&str, &Finding)> {
        let called = self.called_at_top.get(&number)?;
        called.iter().find_map(|name| Some((name.as_str(), self.fault_in(name)?.1)))
    }

    /// Returns the templates that this function, or one that it calls, sends by literal names.
    pub fn templates_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a str> {
        let reached = self.reached(function).into_iter();
        reached.flat_map(|name| self.templates.get(name).into_iter().flatten().map(String::as_str))
    }

    /// Returns the texts that this function, or one that it calls, writes out.
    pub fn texts_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a str> {
        let reached = self.reached(function).into_iter();
        reached.flat_map(|name| self.texts.get(name).into_iter().flatten().map(String::as_str))
    }

    /// Returns the questions that this function, or one that it calls, asks by literal names.
    pub fn asked_in<'a>(&'a self, function: &'a str) -> impl Iterator<Item = (&'a str, &'a SourcePosition)> {
        let reached = self.reached(function).into_iter();
        reached.flat_map(|name| self.asked.get(name).into_iter().flatten().map(|(name, at)| (name.as_str(), at)))
    }

    /// Returns a function and all functions that it calls, each once.
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

    /// Returns the first unknown field that this closure reads. Its first parameter stands for the value at `of` of the event.
    pub fn bad_path_in(&self, function: &str, of: &[&str]) -> Option<(SourcePosition, String, String)> {
        self.paths.iter().filter(|(owner, _, _)| owner == function).find_map(|(_, path, position)| {
            let path: Vec<&str> = of.iter().copied().chain(path.iter().map(String::as_str)).collect();
            (of.len()..path.len()).find_map(|at| {
                let known = views::names_after(&path[..at])?;
                if known.contains(&path[at]) {
                    return None;
                }
                let before: String = path[..at].iter().map(|name| format!(".{name}")).collect();
                let hint = did_you_mean(path[at], known.iter().copied())
                    .map_or_else(|| format!("it has {}", known.join(", ")), |meant| format!("did you mean '{meant}'?"));
                Some((*position, format!("e{before} has no '{}'", path[at]), hint))
            })
        })
    }
}
