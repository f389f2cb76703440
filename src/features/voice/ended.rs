//! After a call: summarizes the conversation and emits the event that the call has ended.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Voice;
use crate::domain::event::TranscriptLine;
use crate::domain::{CallId, TenantId};
use crate::store::{CallResult, StoreError};

/// The interval of the search for ended calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A live conversation is stored a moment after its call has ended, perhaps by another process.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// The most calls in one round. Where a model hangs, this limits how long the others wait.
const AT_ONCE: usize = 256;
const SUMS_UP_WITHIN: Duration = Duration::from_secs(20);

/// Reports ended calls, until dropped. It can stop at any point, because the rows say what is still to do.
pub async fn run(voice: &Arc<Voice>) {
    let clock = &voice.clock;
    let (mut telling, mut under_way) = (FuturesUnordered::new(), HashSet::new());
    loop {
        match untold(voice).await {
            Ok(calls) => {
                for (tenant, call) in calls {
                    if telling.len() < AT_ONCE && under_way.insert(call) {
                        telling.push(async move { (call, one(voice, tenant, call).await) });
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "telling of calls that have ended waits for the database"),
        }
        let mut pause = pin!(clock.sleep(LOOK_EVERY));
        loop {
            let (call, told) = tokio::select! {
                Some(told) = telling.next() => told,
                () = &mut pause => break,
            };
            under_way.remove(&call);
            if let Err(error) = told {
                tracing::warn!(%call, %error, "telling of a call that has ended waits for the database");
            }
        }
    }
}

/// The oldest unreported calls, at most twice as many as one round takes.
async fn untold(voice: &Voice) -> Result<Vec<(TenantId, CallId)>, StoreError> {
    let before = voice.clock.now().minus(SETTLES_WITHIN);
    let mut calls = voice.store.untold_calls(before, 2 * AT_ONCE).await?;
    calls.retain(|(_, call)| !voice.live.is_under_way(*call));
    Ok(calls)
}

async fn one(voice: &Arc<Voice>, tenant: TenantId, call: CallId) -> Result<(), StoreError> {
    let store = &voice.store;
    let transcript = store.transcript(tenant, call).await?;
    let result = sum_up(voice, &transcript).await;
    let now = voice.clock.now();
    let counts = voice.directory.now().by_id(tenant).is_some_and(|one| one.settings.voice.silence_is_missed);
    if store.tell_call(tenant, call, transcript, result, counts, now).await? {
        voice.pipeline.wake_for_rows(tenant);
    }
    Ok(())
}

async fn sum_up(voice: &Voice, transcript: &[TranscriptLine]) -> CallResult {
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
