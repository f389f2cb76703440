//! The calls that events belong to: one query for a batch in which some event is of a call, none for others.

use crate::domain::{CallId, Channel, Event, Facts, TenantId, Timestamp};
use crate::store::{Store, StoreError};

/// Adds to the facts of one tenant's events the calls that they belong to, as the calls stand. A call keeps no history, so
/// for a past moment [`Facts::not_rebuilt`] says that it is today's.
pub async fn add(
    store: &Store,
    tenant: TenantId,
    batch: &mut [(Event, Facts)],
    past: Option<Timestamp>,
) -> Result<(), StoreError> {
    let ids: Vec<CallId> = batch.iter().filter_map(|(event, _)| call_of(event)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let calls = store.calls(tenant, &ids).await?;
    for (event, facts) in batch {
        facts.call = call_of(event).and_then(|id| calls.get(&id).cloned());
        if past.is_some() && facts.call.is_some() {
            facts.not_rebuilt.push("the call is as it stands today".to_owned());
        }
    }
    Ok(())
}

/// The call that an event belongs to.
fn call_of(event: &Event) -> Option<CallId> {
    if event.channel != Some(Channel::Voice) {
        return None;
    }
    event.data.get("call")?.as_str()?.parse().ok()
}
