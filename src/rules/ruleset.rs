//! The rules of a folder, ready to decide.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rhai::Engine;
use serde_json::Value;

use crate::config::review_links::Links;
use crate::domain::contact::TenantFacts;
use crate::domain::{Event, EventKind, Facts};
use crate::integrations::email::template::Templates;
use crate::rules::eval::index::{Index, IndexedRule};
use crate::rules::limits::Limits;
use crate::rules::model::{Rule, RuleInfo};

/// All rules of a folder, ready to decide. Share it in an `Arc`.
pub struct RuleSet {
    pub(in crate::rules) engine: Engine,
    pub(in crate::rules) limits: Limits,
    pub(in crate::rules) rules: Vec<Rule>,
    pub(in crate::rules) index: Index,
    /// Rules with handlers for answers or call steps, by name.
    pub(in crate::rules) with_handlers: HashMap<String, usize>,
    pub(in crate::rules) has_limits: bool,
    pub(in crate::rules) templates: Arc<Templates>,
    pub(in crate::rules) links: Arc<Links>,
    pub(in crate::rules) reads_next_appointment: bool,
    pub(in crate::rules) version: String,
    /// Every rule of the folder could be loaded.
    pub(in crate::rules) complete: bool,
}

impl RuleSet {
    /// Sets the links that `review_link()` gives.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links: Arc::new(links), ..self }
    }

    /// The links that `review_link()` gives.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Returns a blueprint's parameter: the tenant's value, or the default.
    pub fn param(&self, rule: &str, name: &str, tenant: &TenantFacts) -> Option<Value> {
        let default = self.rule(rule)?.info.params.get(name)?;
        let set = tenant.blueprints.get(rule).and_then(|set| set.get(name));
        Some(set.unwrap_or(default).clone())
    }

    /// Returns whether any rule may be evaluated for such an event of this tenant. Only the index is asked, no script
    /// runs. Any message may answer an open question.
    pub fn has_rule_for(&self, kind: &EventKind, data: &Value, tenant: &TenantFacts) -> bool {
        let may_answer = || kind.inbound_channel().is_some() && self.has_questions(tenant);
        !self.index.candidates(kind, data, tenant, |number| self.indexed(number)).is_empty() || may_answer()
    }

    /// Returns whether some rule may read the customer's next appointment. Otherwise it need not be looked up.
    pub const fn reads_next_appointment(&self) -> bool {
        self.reads_next_appointment
    }

    /// Returns whether a rule that is evaluated for this event may read the free slots for the customer's next
    /// appointment. Otherwise they need not be computed. The facts must hold the customer's open questions already.
    pub fn reads_free_slots(&self, event: &Event, facts: &Facts) -> bool {
        if facts.next_appointment.is_none() || !self.rules.iter().any(|rule| rule.reads_free_slots) {
            return false;
        }
        self.concerned_rules(event, facts).any(|rule| rule.reads_free_slots)
    }

    /// A hash of the files' names and texts: the same rules have the same version everywhere.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules in the order in which they are evaluated.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.info)
    }

    /// Returns the blueprints by name, with their parameters and defaults.
    pub fn blueprints(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let blueprints = self.rules().filter(|info| info.blueprint);
        blueprints.map(|info| (info.name.clone(), info.params.clone())).collect()
    }

    /// Returns whether a rule of this name exists or may exist: in a folder with errors it may be back tomorrow.
    pub fn knows_of(&self, rule: &str) -> bool {
        self.complete || self.rule(rule).is_some()
    }

    /// Finds a rule by its name.
    pub(in crate::rules) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.info.name == name)
    }

    /// The rule of this number as the index sees it.
    pub(in crate::rules) fn indexed(&self, number: usize) -> IndexedRule<'_> {
        indexed(&self.rules[number])
    }
}

/// A rule as the index sees it.
pub(in crate::rules) fn indexed(rule: &Rule) -> IndexedRule<'_> {
    IndexedRule {
        name: &rule.info.name,
        kinds: &rule.info.kinds,
        keywords: &rule.keywords,
        blueprint: rule.info.blueprint,
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet").field("version", &self.version).field("rules", &self.rules.len()).finish()
    }
}
