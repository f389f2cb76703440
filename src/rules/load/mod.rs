//! From a folder of files to rules. A broken rule is left out and named; nothing that is broken stops anything else.

pub(in crate::rules) mod builder;
pub mod check;
pub(in crate::rules) mod error;
pub(in crate::rules) mod lint;
pub(in crate::rules) mod timing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rhai::{AST, Dynamic, Engine, ParseErrorType, Scope};
use sha2::{Digest, Sha256};

use super::limits::Limits;
use super::{Rule, RuleInfo, RuleSet};
use crate::domain::EventKind;
use crate::integrations::email::template::{TemplateFault, Templates};
use crate::rules::eval::index::{Index, normal};
use crate::rules::eval::stack;
use crate::rules::load::builder::{Closure, Draft, Drafts};
use crate::rules::load::error::{Place, RuleError, did_you_mean};
use crate::rules::load::lint::{Report, Vocabulary};
use crate::rules::load::timing::{Timing, When};
use crate::rules::script::functions::conversation::Talk;
use crate::rules::script::views::appointment;
use crate::rules::script::{engine, failure};

pub(super) fn load(dir: &Path, limits: Limits) -> (RuleSet, Vec<RuleError>) {
    stack::on_rules_stack(|| Loader::new(limits).folder(dir))
}

struct Loader {
    limits: Limits,
    engine: Engine,
    vocabulary: Vocabulary,
    templates: Templates,
    rules: Vec<Rule>,
    places: HashMap<String, (String, Place)>,
    kinds_used: Vec<(EventKind, String, String, Place)>,
    emitted: BTreeSet<String>,
    reads_next_appointment: bool,
    errors: Vec<RuleError>,
}

impl Loader {
    fn new(limits: Limits) -> Self {
        let engine = engine::build(&limits);
        let vocabulary = Vocabulary::of(&engine);
        Self {
            limits,
            engine,
            vocabulary,
            templates: Templates::default(),
            rules: Vec::new(),
            places: HashMap::new(),
            kinds_used: Vec::new(),
            emitted: BTreeSet::new(),
            reads_next_appointment: false,
            errors: Vec::new(),
        }
    }

    fn folder(mut self, dir: &Path) -> (RuleSet, Vec<RuleError>) {
        let mut files = Vec::new();
        self.list(dir, dir, self.limits.folder_depth, &mut files);
        files.sort();
        let mut hash = Sha256::new();
        let mut mix = |name: &str, source: &str| {
            for part in [name.as_bytes(), source.as_bytes()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        };
        let (templates, faults) = Templates::load(dir, &mut mix);
        self.templates = templates;
        self.errors.extend(faults.into_iter().map(of_template));
        for (name, path) in files {
            let Some(source) = self.read(&name, &path) else { continue };
            mix(&name, &source);
            self.file(&name, &source);
        }
        self.unknown_kinds();
        self.engine.set_default_tag(Dynamic::UNIT);
        let mut index = Index::default();
        let mut talkers = HashMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            index.add(number, &rule.entry());
            if !rule.talk.is_empty() {
                talkers.insert(rule.info.name.clone(), number);
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
            talkers,
            templates: Arc::new(self.templates),
            links: Arc::default(),
            reads_next_appointment: self.reads_next_appointment,
            version,
            whole: !self.errors.iter().any(RuleError::is_error),
        };
        (set, self.errors)
    }

    fn list(&mut self, root: &Path, dir: &Path, depth: usize, files: &mut Vec<(String, PathBuf)>) {
        let name = relative(root, dir);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                let name = if name.is_empty() { dir.display().to_string() } else { name };
                let error = RuleError::new(&name, Place::default(), format!("the folder cannot be read: {error}"));
                return self.errors.push(error.hint("make it readable, or point RULES_DIR elsewhere"));
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                match depth.checked_sub(1) {
                    Some(depth) => self.list(root, &path, depth, files),
                    None => self.errors.push(RuleError::new(
                        &relative(root, &path),
                        Place::default(),
                        format!("folders may be {} deep", self.limits.folder_depth),
                    )),
                }
            } else if path.extension().is_some_and(|extension| extension == "rhai") {
                if files.len() >= self.limits.files {
                    let message = format!("a folder may hold {} files: this one was not read", self.limits.files);
                    return self.errors.push(RuleError::new(&relative(root, &path), Place::default(), message));
                }
                files.push((relative(root, &path), path));
            }
        }
    }

    fn read(&mut self, name: &str, path: &Path) -> Option<String> {
        let most = self.limits.file_bytes;
        let problem = match fs::metadata(path) {
            Err(error) => format!("the file cannot be read: {error}"),
            Ok(about) if about.len() > most => format!("the file has {} bytes, and {most} is the most", about.len()),
            Ok(_) => match fs::read_to_string(path) {
                Ok(source) => return Some(source),
                Err(error) => format!("the file cannot be read: {error}"),
            },
        };
        self.errors.push(RuleError::new(name, Place::default(), problem));
        None
    }

    /// Compiles, checks and runs one file. Statements run one by one, so that a bad one spares its neighbours.
    fn file(&mut self, name: &str, source: &str) {
        // A comment may say so, too: then it is read for nothing.
        self.reads_next_appointment |= appointment::NEXT_APPOINTMENT.iter().any(|word| source.contains(word));
        let ast = match self.engine.compile(source) {
            Ok(ast) => ast,
            Err(error) => {
                let (message, hint) = in_words(error.err_type());
                let error = RuleError::new(name, error.position().into(), message);
                return self.errors.push(hint.into_iter().fold(error, RuleError::hint));
            }
        };
        let report = lint::check(&ast, &self.vocabulary, &self.templates);
        self.emitted.extend(report.emitted.iter().cloned());
        let drafts = self.run(name, &ast, &report);
        self.say_findings(name, &report);
        let functions = Arc::new(ast.clone_functions_only());
        let first = self.rules.len();
        for draft in drafts {
            self.rule(name, draft, &functions, &report);
        }
        let reads = source.contains(appointment::FREE_SLOTS);
        self.rules[first..].iter_mut().for_each(|rule| rule.reads_free_slots = reads);
    }

    fn run(&mut self, name: &str, ast: &AST, report: &Report) -> Vec<Draft> {
        let drafts: Drafts = Arc::new(Mutex::new(Vec::new()));
        self.engine.set_default_tag(Dynamic::from(Arc::clone(&drafts)));
        let mut scope = Scope::new();
        for statement in ast.statements() {
            engine::refill(&self.limits, Duration::MAX);
            let before = locked(&drafts).len();
            let one = AST::new([statement.clone()], ast.shared_lib().clone());
            let outcome = failure::caught(|| self.engine.run_ast_with_scope(&mut scope, &one));
            if let Err(failure) = outcome {
                locked(&drafts).iter_mut().skip(before).for_each(|draft| draft.unfinished = true);
                // What the checks have said of this line already is not said twice.
                if !report.findings.iter().any(|finding| !finding.warning && finding.place.line == failure.place.line) {
                    let place = if failure.place.line > 0 { failure.place } else { statement.position().into() };
                    self.errors.push(RuleError::new(name, place, failure.message));
                }
            }
        }
        std::mem::take(&mut *locked(&drafts))
    }

    fn say_findings(&mut self, name: &str, report: &Report) {
        for finding in &report.findings {
            let error = RuleError::new(name, finding.place, finding.message.clone()).hint(finding.hint.clone());
            self.errors.push(if finding.warning { error.warning() } else { error });
        }
    }

    fn rule(&mut self, file: &str, mut draft: Draft, functions: &Arc<AST>, report: &Report) {
        if draft.unfinished {
            return;
        }
        let faults_before = self.errors.len();
        let timing = timing::settled(&mut draft);
        let fault = |place: Place, message: String, hint: &str| {
            let error = RuleError::new(file, place, message).of_rule(&draft.name);
            if hint.is_empty() { error } else { error.hint(hint) }
        };
        for (place, message, hint) in &draft.faults {
            self.errors.push(fault(*place, message.clone(), hint));
        }
        let timing = timing.unwrap_or_else(|(place, message, hint)| {
            self.errors.push(fault(place, message, hint));
            None
        });
        let by_schedule = matches!(timing, Some(Timing { when: When::Cron(_), .. }));
        if draft.faults.is_empty() {
            // What begins a call of ours listens to that call alone.
            let begins = !draft.calls.is_empty();
            if draft.kinds.is_empty() && draft.implied.is_empty() && !by_schedule && !begins {
                self.errors.push(fault(draft.place, "the rule listens to nothing".into(), "add .on(\"inbound_sms\")"));
            }
            if draft.thens.is_empty() && !(begins && draft.kinds.is_empty()) {
                self.errors.push(fault(draft.place, "the rule does nothing".into(), "add .then(|e| reply(\"…\"))"));
            }
            if !draft.blueprint && !draft.params.is_empty() {
                let hint = "add .blueprint(), or write the value where it is used";
                self.errors.push(fault(draft.place, "only a blueprint has parameters".into(), hint));
            }
        }
        let mut broken = false;
        for (closure, parameters, of) in closures(&draft) {
            match closure_fault(closure, parameters, of, report) {
                ClosureFault::None => {}
                ClosureFault::SaidAlready => broken = true,
                ClosureFault::New(place, message, hint) => self.errors.push(fault(place, message, &hint)),
            }
        }
        for (place, message, hint) in question_faults(&draft, report) {
            self.errors.push(fault(place, message, &hint));
        }
        if let Some((other, place)) = self.places.get(&draft.name) {
            let message = format!("there is a rule \"{}\" already, in {other}:{}", draft.name, place.line);
            self.errors.push(fault(draft.place, message, "give each rule a name of its own"));
        } else if self.rules.len() >= self.limits.rules {
            let message = format!("a folder may hold {} rules: this one was left out", self.limits.rules);
            self.errors.push(fault(draft.place, message, ""));
        }
        if broken || self.errors.len() > faults_before {
            return;
        }
        self.places.insert(draft.name.clone(), (file.to_owned(), draft.place));
        for (kind, place) in &draft.kinds {
            self.kinds_used.push((kind.clone(), draft.name.clone(), file.to_owned(), *place));
        }
        self.rules.push(finished(file, draft, timing, functions, report));
    }

    fn unknown_kinds(&mut self) {
        let built_in: BTreeSet<&str> = EventKind::BUILT_IN.iter().map(EventKind::as_str).collect();
        for (kind, rule, file, place) in std::mem::take(&mut self.kinds_used) {
            if built_in.contains(kind.as_str()) || self.emitted.contains(kind.as_str()) {
                continue;
            }
            let known = built_in.iter().copied().chain(self.emitted.iter().map(String::as_str));
            // A program of the tenant's own may tell of it, unless it is only misspelt.
            let Some(meant) = did_you_mean(kind.as_str(), known) else { continue };
            let error = RuleError::new(&file, place, format!("nothing here makes events of kind '{kind}'"));
            self.errors.push(error.hint(format!("did you mean '{meant}'?")).of_rule(&rule).warning());
        }
    }
}

fn of_template(fault: TemplateFault) -> RuleError {
    RuleError::new(&fault.file, Place { line: fault.line, column: 0 }, fault.message)
}

fn locked(drafts: &Drafts) -> MutexGuard<'_, Vec<Draft>> {
    // A poisoned lock holds drafts that are complete but for the one being written, which its statement's failure marks.
    drafts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

enum ClosureFault {
    None,
    SaidAlready,
    New(Place, String, String),
}

/// A draft's closures, each with the number of parameters it takes, and what the first one is, as a path from the event.
fn closures(draft: &Draft) -> impl Iterator<Item = (&Closure, usize, &'static [&'static str])> {
    let of_event =
        draft.whens.iter().chain(&draft.silences).chain(&draft.calls).map(|(_, closure)| closure).chain(&draft.thens);
    let of_answer = draft.answers.iter().chain(&draft.inputs).map(|(_, closure)| (closure, 2, &[][..]));
    let of_contacts = draft.timing.each.iter().filter_map(|each| each.filter.as_ref());
    let of_contacts = of_contacts.map(|closure| (closure, 1, &["contact"][..]));
    of_event.map(|closure| (closure, 1, &[][..])).chain(of_answer).chain(of_contacts)
}

/// Questions that are asked, as far as their names are written out, or end in silence, and that nobody hears the answer to.
fn question_faults(draft: &Draft, report: &Report) -> Vec<(Place, String, String)> {
    let heard = |name: &str| draft.answers.iter().any(|(known, _)| known == name);
    let asked = closures(draft).flat_map(|(closure, ..)| report.asked_in(&closure.function));
    let asked = asked.map(|(name, place)| (name, *place));
    let silent = draft.silences.iter().map(|(name, closure)| (name.as_str(), closure.place));
    let unheard: BTreeMap<&str, Place> = asked.chain(silent).filter(|(name, _)| !heard(name)).collect();
    let fault = |(name, place): (&str, Place)| {
        let message = format!("nobody hears the answer to the question \"{name}\"");
        (place, message, format!("add .on_answer(\"{name}\", |e, answer| …) to the rule"))
    };
    unheard.into_iter().map(fault).collect()
}

fn closure_fault(closure: &Closure, parameters: usize, of: &[&str], report: &Report) -> ClosureFault {
    if report.fault_in(&closure.function).is_some() {
        return ClosureFault::SaidAlready;
    }
    if closure.curried {
        let said = report.findings.iter().any(|finding| finding.function.is_none() && !finding.warning);
        let hint = "a closure sees its parameter, its own variables and functions";
        return if said {
            ClosureFault::SaidAlready
        } else {
            ClosureFault::New(closure.place, "the closure carries values from outside".into(), hint.into())
        };
    }
    match report.parameters.get(&closure.function) {
        Some(count) if *count == parameters => {}
        Some(_) => {
            let (number, hint) =
                if parameters == 1 { ("one parameter", "|e|") } else { ("two parameters", "|e, answer|") };
            let message = format!("the closure must have {number}");
            return ClosureFault::New(closure.place, message, format!("write {hint} …"));
        }
        None => {
            let message = format!("'{}' is no function of this file", closure.function);
            return ClosureFault::New(closure.place, message, "write a closure: |e| …".into());
        }
    }
    report
        .bad_path_in(&closure.function, of)
        .map_or(ClosureFault::None, |(place, message, hint)| ClosureFault::New(place, message, hint))
}

fn finished(file: &str, draft: Draft, timing: Option<Timing>, functions: &Arc<AST>, report: &Report) -> Rule {
    let mut folded: Vec<String> = Vec::new();
    for keyword in &draft.keywords {
        let keyword = normal(keyword);
        if !folded.contains(&keyword) {
            folded.push(keyword);
        }
    }
    let templates =
        closures(&draft).flat_map(|(closure, ..)| report.templates_in(&closure.function)).map(str::to_owned).collect();
    let by_name = |list: Vec<(String, Closure)>| -> BTreeMap<String, String> {
        list.into_iter().map(|(name, closure)| (name, closure.function)).collect()
    };
    Rule {
        limit: draft.limit,
        reads_free_slots: false,
        talk: Arc::new(Talk {
            answers: by_name(draft.answers),
            silences: by_name(draft.silences),
            inputs: by_name(draft.inputs),
            calls: by_name(draft.calls),
        }),
        info: RuleInfo {
            name: draft.name,
            file: file.to_owned(),
            line: draft.place.line,
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
        each: draft.timing.each.map(|each| each.filter.map(|filter| filter.function)),
    }
}

pub(super) fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}

/// The parser's complaint in words for a rule's author.
fn in_words(error: &ParseErrorType) -> (String, Option<String>) {
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
