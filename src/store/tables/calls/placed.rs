//! Outbound calls: the provider's reports and the actions that began the calls.

use crate::domain::{Action, ActionState, CallBody, CallStatus, DeliveryStatus, SendBody, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::tables::calls::{CallRow, Caller};
use crate::store::tables::{actions, messages, ordering_keys};

/// Joins a call to its action, if the tenant has that action, and stores the call's status in the ledger and the inbox.
/// Gives the body of the action.
pub(in crate::store) async fn join(
    txn: &impl Txn,
    context: &WriterContext,
    known: &mut CallRow,
    caller: &Caller,
    error_code: Option<i64>,
    at: Timestamp,
) -> Result<Option<CallBody>, StoreError> {
    let Some(action) = caller.action.or(known.action) else { return Ok(None) };
    let found = actions::find(txn, vec![action.uuid().into()]).await?;
    let ours = |(send, _): &(actions::QueuedSend, String)| send.tenant == known.tenant && send.is_call();
    let Some((send, state)) = found.into_iter().find(ours) else { return Ok(None) };
    let Action::Send(message) = send.planned()? else { return Ok(None) };
    let SendBody::Call(body) = &message.body else { return Ok(None) };
    known.action = Some(action);
    let status = delivery(known.facts.status.advance(caller.status));
    let row = messages::row_of_send(&send, status.as_str(), status.rank(), Some(&caller.sid), error_code, at)?;
    messages::merge(txn, row.into_iter().flatten().collect()).await?;
    if state != ActionState::Sent.as_str() {
        // A report of the provider means that it has taken the call, whatever the ledger says.
        let adopted = actions::adopted();
        txn.execute(
            &format!(
                "UPDATE actions SET state = 'sent', provider_sid = ?, reason = NULL
                 WHERE id = ? AND tenant_id = ? AND state IN ({adopted})"
            ),
            vec![caller.sid.clone().into(), action.uuid().into(), known.tenant.uuid().into()],
        )
        .await?;
        ordering_keys::promote(txn, context, send.ordering_key.clone()).await?;
    }
    Ok(Some(body.clone()))
}

/// The status of a call as the inbox shows it.
const fn delivery(status: CallStatus) -> DeliveryStatus {
    match status {
        CallStatus::Queued | CallStatus::Initiated | CallStatus::Ringing => DeliveryStatus::Queued,
        CallStatus::InProgress => DeliveryStatus::Sent,
        CallStatus::Completed => DeliveryStatus::Delivered,
        CallStatus::Failed => DeliveryStatus::Failed,
        CallStatus::Busy | CallStatus::NoAnswer | CallStatus::Canceled => DeliveryStatus::Undelivered,
    }
}
