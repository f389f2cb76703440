//! Starting an outbound call at a step of a rule: whether that is possible.

use crate::domain::contact::TenantFacts;
use crate::rules::model::Rule;
use crate::rules::ruleset::RuleSet;
use crate::rules::suggest::did_you_mean;

/// The most names that an error lists.
const NAMED_MAX: usize = 10;

/// Why no call can start at a step of a rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotStartCall {
    #[error("there is no rule '{rule}': {instead}")]
    Rule { rule: String, instead: String },
    #[error(
        "the rule '{rule}' begins no calls: add .on_call(\"{step}\", |e| say(\"…\")) to it, or use another: {instead}"
    )]
    Silent { rule: String, step: String, instead: String },
    #[error("the rule '{rule}' begins no call at '{step}': {instead}")]
    Step { rule: String, step: String, instead: String },
    #[error("the rule '{rule}' sleeps: enable it with 'recado tenant set {slug} --enable {rule}'")]
    Asleep { rule: String, slug: String },
}

impl RuleSet {
    /// Checks that a tenant's call can start at a step of a rule, as `.on_call("step", …)` declares it.
    pub fn check_call_start(&self, rule: &str, step: &str, tenant: &TenantFacts) -> Result<(), CannotStartCall> {
        let known = self.rules.iter().find(|known| known.info.name == rule);
        let named = || rule.to_owned();
        let Some(found) = known else {
            return Err(CannotStartCall::Rule { rule: named(), instead: self.suggest_rules(rule) });
        };
        let steps = &found.handlers.calls;
        if steps.is_empty() {
            return Err(CannotStartCall::Silent {
                rule: named(),
                step: step.to_owned(),
                instead: self.suggest_rules(rule),
            });
        }
        if !steps.contains_key(step) {
            let instead = suggest_names("its steps", step, steps.keys().map(String::as_str));
            return Err(CannotStartCall::Step { rule: named(), step: step.to_owned(), instead });
        }
        if !found.is_enabled_for(tenant) {
            return Err(CannotStartCall::Asleep { rule: named(), slug: tenant.slug.clone() });
        }
        Ok(())
    }

    /// Words the rules that begin calls, the nearest to a name first, and a hint if some rules could not be loaded.
    fn suggest_rules(&self, rule: &str) -> String {
        let begins = |rule: &&Rule| !rule.handlers.calls.is_empty();
        let names = self.rules.iter().filter(begins).map(|rule| rule.info.name.as_str());
        let instead = suggest_names("those that begin calls", rule, names);
        if self.complete { instead } else { format!("{instead}; some rules are broken: 'recado check' says which") }
    }
}

/// Words the known names: the one that was probably meant, and a few others.
fn suggest_names<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let meant = did_you_mean(name, known.clone()).map(|near| format!("did you mean '{near}'? "));
    let names: Vec<&str> = known.clone().take(NAMED_MAX).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let more = if known.count() > NAMED_MAX { ", …" } else { "" };
    format!("{}{what}: {names}{more}", meant.unwrap_or_default())
}
