//! A person's decision on a send: one of unknown outcome, a held one, or one that is not wanted any more.

use crate::domain::{ActionId, ActionState, DeliveryStatus, TenantId};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::{actions, calls, messages, ordering_keys, questions};

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorDecision {
    /// The provider has taken the send; the id is the provider's, if it is known.
    Sent { sid: Option<String> },
    /// The provider never took the send: it is sent again.
    NotSent,
    /// A held send may go.
    Release,
    /// The send is cancelled.
    GiveUp,
}

impl OperatorDecision {
    /// The next state after `state`; `None` if the decision does not fit.
    pub const fn leads(&self, state: ActionState) -> Option<ActionState> {
        match (self, state) {
            (Self::Sent { .. }, ActionState::Unknown) => Some(ActionState::Sent),
            (Self::NotSent, ActionState::Unknown) | (Self::Release, ActionState::Held) => Some(ActionState::Planned),
            (Self::GiveUp, ActionState::Unknown) => Some(ActionState::Failed),
            (Self::GiveUp, ActionState::Planned | ActionState::Held) => Some(ActionState::Blocked),
            _ => None,
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "settled by hand: the provider has taken it",
            Self::NotSent => "settled by hand: the provider never took it, so it is sent",
            Self::Release => "released by hand",
            Self::GiveUp => "given up by hand",
        }
    }
}

/// The result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The action has this state now.
    Now(ActionState),
    /// The decision does not fit the action's state. Nothing was changed.
    Stands(ActionState),
    /// The tenant has no such send.
    Unknown,
}

impl Store {
    /// Applies a person's decision on a send.
    pub async fn resolve(
        &self,
        tenant: TenantId,
        action: ActionId,
        decision: &OperatorDecision,
    ) -> Result<Resolution, StoreError> {
        let txn = begin(&self.write).await?;
        let resolution = resolve(&txn, &self.context, tenant, action, decision).await?;
        txn.commit().await?;
        self.context.committed();
        Ok(resolution)
    }
}

/// Applies a person's decision. A released send counts as sent by hand from then on, because the loop guard has stopped
/// it once.
pub(in crate::store) async fn resolve(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    action: ActionId,
    decision: &OperatorDecision,
) -> Result<Resolution, StoreError> {
    let found = actions::find(txn, vec![action.uuid().into()]).await?;
    let Some((send, state)) = found.into_iter().find(|(send, _)| send.tenant == tenant) else {
        return Ok(Resolution::Unknown);
    };
    let state: ActionState = state.parse().map_err(|error| StoreError::Stored(format!("{error}")))?;
    let Some(next) = decision.leads(state) else { return Ok(Resolution::Stands(state)) };
    let now = context.clock.now();
    let sid = match decision {
        // Without the provider's id, our own id keeps the message from looking like one without a send.
        OperatorDecision::Sent { sid } => Some(sid.clone().unwrap_or_else(|| action.to_string())),
        _ => None,
    };
    let goes_on = next == ActionState::Planned;
    let moved = txn
        .execute(
            "UPDATE actions SET state = ?, reason = ?, due_us = ?, provider_sid = coalesce(?, provider_sid),
               origin = CASE WHEN ? THEN 'manual' ELSE origin END, head = (head AND state <> 'held')
             WHERE id = ? AND tenant_id = ? AND state = ?",
            vec![
                next.as_str().into(),
                decision.reason().into(),
                now.unix_us().into(),
                sid.clone().into(),
                (goes_on && *decision == OperatorDecision::Release).into(),
                action.uuid().into(),
                tenant.uuid().into(),
                state.as_str().into(),
            ],
        )
        .await?;
    if moved == 0 {
        // Another decision was first.
        return Ok(Resolution::Stands(state));
    }
    if goes_on {
        ordering_keys::reorder(txn, context, send.ordering_key.clone()).await?;
    } else {
        ordering_keys::promote(txn, context, send.ordering_key.clone()).await?;
    }
    let shown = match next {
        ActionState::Sent => Some((DeliveryStatus::Sent.as_str(), DeliveryStatus::Sent.rank())),
        ActionState::Failed => Some(("failed", 4)),
        ActionState::Blocked => Some(("blocked", 4)),
        _ => None,
    };
    if let Some((status, rank)) = shown {
        let row = messages::row_of_send(&send, status, rank, sid.as_deref(), None, now)?;
        messages::merge(txn, row.into_iter().flatten().collect()).await?;
    }
    match next {
        ActionState::Sent => questions::sent(txn, context, &[(action, send.tried_at.unwrap_or(now))]).await?,
        ActionState::Failed | ActionState::Blocked => {
            questions::never_sent(txn, context, &[(action, decision.reason().to_owned())]).await?;
        }
        _ => {}
    }
    if let Some(sid) = sid.filter(|_| send.is_call()) {
        calls::begun(txn, context, &send, &sid).await?;
    }
    Ok(Resolution::Now(next))
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn a_decision_leads_only_where_the_drawing_has_an_arrow() {
        let decisions = [
            OperatorDecision::Sent { sid: None },
            OperatorDecision::NotSent,
            OperatorDecision::Release,
            OperatorDecision::GiveUp,
        ];
        for decision in &decisions {
            for state in ActionState::VARIANTS.iter().copied() {
                if let Some(next) = decision.leads(state) {
                    assert!(state.may_become(next), "{decision:?}: {state} to {next}");
                }
            }
            for over in ActionState::VARIANTS.iter().copied().filter(|state| state.is_final()) {
                assert_eq!(decision.leads(over), None, "{decision:?}: {over} is final");
            }
        }
    }
}
