//! From a folder of files to rules. A broken rule is left out and reported; it stops nothing else.

pub(in crate::rules) mod builder;
pub mod check;
mod closures;
pub(in crate::rules) mod error;
pub(in crate::rules) mod folder;
pub(in crate::rules) mod lint;
mod statements;
mod timing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, ParseErrorType};
use sha2::{Digest, Sha256};

use crate::domain::event_kinds::EVENT_KINDS;
use crate::domain::{EventKind, make_tables};
use crate::integrations::email::template::{TemplateFault, Templates};
use crate::rules::eval::index::Index;
use crate::rules::eval::stack;
use crate::rules::limits::Limits;
use crate::rules::load::builder::draft::Draft;
use crate::rules::load::closures::{ClosureFault, call_faults, closure_fault, closures, finished, question_faults};
use crate::rules::load::error::{RuleError, SourcePosition};
use crate::rules::load::lint::report::{Finding, Report};
use crate::rules::load::statements::FailedStatement;
use crate::rules::model::{Rule, Timing, When};
use crate::rules::ruleset::{RuleSet, indexed};
use crate::rules::script::engine;
use crate::rules::script::views::appointment;
use crate::rules::suggest::did_you_mean;

impl RuleSet {
    /// Loads the templates of e-mails and every `*.rhai` file below `dir`, in the order of their names. Broken rules are
    /// left out and reported.
    pub fn load(dir: &Path, limits: Limits) -> (Self, Vec<RuleError>) {
        stack::on_rules_stack(|| Loader::new(limits).folder(Some(dir)))
    }

    /// Makes a set without rules.
    pub fn empty(limits: Limits) -> Self {
        stack::on_rules_stack(|| Loader::new(limits).folder(None)).0
    }
}

struct Loader {
    limits: Limits,
    engine: Engine,
    templates: Templates,
    rules: Vec<Rule>,
    /// The file and position of each rule.
    positions: HashMap<String, (String, SourcePosition)>,
    kinds_used: Vec<(EventKind, String, String, SourcePosition)>,
    emitted: BTreeSet<String>,
    reads_next_appointment: bool,
    errors: Vec<RuleError>,
}

impl Loader {
    fn new(limits: Limits) -> Self {
        make_tables();
        let engine = engine::build(&limits);
        Self {
            limits,
            engine,
            templates: Templates::default(),
            rules: Vec::new(),
            positions: HashMap::new(),
            kinds_used: Vec::new(),
            emitted: BTreeSet::new(),
            reads_next_appointment: false,
            errors: Vec::new(),
        }
    }

    fn folder(mut self, dir: Option<&Path>) -> (RuleSet, Vec<RuleError>) {
        let files = dir.map(|dir| folder::files(dir, &self.limits, &mut self.errors)).unwrap_or_default();
        let mut hash = Sha256::new();
        let mut mix = |name: &str, source: &str| {
            for part in [name.as_bytes(), source.as_bytes()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        };
        let (templates, faults) = dir.map(|dir| Templates::load(dir, &mut mix)).unwrap_or_default();
        self.templates = templates;
        self.errors.extend(faults.into_iter().map(template_error));
        for (name, path) in files {
            match folder::read(&name, &path, &self.limits) {
                Ok(source) => {
                    mix(&name, &source);
                    self.file(&name, &source);
                }
                Err(error) => self.errors.push(error),
            }
        }
        self.unknown_kinds();
        self.engine.set_default_tag(Dynamic::UNIT);
        let mut index = Index::default();
        let mut with_handlers = HashMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            index.add(number, &indexed(rule));
            if !rule.handlers.is_empty() {
                with_handlers.insert(rule.info.name.clone(), number);
            }
        }
        let version = hash.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let set = RuleSet {
            engine: self.engine,
            limits: self.limits,
            has_limits: self.rules.iter().any(|rule| rule.limit.is_some()),
            rules: self.rules,
            index,
            with_handlers,
            templates: Arc::new(self.templates),
            links: Arc::default(),
            reads_next_appointment: self.reads_next_appointment,
            version,
            complete: !self.errors.iter().any(RuleError::is_error),
        };
        (set, self.errors)
    }

    /// Compiles, checks and runs one file. Statements run one by one, so that a bad one spares its neighbours.
    fn file(&mut self, name: &str, source: &str) {
        // A comment may contain the word, too. Then the appointment is looked up in vain, which is harmless.
        self.reads_next_appointment |= appointment::NEXT_APPOINTMENT.iter().any(|word| source.contains(word));
        let ast = match self.engine.compile(source) {
            Ok(ast) => ast,
            Err(error) => {
                let (message, hint) = parse_error(error.err_type());
                let hint = hint.or_else(|| left_out_with_file(source));
                let error = RuleError::new(name, error.position().into(), message);
                return self.errors.push(hint.into_iter().fold(error, RuleError::hint));
            }
        };
        let report = lint::check(&ast, &self.templates);
        self.emitted.extend(report.emitted.iter().cloned());
        let outcome = statements::run(&mut self.engine, &self.limits, &ast, &report);
        let findings = self.errors.len();
        self.report_findings(name, &report);
        self.report_failed(name, &report, findings, outcome.failed);
        let functions = Arc::new(ast.clone_functions_only());
        let first = self.rules.len();
        for draft in outcome.drafts {
            self.rule(name, draft, &functions, &report, findings);
        }
        let reads = source.contains(appointment::FREE_SLOTS);
        self.rules[first..].iter_mut().for_each(|rule| rule.reads_free_slots = reads);
    }

    fn report_findings(&mut self, name: &str, report: &Report) {
        for finding in &report.findings {
            let error = RuleError::new(name, finding.at, finding.message.clone()).hint(finding.hint.clone());
            self.errors.push(if finding.warning { error.warning() } else { error });
        }
    }

    /// Reports the statements that failed, and each rule that is left out with them. The errors of the report's findings
    /// begin at `findings`.
    fn report_failed(&mut self, name: &str, report: &Report, findings: usize, failed: Vec<FailedStatement>) {
        for FailedStatement { number, at, message, rules } in failed {
            let told = match message {
                Some(message) => {
                    let error = RuleError::new(name, at, message);
                    let hint = rules.first().map(|(rule, _)| format!("the rule \"{rule}\" is left out"));
                    self.errors.push(hint.into_iter().fold(error, RuleError::hint));
                    self.errors.len() - 1
                }
                None => {
                    let of_statement = |finding: &Finding| finding.statement == Some(number) && !finding.warning;
                    let Some(first) = report.findings.iter().position(of_statement) else { continue };
                    findings + first
                }
            };
            for (rule, at) in rules {
                self.left_out(told, &rule, at);
            }
        }
    }

    /// Says that an error leaves out a rule: on the error itself if it names no rule yet, else by one of its own.
    fn left_out(&mut self, error: usize, rule: &str, at: SourcePosition) {
        let told = &mut self.errors[error];
        match &told.rule {
            None => told.rule = Some(rule.to_owned()),
            Some(known) if known == rule => {}
            Some(_) => {
                let message = format!("the rule \"{rule}\" is left out: line {} has an error", told.line);
                let error = RuleError::new(&told.file, at, message).of_rule(rule);
                self.errors.push(error);
            }
        }
    }

    /// Makes a rule of a draft, or reports why not. The errors of the report's findings begin at `findings`.
    fn rule(&mut self, file: &str, mut draft: Draft, functions: &Arc<AST>, report: &Report, findings: usize) {
        if draft.unfinished {
            return;
        }
        let faults_before = self.errors.len();
        let timing = timing::checked(&mut draft);
        let fault = |at: SourcePosition, message: String, hint: &str| {
            let error = RuleError::new(file, at, message).of_rule(&draft.name);
            if hint.is_empty() { error } else { error.hint(hint) }
        };
        for (at, message, hint) in &draft.faults {
            self.errors.push(fault(*at, message.clone(), hint));
        }
        let timing = timing.unwrap_or_else(|(at, message, hint)| {
            self.errors.push(fault(at, message, hint));
            None
        });
        let by_schedule = matches!(timing, Some(Timing { when: When::Cron(_), .. }));
        if draft.faults.is_empty() {
            // A rule that begins outbound calls may listen to nothing else.
            let begins = !draft.calls.is_empty();
            if draft.kinds.is_empty() && draft.implied.is_empty() && !by_schedule && !begins {
                self.errors.push(fault(draft.at, "the rule listens to nothing".into(), "add .on(\"inbound_sms\")"));
            }
            if draft.thens.is_empty() && !(begins && draft.kinds.is_empty()) {
                self.errors.push(fault(draft.at, "the rule does nothing".into(), "add .then(|e| reply(\"…\"))"));
            }
            if !draft.blueprint && !draft.params.is_empty() {
                let hint = "add .blueprint(), or write the value where it is used";
                self.errors.push(fault(draft.at, "only a blueprint has parameters".into(), hint));
            }
        }
        let mut reported = None;
        for (closure, parameters, path) in closures(&draft) {
            match closure_fault(closure, parameters, path, report) {
                ClosureFault::None => {}
                ClosureFault::Reported(finding) => reported = Some(findings + finding),
                ClosureFault::New(at, message, hint) => self.errors.push(fault(at, message, &hint)),
            }
        }
        for (at, message, hint) in question_faults(&draft, report).into_iter().chain(call_faults(&draft, report)) {
            self.errors.push(fault(at, message, &hint));
        }
        if let Some((other, at)) = self.positions.get(&draft.name) {
            let message = format!("there is a rule \"{}\" already, in {other}:{}", draft.name, at.line);
            self.errors.push(fault(draft.at, message, "give each rule a name of its own"));
        } else if self.rules.len() >= self.limits.rules {
            let message = format!("a folder may hold {} rules: this one was left out", self.limits.rules);
            self.errors.push(fault(draft.at, message, ""));
        }
        if let Some(error) = reported {
            return self.left_out(error, &draft.name, draft.at);
        }
        if self.errors.len() > faults_before {
            return;
        }
        self.positions.insert(draft.name.clone(), (file.to_owned(), draft.at));
        for (kind, at) in &draft.kinds {
            self.kinds_used.push((kind.clone(), draft.name.clone(), file.to_owned(), *at));
        }
        self.rules.push(finished(file, draft, timing, functions, report));
    }

    fn unknown_kinds(&mut self) {
        let built_in: BTreeSet<&str> = EVENT_KINDS.iter().map(|known| known.kind.as_str()).collect();
        for (kind, rule, file, at) in std::mem::take(&mut self.kinds_used) {
            if built_in.contains(kind.as_str()) || self.emitted.contains(kind.as_str()) {
                continue;
            }
            let known = built_in.iter().copied().chain(self.emitted.iter().map(String::as_str));
            // A program of the tenant's may post such events. Only a likely misspelling is reported.
            let Some(meant) = did_you_mean(kind.as_str(), known) else { continue };
            let error = RuleError::new(&file, at, format!("nothing here makes events of kind '{kind}'"));
            self.errors.push(error.hint(format!("did you mean '{meant}'?")).of_rule(&rule).warning());
        }
    }
}

fn template_error(fault: TemplateFault) -> RuleError {
    RuleError::new(&fault.file, SourcePosition { line: fault.line, column: 0 }, fault.message)
}

/// Words which rules are left out with a file that cannot be parsed, as far as its text shows their names.
fn left_out_with_file(source: &str) -> Option<String> {
    const NAMED_MAX: usize = 10;
    let names = source.split("rule(\"").skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name));
    let mut names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    if names.len() > NAMED_MAX {
        names.truncate(NAMED_MAX);
        names.push("…".to_owned());
    }
    (!names.is_empty()).then(|| format!("the rules of the file are left out: {}", names.join(", ")))
}

/// Words a parse error for a rule's author.
fn parse_error(error: &ParseErrorType) -> (String, Option<String>) {
    let instead: BTreeMap<&str, &str> = BTreeMap::from([
        ("eval", "write the code itself"),
        ("import", "each file stands alone: put shared functions into the file that uses them"),
        ("export", "each file stands alone"),
        ("this", "name the value: |item| item > 3"),
    ]);
    let text = error.to_string();
    for (word, instead) in instead {
        if text.contains(&format!("'{word}'")) {
            return (format!("{word} is not available in rules"), Some(instead.to_owned()));
        }
    }
    match error {
        ParseErrorType::ExprTooDeep => (
            "the expression is nested too deeply".into(),
            Some("give its parts names with let, or make functions".into()),
        ),
        _ => (text, None),
    }
}
