//! Reports ended calls: summarizes the conversation and emits the call's last event.

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

/// Reports ended calls, until dropped. It may stop at any point, because the rows hold the open work.
pub async fn run(voice: &Arc<Voice>) {
    let clock = &voice.clock;
    let (mut reports, mut in_progress) = (FuturesUnordered::new(), HashSet::new());
    loop {
        match unreported_calls(voice).await {
            Ok(calls) => {
                for (tenant, call) in calls {
                    if reports.len() < AT_ONCE && in_progress.insert(call) {
                        reports.push(async move { (call, report_call(voice, tenant, call).await) });
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "telling of calls that have ended waits for the database"),
        }
        let mut pause = pin!(clock.sleep(LOOK_EVERY));
        loop {
            let (call, reported) = tokio::select! {
                Some(reported) = reports.next() => reported,
                () = &mut pause => break,
            };
            in_progress.remove(&call);
            if let Err(error) = reported {
                tracing::warn!(%call, %error, "telling of a call that has ended waits for the database");
            }
        }
    }
}

/// Returns the oldest unreported calls, at most twice as many as one round takes.
async fn unreported_calls(voice: &Voice) -> Result<Vec<(TenantId, CallId)>, StoreError> {
    let before = voice.clock.now().minus(SETTLES_WITHIN);
    let mut calls = voice.store.untold_calls(before, 2 * AT_ONCE).await?;
    calls.retain(|(_, call)| !voice.live.has_open_stream(*call));
    Ok(calls)
}

async fn report_call(voice: &Arc<Voice>, tenant: TenantId, call: CallId) -> Result<(), StoreError> {
    let store = &voice.store;
    let transcript = store.transcript(tenant, call).await?;
    let result = digest(voice, &transcript).await;
    let now = voice.clock.now();
    let counts = voice.directory.now().by_id(tenant).is_some_and(|one| one.settings.voice.silence_is_missed);
    if store.tell_call(tenant, call, transcript, result, counts, now).await? {
        voice.pipeline.wake_for_rows(tenant);
    }
    Ok(())
}

async fn digest(voice: &Voice, transcript: &[TranscriptLine]) -> CallResult {
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
