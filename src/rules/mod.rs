//! Rules: Rhai files in a folder, which decide what an event leads to.
//!
//! A file is data when it is loaded, and code only inside its closures:
//! ```rhai
//! rule("hours")                                          // unique in the folder; part of its actions' identity
//!     .on("inbound_sms", "inbound_whatsapp")             // kinds of events, one or more
//!     .keyword("HOURS", "HORARIO")                       // optional: the text, if there is one, is one of these, or begins with it
//!     .blueprint().param("text", "Open from 9 to 18 h.") // optional: asleep until a tenant enables it
//!     .when("is not late", |e| !e.late)                  // any number; the text is what the trace says if not
//!     .then(|e| reply(e.params.text));                   // one or more
//! ```
//! Instead of at once it may run later: `.after("2h")`, `.before("24h", "appointment.starts_at")`, or, without `.on`,
//! `.cron("0 9 * * MON")` with or without `.for_each("contacts", |c| …)`, and `.missed("skip")`: see `timing`.
//!
//! What `e` has stands in `view` (when the business is open: `e.business.open_now`, `.next_open`, `.hours_today`), what
//! a `then` can ask for in `actions`, what can be called anywhere in `helpers`; what a customer's words mean of times that were
//! offered, in `named_time`.
//! A closure sees its parameter, its own variables and the file's functions, and nothing else: no state is left behind
//! from one event to the next.
//!
//! **Architecture invariants.** Deciding does no I/O and knows no clock but `Facts::as_of`; time is measured only to stop
//! what takes too long, and then [`Decision::overran`] says so. A rule's actions count only if all of the rule went well.
//! One broken rule or file never stops another. Scripts run only on stacks of [`limits::STACK_BYTES`], because a real
//! stack overflow would end the process: [`RuleSet::decide`] sees to it wherever it is called, [`Evaluator`] does so cheaply.
//! Templates of e-mails are loaded with the rules and rendered while deciding: the action holds what is sent, and the
//! version of the rules stands for their templates too.
//! What an event costs depends on the rules that concern it, not on how many there are.
//!
//! What an action can be told afterwards stands in `later`, how often a rule may run in `limit`, how it asks back in `talk`,
//! how a customer is reached the way they prefer in `notify`.
//!
//! To add an action: its function in `actions`, its variant in [`crate::domain::Action`], a line in `tests::scripts`. To add
//! something to read: a line in a table of `view`. To forbid something of the language: a line in `helpers::FORBIDDEN`.

pub mod cases;
use crate::rules::eval::index;
pub mod limits;
use crate::rules::eval::limit;
pub mod load;
use crate::rules::script::functions::conversation;
#[cfg(test)]
mod tests;
pub mod script;
pub mod eval;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use rhai::{AST, Engine};
use serde::Serialize;
use serde_json::Value;

pub use crate::rules::eval::evaluator::{BATCH_MAX, Evaluator, EvaluatorError, PendingEffects};
pub use crate::rules::eval::fan_out::{FanOutPage, PAGE_CONTACTS};
pub use crate::rules::eval::stack::on_rules_stack;
pub use crate::rules::eval::trace::{Decision, Planned, RuleExplanation, RuleResult, RuleTrace, Trace};
pub use crate::rules::load::error::{RuleError, Severity};
pub use crate::rules::load::timing::{BEFORE_LATE_PART, MISSED_AFTER, Missed, StoredTimer, Timing, When};
pub use crate::rules::script::functions::actions::ACTIONS;
pub use crate::rules::script::functions::place_call::CannotStartCall;
pub use crate::rules::script::functions::voice::repeat_prompt;
pub use limits::Limits;

use crate::config::review_links::Links;
use crate::domain::contact::TenantFacts;
use crate::domain::{Event, EventKind, Facts};
use crate::integrations::email::template::Templates;

/// All rules of a folder, ready to decide. Share it in an `Arc`.
pub struct RuleSet {
    engine: Engine,
    limits: Limits,
    rules: Vec<Rule>,
    index: index::Index,
    /// Rules that ask customers something, by name.
    talkers: HashMap<String, usize>,
    has_limits: bool,
    templates: Arc<Templates>,
    links: Arc<Links>,
    reads_next_appointment: bool,
    version: String,
    /// Every rule of the folder could be loaded.
    whole: bool,
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
    /// When it runs, where not at once, such as `after 2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<String>,
    /// A blueprint's parameters with their defaults.
    pub params: BTreeMap<String, Value>,
    /// Templates that it names in so many words; which others it sends shows only when it runs.
    pub templates: BTreeSet<String>,
}

struct Rule {
    info: RuleInfo,
    /// Folded, as the index looks for them.
    keywords: Vec<String>,
    /// The functions and closures of its file.
    functions: Arc<AST>,
    whens: Vec<(String, String)>,
    thens: Vec<String>,
    limit: Option<limit::Limit>,
    talk: Arc<conversation::Talk>,
    /// Its file does.
    reads_free_slots: bool,
    timing: Option<Timing>,
    /// It runs for each contact that passes the filter: its function, where there is one.
    each: Option<Option<String>>,
}

impl RuleSet {
    /// Reads the templates of e-mails and every `*.rhai` file below `dir`, in the order of their names. What is broken is left out and said so.
    pub fn load(dir: &Path, limits: Limits) -> (Self, Vec<RuleError>) {
        load::load(dir, limits)
    }

    /// With links that lead somewhere.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links: Arc::new(links), ..self }
    }

    /// The links that `review_link()` gives.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// A parameter of a blueprint as this tenant has set it, else its default.
    pub fn param(&self, rule: &str, name: &str, tenant: &TenantFacts) -> Option<Value> {
        let default = self.rule(rule)?.info.params.get(name)?;
        let set = tenant.blueprints.get(rule).and_then(|set| set.get(name));
        Some(set.unwrap_or(default).clone())
    }

    /// Whether any rule may be evaluated for such an event of this tenant: the index alone, no script. A message may answer
    /// a question, whatever it says.
    pub fn concerns(&self, kind: &EventKind, data: &Value, tenant: &TenantFacts) -> bool {
        let may_answer = || kind.inbound_channel().is_some() && self.asks(tenant);
        !self.index.candidates(kind, data, tenant, |number| self.rules[number].entry()).is_empty() || may_answer()
    }

    /// Whether some rule may read the customer's next appointment: if none does, it need not be looked for.
    pub const fn reads_next_appointment(&self) -> bool {
        self.reads_next_appointment
    }

    /// Whether a rule that is asked about this event may read where the customer's next appointment could be moved to: if
    /// none does, that need not be found out. What the customer was asked must be among the facts already.
    pub fn reads_free_slots(&self, event: &Event, facts: &Facts) -> bool {
        if facts.next_appointment.is_none() || !self.rules.iter().any(|rule| rule.reads_free_slots) {
            return false;
        }
        self.asked_about(event, facts).any(|rule| rule.reads_free_slots)
    }

    /// A hash of the files' names and texts: the same rules have the same version everywhere.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules in the order in which they are evaluated.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.info)
    }

    /// The blueprints by name, with their parameters and defaults.
    pub fn blueprints(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let blueprints = self.rules().filter(|info| info.blueprint);
        blueprints.map(|info| (info.name.clone(), info.params.clone())).collect()
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
