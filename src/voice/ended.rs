//! After a call: what was said is summed up, and the rules are told that it has ended.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Voice;
use crate::domain::event::Line;
use crate::domain::{CallId, TenantId};
use crate::store::{CallResult, StoreError};

/// How often calls are looked for that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a live conversation was is written down a moment after its call has ended, in this process or in another.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// Calls that are summed up at once.
const AT_ONCE: usize = 64;
const SUMS_UP_WITHIN: Duration = Duration::from_secs(20);

/// Tells of calls that have ended, until dropped. Whatever stops it, the rows say what is still to be told.
pub async fn run(voice: &Arc<Voice>) {
    let pipeline = &voice.pipeline;
    loop {
        match tell(voice).await {
            // There may be more.
            Ok(AT_ONCE..) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "telling of calls that have ended waits for the database"),
        }
        pipeline.clock.sleep(LOOK_EVERY).await;
    }
}

/// How many were told of.
async fn tell(voice: &Arc<Voice>) -> Result<usize, StoreError> {
    let before = voice.pipeline.clock.now().minus(SETTLES_WITHIN);
    let mut calls = voice.pipeline.store.untold_calls(before, AT_ONCE).await?;
    calls.retain(|(_, call)| !voice.live.is_under_way(*call));
    let count = calls.len();
    for told in join_all(calls.into_iter().map(|(tenant, call)| one(voice, tenant, call))).await {
        told?;
    }
    Ok(count)
}

async fn one(voice: &Arc<Voice>, tenant: TenantId, call: CallId) -> Result<(), StoreError> {
    let store = &voice.pipeline.store;
    let transcript = store.transcript(tenant, call).await?;
    let result = sum_up(voice, &transcript).await;
    let now = voice.pipeline.clock.now();
    if store.tell_call(tenant, call, transcript, result, now).await? {
        voice.pipeline.wake_for_rows(tenant);
    }
    Ok(())
}

async fn sum_up(voice: &Voice, transcript: &[Line]) -> CallResult {
    let chat = voice.model.chat();
    let spoke = transcript.iter().any(|line| line.who == "caller");
    if !chat.is_configured() || !spoke {
        return CallResult::default();
    }
    let text: String = transcript.iter().map(|line| format!("{}: {}\n", line.who, line.text)).collect();
    match chat.digest(&text, SUMS_UP_WITHIN).await {
        Ok(digest) => CallResult { sentiment: Some(digest.score), summary: Some(digest.summary) },
        Err(error) => {
            tracing::warn!(%error, "a call is told of without its summary");
            CallResult::default()
        }
    }
}
