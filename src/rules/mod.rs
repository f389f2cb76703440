//! Rules: Rhai files in a folder, which decide what an event leads to.

mod actions;
mod builder;
mod call;
pub mod cases;
pub mod check;
mod decide;
mod engine;
mod error;
mod evaluator;
mod failure;
mod helpers;
mod index;
pub mod limits;
mod lint;
mod load;
mod stack;
#[cfg(test)]
mod tests;
mod trace;
mod values;
mod view;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rhai::{AST, Engine};
use serde::Serialize;
use serde_json::Value;

pub use actions::ACTIONS;
pub use error::{RuleError, Severity};
pub use evaluator::{BATCH_MAX, Evaluator, EvaluatorError};
pub use limits::Limits;
pub use stack::on_rules_stack;
pub use trace::{Decision, Planned, RuleTrace, RuleVerdict, Trace, Verdict};

use crate::domain::{EventKind, Facts};

/// All rules of a folder, ready to decide. Share it in an `Arc`.
pub struct RuleSet {
    engine: Engine,
    limits: Limits,
    rules: Vec<Rule>,
    index: index::Index,
    version: String,
}

/// What is known of a rule without running it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleInfo {
    /// Unique in the folder; part of the identity of its actions, so renaming a rule makes it a new one.
    pub name: String,
    /// Relative to the rules folder, with `/`.
    pub file: String,
    pub line: usize,
    pub kinds: Vec<EventKind>,
    pub keywords: Vec<String>,
    /// Asleep until a tenant enables it.
    pub blueprint: bool,
    /// A blueprint's parameters with their defaults.
    pub params: BTreeMap<String, Value>,
}

struct Rule {
    info: RuleInfo,
    /// Folded, as the index looks for them.
    keywords: Vec<String>,
    /// The functions and closures of its file.
    functions: Arc<AST>,
    whens: Vec<(String, String)>,
    thens: Vec<String>,
}

impl RuleSet {
    /// Reads every `*.rhai` file below `dir`, in the order of their names. What is broken is left out and said so.
    pub fn load(dir: &Path, limits: Limits) -> (Self, Vec<RuleError>) {
        load::load(dir, limits)
    }

    /// A hash of the files' names and texts: the same rules have the same version everywhere.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules in the order in which they are evaluated.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.info)
    }
}

impl Rule {
    fn entry(&self) -> index::Entry<'_> {
        index::Entry {
            name: &self.info.name,
            kinds: &self.info.kinds,
            keywords: &self.keywords,
            blueprint: self.info.blueprint,
        }
    }

    /// The defaults, overlaid by what this tenant has set. A name that the rule does not have is of no effect.
    fn params(&self, facts: &Facts) -> BTreeMap<String, Value> {
        let mut params = self.info.params.clone();
        if let Some(set) = facts.tenant.blueprints.get(&self.info.name) {
            for (name, value) in &mut params {
                if let Some(chosen) = set.get(name) {
                    value.clone_from(chosen);
                }
            }
        }
        params
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet").field("version", &self.version).field("rules", &self.rules.len()).finish()
    }
}
