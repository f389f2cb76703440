//! Explains an event: the facts that rules could read, the verdict of each rule, and the outcome of each action.
//!
//! The service gives data; [`crate::http::views::explanation`] has its JSON.

mod actions;
mod opt_out;
mod rules;

pub use self::actions::ExplainedAction;
pub use self::rules::ExplainedRule;
use crate::domain::{ActionState, Event, EventId, EventKind, Facts, Timestamp};
use crate::engine::decision::{self, AsOf};
use crate::integrations::twilio::codes::BAD_CREDENTIALS;
use crate::rules::{RuleSet, Trace};
use crate::store::rows::action;
use crate::store::{Pending, Store, StoreError};
use crate::tenants::{Directory, Tenant};

/// Tenants of one account whose sends are looked through for refused credentials.
const SHARING_MAX: usize = 100;

/// Explains events. `rules` are today's.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
    pub rules: &'a RuleSet,
}

/// All that is known of an event.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub event: Event,
    /// `None` while the event waits to be decided.
    pub decided_at: Option<Timestamp>,
    /// The effect of a STOP, a START or a call for help, and the side that answers it.
    pub opt_out: Option<String>,
    /// The newest of the account's sends that wait because the provider refused its credentials.
    pub refused: Option<action::Model>,
    pub ruleset: RuleVersions,
    /// The facts of the decision; those of now while the event waits.
    pub facts: Facts,
    /// Empty for a send by hand: no rule is asked about it.
    pub rules: Vec<ExplainedRule>,
    pub actions: Vec<ExplainedAction>,
}

/// The versions of the rules.
#[derive(Clone, Debug)]
pub struct RuleVersions {
    /// The version that decided; `None` where no rule was evaluated, or nothing is decided yet.
    pub decided: Option<String>,
    pub today: String,
}

impl Explainer<'_> {
    /// Explains an event of the tenant; `None` where there is no such event.
    pub async fn explain(&self, tenant: &Tenant, id: EventId) -> Result<Option<Explanation>, StoreError> {
        let Some((event, handled_at)) = self.store.event(tenant.id, id).await? else { return Ok(None) };
        let stored = self.store.trace(tenant.id, id).await?;
        let decided_at = stored.as_ref().map(|(at, _)| *at).or(handled_at);
        let trace: Option<Trace> = stored
            .map(|(_, trace)| serde_json::from_str(&trace))
            .transpose()
            .map_err(|error| StoreError::Stored(error.to_string()))?;
        let (event, facts) = self.facts_of(tenant, event, decided_at, trace.as_ref()).await?;
        let rules = match event.kind == EventKind::MANUAL {
            true => Vec::new(),
            false => rules::of_event(trace.as_ref(), self.rules, &event, &facts, decided_at.is_some()),
        };
        let actions = actions::of_event(self.store, &self.directory.platform().providers, tenant.id, id).await?;
        let waits = actions.iter().any(|one| one.action.state == ActionState::Planned.as_str());
        Ok(Some(Explanation {
            opt_out: opt_out::explain(&event),
            refused: if waits { refused_send(self.store, self.directory, tenant).await? } else { None },
            ruleset: RuleVersions { decided: trace.map(|trace| trace.ruleset), today: self.rules.version().to_owned() },
            decided_at: handled_at,
            event,
            facts,
            rules,
            actions,
        }))
    }

    /// The facts that rules could read when the event was decided, as far as they can be rebuilt; those of now for an event
    /// that waits.
    async fn facts_of(
        &self,
        tenant: &Tenant,
        event: Event,
        decided_at: Option<Timestamp>,
        trace: Option<&Trace>,
    ) -> Result<(Event, Facts), StoreError> {
        let as_of = match decided_at {
            Some(at) => AsOf::Decided { at, trace },
            None => AsOf::Now(self.store.clock().now()),
        };
        let pending = vec![Pending { event, customer: None }];
        let batch = decision::facts_of(self.store, self.rules, tenant, pending, as_of).await?;
        // The batch has as many events as went in.
        batch.into_iter().next().ok_or(StoreError::Closed)
    }
}

/// Finds the newest send that waits because the provider refused the credentials of the tenant's account. Others wait with
/// it.
pub async fn refused_send(
    store: &Store,
    directory: &Directory,
    tenant: &Tenant,
) -> Result<Option<action::Model>, StoreError> {
    let snapshot = directory.now();
    let others = snapshot.tenants().filter(|other| other.id != tenant.id && other.account.sid == tenant.account.sid);
    let sharing: Vec<_> = std::iter::once(tenant.id).chain(others.map(|other| other.id)).take(SHARING_MAX).collect();
    store.waiting_with(&sharing, BAD_CREDENTIALS.into()).await
}
