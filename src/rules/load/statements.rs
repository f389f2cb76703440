//! Runs the statements at the top of a file one by one, so that a bad one spares its neighbours.
//!
//! The parser turns a variable into its distance from the end of the scope. So the scope keeps the shape that the parser
//! expects whatever fails: a variable whose statement failed holds [`Broken`], and each use of it is an error that no `try`
//! catches ([`crate::rules::script::engine`] looks at every variable). A statement that fails breaks in turn what it would
//! have set or changed, and the rules that it holds in its hands are left out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rhai::{AST, ASTNode, Array, Dynamic, Engine, Expr, Map, Scope, Stmt};

use crate::rules::eval::cpu_budget;
use crate::rules::limits::Limits;
use crate::rules::load::builder::draft::{Draft, Drafts, RuleBuilder};
use crate::rules::load::error::SourcePosition;
use crate::rules::load::lint::report::Report;
use crate::rules::script::failure::{self, Broken, Failure};

/// Methods of the language that change the value before the dot.
const MUTATORS: &[&str] = &[
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "extract",
    "fill_with",
    "insert",
    "make_lower",
    "make_upper",
    "mixin",
    "order",
    "order_by",
    "order_desc",
    "pad",
    "pop",
    "push",
    "remove",
    "replace",
    "retain",
    "reverse",
    "set",
    "set_bit",
    "set_bits",
    "shift",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "split",
    "trim",
    "truncate",
];

/// What became of the statements of a file.
pub(super) struct Outcome {
    pub drafts: Vec<Draft>,
    pub failed: Vec<FailedStatement>,
}

/// A statement that failed, or was not run because the checks found an error in it.
pub(super) struct FailedStatement {
    /// Its place among the statements of the file.
    pub number: usize,
    pub at: SourcePosition,
    /// `None` if a finding of the checks tells it.
    pub message: Option<String>,
    /// The rules of the statement: those that it had begun, and those that it names literally.
    pub rules: Vec<(String, SourcePosition)>,
}

/// Runs the statements of a file in order.
pub(super) fn run(engine: &mut Engine, limits: &Limits, ast: &AST, report: &Report) -> Outcome {
    let drafts: Drafts = Arc::new(Mutex::new(Vec::new()));
    engine.set_default_tag(Dynamic::from(Arc::clone(&drafts)));
    let mut run = Run { engine, limits, ast, report, drafts: Arc::clone(&drafts), scope: Scope::new() };
    let failed = ast.statements().iter().enumerate().filter_map(|(number, statement)| run.one(number, statement));
    let failed = failed.collect();
    let drafts = std::mem::take(&mut *drafts.lock());
    Outcome { drafts, failed }
}

struct Run<'a> {
    engine: &'a Engine,
    limits: &'a Limits,
    ast: &'a AST,
    report: &'a Report,
    drafts: Drafts,
    scope: Scope<'static>,
}

impl Run<'_> {
    /// Runs one statement. Gives what failed.
    fn one(&mut self, number: usize, statement: &Stmt) -> Option<FailedStatement> {
        let (drafts, depth) = (self.drafts.lock().len(), self.scope.len());
        // A redeclared variable keeps its place.
        let declares = match statement {
            Stmt::Var(definition, ..) => Some((definition.0.name.to_string(), definition.2.is_none())),
            _ => None,
        };
        let depth_after = depth + usize::from(declares.as_ref().is_some_and(|(_, new)| *new));
        self.mend(statement);
        let outcome = self.outcome(number, statement, depth_after);
        let Err(failure) = outcome else {
            self.scope.rewind(depth_after);
            return None;
        };
        self.scope.rewind(depth);
        let anatomy = Anatomy::new(statement);
        let at = failure.as_ref().map(|failure| failure.at).filter(|at| at.line > 0);
        let at = at.unwrap_or_else(|| statement.position().into());
        let mut rules = self.abandon(drafts, &anatomy);
        let named = anatomy.rules.iter().filter(|(name, _)| !rules.iter().any(|(known, _)| known == name));
        let named: Vec<_> = named.cloned().collect();
        rules.extend(named);
        let mut broken = anatomy.changes;
        if let Some((name, new)) = declares {
            if new {
                self.scope.push(name.as_str(), ());
            }
            broken.insert(name);
        }
        self.break_variables(&broken, at.line);
        Some(FailedStatement { number, at, message: failure.map(|failure| failure.message), rules })
    }

    /// Runs the statement unless the checks found an error in it. The failure is `None` if they tell it.
    fn outcome(&mut self, number: usize, statement: &Stmt, depth_after: usize) -> Result<(), Option<Failure>> {
        if self.report.has_error_in_statement(number) {
            return Err(None);
        }
        if let Some((function, finding)) = self.report.faulty_function_of_statement(number) {
            let message = format!("it calls '{function}', which has an error in line {}", finding.at.line);
            return Err(Some(Failure { at: statement.position().into(), message, limit: false }));
        }
        cpu_budget::refill(self.limits, Duration::MAX);
        let one = AST::new([statement.clone()], self.ast.shared_lib().clone());
        failure::caught(|| self.engine.run_ast_with_scope(&mut self.scope, &one)).map_err(Some)?;
        if self.scope.len() < depth_after {
            // A `return` inside the expression.
            let message = "it ends before the variable has a value".to_owned();
            return Err(Some(Failure { at: statement.position().into(), message, limit: false }));
        }
        Ok(())
    }

    /// Lets a plain assignment give a broken variable a new value, if it does not read it.
    fn mend(&mut self, statement: &Stmt) {
        let Stmt::Assignment(assignment) = statement else { return };
        let (operation, sides) = &**assignment;
        let Expr::Variable(variable, ..) = &sides.lhs else { return };
        if operation.is_op_assignment() || Anatomy::of_expression(&sides.rhs).mentions.contains(variable.1.as_str()) {
            return;
        }
        if let Some(value) = self.scope.get_mut(variable.1.as_str())
            && value.is::<Broken>()
        {
            *value = Dynamic::UNIT;
        }
    }

    /// Marks the rules that a failed statement began or went on with as unfinished. Gives their names.
    fn abandon(&self, from: usize, anatomy: &Anatomy) -> Vec<(String, SourcePosition)> {
        for (name, _, value) in self.scope.iter_raw() {
            if anatomy.mentions.contains(name) {
                builders_in(value, &mut |builder| {
                    builder.edit(|draft| draft.unfinished = true);
                });
            }
        }
        let mut drafts = self.drafts.lock();
        drafts.iter_mut().skip(from).for_each(|draft| draft.unfinished = true);
        drafts.iter().skip(from).map(|draft| (draft.name.clone(), draft.at)).collect()
    }

    /// Gives these variables the value that nobody may use.
    fn break_variables(&mut self, names: &BTreeSet<String>, line: usize) {
        if names.is_empty() {
            return;
        }
        // The crate changes no constant in place, so the scope is built anew.
        let old = std::mem::take(&mut self.scope);
        // The crate lists variables from the last one on.
        let entries: Vec<_> = old.iter_raw().collect();
        for (name, constant, value) in entries.into_iter().rev() {
            let value = if names.contains(name) { Dynamic::from(Broken { line }) } else { value.clone() };
            if constant {
                self.scope.push_constant_dynamic(name, value);
            } else {
                self.scope.push_dynamic(name, value);
            }
        }
    }
}

/// Finds the rules in a value: a variable may hold one, or a list of them.
fn builders_in(value: &Dynamic, found: &mut impl FnMut(&RuleBuilder)) {
    if let Some(builder) = value.read_lock::<RuleBuilder>() {
        found(&builder);
    } else if let Some(list) = value.read_lock::<Array>() {
        list.iter().for_each(|value| builders_in(value, found));
    } else if let Some(map) = value.read_lock::<Map>() {
        map.values().for_each(|value| builders_in(value, found));
    }
}

/// What a statement names. Names of its own blocks are not told apart from those at the top: too much is reported rather than
/// too little.
#[derive(Default)]
struct Anatomy {
    mentions: BTreeSet<String>,
    /// Variables that it assigns, or whose values it may change.
    changes: BTreeSet<String>,
    /// The rules that it begins, by their literal names.
    rules: Vec<(String, SourcePosition)>,
}

impl Anatomy {
    fn new(statement: &Stmt) -> Self {
        let mut anatomy = Self::default();
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| anatomy.visit(path));
        anatomy
    }

    fn of_expression(expression: &Expr) -> Self {
        let mut anatomy = Self::default();
        expression.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| anatomy.visit(path));
        anatomy
    }

    fn visit(&mut self, path: &[ASTNode<'_>]) -> bool {
        match path.last() {
            Some(ASTNode::Expr(Expr::Variable(variable, ..))) => {
                self.mentions.insert(variable.1.to_string());
            }
            Some(ASTNode::Stmt(Stmt::Share(captured))) => {
                self.mentions.extend(captured.iter().map(|(variable, _)| variable.name.to_string()));
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => self.changes.extend(root(&assignment.1.lhs)),
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) if MUTATORS.contains(&call.name.as_str()) => {
                let chains = path.iter().filter_map(|node| match node {
                    ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))) => root(chain),
                    _ => None,
                });
                self.changes.extend(chains);
            }
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                match call.args.first() {
                    Some(Expr::StringConstant(name, _)) if call.name == "rule" && !name.is_empty() => {
                        self.rules.push((name.to_string(), (*at).into()));
                    }
                    Some(changed) if MUTATORS.contains(&call.name.as_str()) => self.changes.extend(root(changed)),
                    _ => {}
                }
            }
            _ => {}
        }
        true
    }
}

/// Returns the variable at the beginning of a chain such as `a.b[0]`.
fn root(mut chain: &Expr) -> Option<String> {
    loop {
        chain = match chain {
            Expr::Variable(variable, ..) => return Some(variable.1.to_string()),
            Expr::Dot(sides, ..) | Expr::Index(sides, ..) => &sides.lhs,
            _ => return None,
        };
    }
}
