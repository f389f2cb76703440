//! Calls whose end nobody has told: the provider is asked, so that a lost callback holds up no campaign.

use std::time::Duration;

use crate::actions::deliver;
use crate::domain::{CallDirection, CallStatus, Phone};
use crate::pipeline::Pipeline;
use crate::store::campaigns::OpenCall;
use crate::store::{CallReport, Caller, StoreError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// So long a call of a campaign may be under way before it is asked for.
const ASK_AFTER: Duration = Duration::from_secs(60);
/// Calls that are asked for in one look.
const LOOK_MAX: usize = 50;

/// Asks until the future is dropped.
pub async fn run(pipeline: &Pipeline) {
    // What was told while no process was there to hear it is lost.
    let mut after = Duration::ZERO;
    loop {
        if let Err(error) = look(pipeline, after).await {
            tracing::warn!(%error, "calls whose end was not told wait for the database");
        }
        after = ASK_AFTER;
        pipeline.clock.sleep(LOOK_EVERY).await;
    }
}

/// One look at calls that were begun so long ago, or longer; gives how many were asked for.
pub async fn look(pipeline: &Pipeline, after: Duration) -> Result<usize, StoreError> {
    let before = pipeline.clock.now().minus(after);
    let open = pipeline.store.open_calls(before, LOOK_MAX).await?;
    for call in &open {
        ask(pipeline, call).await?;
    }
    Ok(open.len())
}

async fn ask(pipeline: &Pipeline, open: &OpenCall) -> Result<(), StoreError> {
    let Some(tenant) = pipeline.directory.now().by_id(open.tenant).cloned() else { return Ok(()) };
    let Some(account) = deliver::credentials(&tenant.account) else { return Ok(()) };
    let call = match pipeline.ways.twilio.fetch_call(&account, &open.sid).await {
        Ok(Some(call)) => call,
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::warn!(%error, tenant = %tenant.slug, "a call whose end was not told could not be asked for");
            return Ok(());
        }
    };
    let Some(status) = CallStatus::parse(&call.status).filter(|status| status.is_final()) else { return Ok(()) };
    let caller = Caller {
        tenant: tenant.id,
        sid: call.sid,
        direction: CallDirection::Out,
        phone: Phone::parse(&call.to).ok(),
        peer: call.to,
        number: call.from,
        action: Some(open.action),
        status,
        answered_by: call.answered_by,
    };
    let report = CallReport {
        caller,
        duration_s: call.duration_s,
        recording: None,
        error_code: None,
        detail: None,
        silence_is_missed: tenant.settings.voice.silence_is_missed,
        tell_later: false,
        at: pipeline.clock.now(),
    };
    pipeline.report(report).await?;
    Ok(())
}
