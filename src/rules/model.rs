//! A parsed rule as data: what the loader makes of a file, and what the evaluation reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::AST;
use serde::Serialize;
use serde_json::Value;

use crate::domain::contact::TenantFacts;
use crate::domain::{EventKind, Facts};
use crate::time::{Cron, Span};

/// The part of a rule that is known without running it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleInfo {
    /// Unique in the folder. The name is part of the identity of the rule's actions, so a renamed rule is a new one.
    pub name: String,
    /// The path relative to the rules folder, with `/`.
    pub file: String,
    pub line: usize,
    pub kinds: Vec<EventKind>,
    pub keywords: Vec<String>,
    /// A blueprint runs only for the tenants that enable it.
    pub blueprint: bool,
    /// When the rule runs, if not at once, such as `after 2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<String>,
    /// A blueprint's parameters with their defaults.
    pub params: BTreeMap<String, Value>,
    /// The templates that the rule names literally. Computed names show only when the rule runs.
    pub templates: BTreeSet<String>,
}

/// A rule, ready to be evaluated. Closures are named by the functions that the parser made of them.
pub(in crate::rules) struct Rule {
    pub info: RuleInfo,
    /// Normalised as the index looks them up.
    pub keywords: Vec<String>,
    /// The functions and closures of the rule's file.
    pub functions: Arc<AST>,
    /// Each condition's text and its closure.
    pub whens: Vec<(String, String)>,
    pub thens: Vec<String>,
    pub limit: Option<Limit>,
    pub handlers: Arc<Handlers>,
    /// Words that texts in its code promise to answer.
    pub promises: BTreeSet<String>,
    /// Short texts in its code, folded: a rule without keywords may compare a message with them.
    pub words: BTreeSet<String>,
    /// The rule's file reads `e.free_slots`.
    pub reads_free_slots: bool,
    pub timing: Option<Timing>,
    /// `.for_each("contacts", …)`: the rule runs for each contact that passes the filter, if there is one.
    pub for_each: Option<Option<String>>,
}

impl Rule {
    /// Returns whether the rule runs for this tenant: it is live, or an enabled blueprint.
    pub fn is_enabled_for(&self, tenant: &TenantFacts) -> bool {
        !self.info.blueprint || tenant.blueprints.contains_key(&self.info.name)
    }

    /// Returns the parameters: the defaults, overridden by the tenant's values. Unknown names are ignored.
    pub fn params(&self, facts: &Facts) -> BTreeMap<String, Value> {
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

/// The closures that a rule has for answers and for the steps of a call, by the name of the question or step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::rules) struct Handlers {
    /// `.on_answer`
    pub answers: BTreeMap<String, String>,
    /// `.on_silence`
    pub silences: BTreeMap<String, String>,
    /// `.on_unsent`
    pub unsents: BTreeMap<String, String>,
    /// `.on_input`: a step of a call that takes keys or words.
    pub inputs: BTreeMap<String, String>,
    /// `.on_call`: a step at which an outbound call begins.
    pub calls: BTreeMap<String, String>,
}

impl Handlers {
    /// Returns whether the rule has no handler.
    pub fn is_empty(&self) -> bool {
        let of_questions = [&self.answers, &self.silences, &self.unsents];
        let of_calls = [&self.inputs, &self.calls];
        of_questions.into_iter().chain(of_calls).all(BTreeMap::is_empty)
    }
}

/// `.limit(times, span)`: how often a rule may run for one customer within a span.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Limit {
    pub times: u32,
    pub span: Span,
}

/// When a delayed or scheduled rule runs.
#[derive(Clone, Debug)]
pub struct Timing {
    pub when: When,
    pub missed: Missed,
}

/// The time of a delayed or scheduled rule.
#[derive(Clone, Debug)]
pub enum When {
    /// This span after the event.
    After(Span),
    /// This span before the moment at this path of the event's data.
    Before(Span, Vec<String>),
    /// By the tenant's wall clock.
    Cron(Box<Cron>),
}

/// The treatment of a firing that fell due while the server was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// A schedule runs once for all missed times. For rules that follow an event: as [`Missed::All`].
    RunOnce,
    /// Missed firings are skipped.
    Skip,
    /// Every missed firing runs.
    All,
}

impl Timing {
    /// Returns the part that decides when timers are due. Pending timers are planned again when this text changes.
    pub fn text(&self) -> String {
        match &self.when {
            When::After(span) => format!("after {span}"),
            When::Before(span, path) => format!("before {span} {}", path.join(".")),
            When::Cron(cron) => format!("cron {cron}"),
        }
    }
}

/// The keyword that matched an event's text, and the text after it.
#[derive(Clone, Default)]
pub(in crate::rules) struct Keyword {
    pub word: String,
    pub rest: String,
}
