//! An explained event: what each rule said, and what became of each action.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::action::{ActionDetailsView, ErrorView};
use super::customer::CustomerView;
use super::event::EventView;
use crate::domain::contact::ContactFacts;
use crate::domain::{Facts, Phone, Timestamp};
use crate::integrations::twilio::codes::BAD_CREDENTIALS;
use crate::ops::explain::{ExplainedRule, Explanation, RuleVersions};
use crate::rules::RuleResult;
use crate::store::StoreError;
use crate::store::rows::action;

/// All that is known of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationView {
    pub event: EventView,
    /// The effect of a STOP, a START or a call for help, and the side that answers it
    pub opt_out: Option<String>,
    /// The newest of the account's sends that wait because the provider refused its credentials
    pub refused: Option<RefusedSendView>,
    pub customer: Option<ExplainedCustomerView>,
    pub ruleset: RuleVersionsView,
    /// The facts of the decision; those of now while the event waits
    #[schema(value_type = Object)]
    pub facts: Facts,
    /// Empty for a send by hand: no rule is asked about it
    pub rules: Vec<ExplainedRuleView>,
    pub actions: Vec<ActionDetailsView>,
}

impl ExplanationView {
    pub fn new(slug: &str, explanation: Explanation) -> Result<Self, StoreError> {
        let Explanation { event, decided_at, opt_out, refused, ruleset, facts, rules, actions } = explanation;
        let actions = actions.into_iter().map(|action| ActionDetailsView::new(slug, action));
        Ok(Self {
            event: EventView::new(slug, event, decided_at),
            opt_out,
            refused: refused.map(RefusedSendView::from),
            customer: facts.contact.clone().map(ExplainedCustomerView::from),
            ruleset: ruleset.into(),
            facts,
            rules: rules.into_iter().map(ExplainedRuleView::from).collect(),
            actions: actions.collect::<Result<_, _>>()?,
        })
    }
}

/// The customer of the event, as they were when it was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedCustomer)]
pub struct ExplainedCustomerView {
    #[serde(flatten)]
    pub customer: CustomerView,
    /// The objection of national numbering plans against the number
    pub numbering_warning: Option<String>,
}

impl From<ContactFacts> for ExplainedCustomerView {
    fn from(facts: ContactFacts) -> Self {
        let numbering_warning = facts.phone.as_ref().and_then(Phone::numbering_warning).map(str::to_owned);
        Self { numbering_warning, customer: facts.into() }
    }
}

/// A send that waits until the account's credentials are put right, as all others of that account do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedSend)]
pub struct RefusedSendView {
    pub action: Uuid,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub tried_at: Option<Timestamp>,
    pub error: ErrorView,
}

impl From<action::Model> for RefusedSendView {
    fn from(row: action::Model) -> Self {
        Self {
            action: row.id,
            tried_at: row.tried_us.map(Timestamp::from_unix_us),
            error: ErrorView::new(BAD_CREDENTIALS.into()),
        }
    }
}

/// The versions of the rules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleVersions)]
pub struct RuleVersionsView {
    /// The version that decided; `null` where no rule was evaluated, or nothing is decided yet
    pub decided: Option<String>,
    pub today: String,
}

impl From<RuleVersions> for RuleVersionsView {
    fn from(RuleVersions { decided, today }: RuleVersions) -> Self {
        Self { decided, today }
    }
}

/// A rule, and what it made of the event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedRule)]
pub struct ExplainedRuleView {
    pub rule: String,
    /// The file that holds it today; `null` for a rule that is no longer there
    pub file: Option<String>,
    pub line: Option<usize>,
    /// The verdict of the decision; `null` where it is not known
    pub decided: Option<VerdictView>,
    /// The verdict of today's rules, where it may differ from the decision
    pub today: Option<VerdictView>,
    /// The facts that it read, by their path in the rule
    #[schema(value_type = Object)]
    pub reads: BTreeMap<String, Value>,
    /// The number of actions that it asked for
    pub actions: usize,
    /// The questions that it asks, in words
    pub asks: Vec<String>,
}

impl From<ExplainedRule> for ExplainedRuleView {
    fn from(one: ExplainedRule) -> Self {
        let ExplainedRule { rule, file, line, decided, today, reads, actions, asks } = one;
        let (decided, today) = (decided.as_ref().map(VerdictView::from), today.as_ref().map(VerdictView::from));
        Self { rule, file, line, decided, today, reads, actions, asks }
    }
}

/// A verdict: its stable name, and its explanation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleVerdict)]
pub struct VerdictView {
    #[schema(example = "fired")]
    pub verdict: &'static str,
    pub why: String,
    /// The rule was run; otherwise the index passed over it
    pub evaluated: bool,
}

impl From<&RuleResult> for VerdictView {
    fn from(result: &RuleResult) -> Self {
        Self { verdict: result.as_str(), why: result.to_string(), evaluated: result.was_evaluated() }
    }
}
