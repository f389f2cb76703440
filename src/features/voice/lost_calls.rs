//! Finds the end of calls whose last callback was lost: it fetches their state from the provider, and applies the
//! answer like a callback. Otherwise such a call would stay open, and a campaign would wait for it.
//!
//! A call that the provider does not know, or that has no end after a day, ends as failed, with the reason.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::{CallStatus, Phone, Timestamp};
use crate::engine::sending::transports::twilio;
use crate::features::voice::Voice;
use crate::integrations::twilio::client::{Account, CallResource, ListError};
use crate::store::{CallReport, Caller, OpenCall, Reported, StoreError};

/// The pause between two rounds over the open calls.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// The pause between two pages of one round.
const GO_ON_AFTER: Duration = Duration::from_secs(1);
/// The age at which an open call is fetched.
pub const ASK_AFTER: Duration = Duration::from_secs(60);
/// The most calls of one page. The next page continues after them.
pub const LOOK_MAX: usize = 50;
/// The provider ends a call after this at the latest (`TimeLimit` of a call, in Twilio's Calls resource).
pub const LASTS_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A call that cannot be fetched, because its account is gone or does not answer, is given up after this.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3_600);

impl Voice {
    /// Applies a report of a call, from a callback or from a look-up. A call that has ended stops its conversation.
    pub async fn report(&self, report: CallReport) -> Result<Reported, StoreError> {
        let (tenant, sid) = (report.caller.tenant, report.caller.sid.clone());
        let ends = report.caller.status.is_final();
        let reported = self.pipeline.report(report).await?;
        if ends && let Some(call) = self.store.call_by_sid(tenant, &sid).await? {
            self.live.end(call.id);
            self.model.end(call.id);
        }
        Ok(reported)
    }
}

/// Runs rounds until the future is dropped.
pub async fn run(voice: &Arc<Voice>) {
    // Callbacks that came while no process ran are lost.
    let (mut open_for, mut behind) = (Duration::ZERO, None);
    loop {
        let mut pause = LOOK_EVERY;
        match check_open_calls(voice, open_for, behind.as_ref()).await {
            Ok(None) => (open_for, behind) = (ASK_AFTER, None),
            Ok(more) => (pause, behind) = (GO_ON_AFTER, more),
            Err(error) => tracing::warn!(%error, "calls whose end was not told wait for the database"),
        }
        voice.clock.sleep(pause).await;
    }
}

/// Checks one page of calls that have been open for at least `open_for`, after the last one of the page before. Returns
/// the call after which the next page continues, if there may be more.
pub async fn check_open_calls(
    voice: &Voice,
    open_for: Duration,
    behind: Option<&OpenCall>,
) -> Result<Option<OpenCall>, StoreError> {
    let before = voice.clock.now().minus(open_for);
    let open = voice.store.open_calls(before, behind, LOOK_MAX).await?;
    let last = open.last().filter(|_| open.len() == LOOK_MAX).cloned();
    let mut accounts: HashMap<String, (Option<Account>, Vec<OpenCall>)> = HashMap::new();
    for call in open.into_iter().filter(|call| !voice.live.has_open_stream(call.id)) {
        let (sid, account) = account_of(voice, &call);
        accounts.entry(sid).or_insert_with(|| (account, Vec::new())).1.push(call);
    }
    // Accounts are asked in parallel: one that does not answer holds up no other.
    let asked = accounts.into_values().map(|(account, calls)| fetch_calls(voice, account, calls));
    join_all(asked).await.into_iter().collect::<Result<(), _>>()?;
    Ok(last)
}

/// Returns the account to ask: a placed call's own account, while it is still the tenant's or the platform's.
fn account_of(voice: &Voice, call: &OpenCall) -> (String, Option<Account>) {
    let directory = &voice.directory;
    let snapshot = directory.now();
    let own = snapshot.by_id(call.tenant).map(|tenant| &tenant.account);
    let sid = call.account_sid.clone().or_else(|| own.map(|own| own.sid.clone())).unwrap_or_default();
    let mut known = own.into_iter().chain([&directory.platform().account]);
    let account = known.find(|account| account.sid == sid).and_then(|account| twilio::credentials(account));
    (sid, account)
}

/// Fetches the calls of one account one by one. Once the account does not answer, the rest waits for the next round.
async fn fetch_calls(voice: &Voice, account: Option<Account>, calls: Vec<OpenCall>) -> Result<(), StoreError> {
    let mut silent = account.is_none().then(|| "its account is not configured any more".to_owned());
    for call in calls {
        let fetched = match (&account, &silent) {
            (Some(account), None) => voice.transports.twilio.fetch_call(account, &call.sid).await.map_err(|error| {
                tracing::warn!(%error, tenant = %call.tenant, "a call whose end was not told could not be asked for");
                let why = error.to_string();
                if !matches!(error, ListError::Refused { .. }) {
                    silent = Some(why.clone());
                }
                why
            }),
            (_, why) => Err(why.clone().unwrap_or_default()),
        };
        let age = voice.clock.now().since(call.started);
        if let Some(end) = end_of(fetched, age) {
            voice.report(end.report(voice, call)).await?;
        }
    }
    Ok(())
}

/// The end of a call, as far as it can be found out.
#[derive(Debug, PartialEq, Eq)]
struct End {
    status: CallStatus,
    duration_s: Option<u32>,
    answered_by: Option<String>,
    detail: Option<String>,
}

/// Returns the end of a call of this age by the provider's answer, or by the reason for its lack; `None` if the call
/// goes on. Pure.
fn end_of(fetched: Result<Option<CallResource>, String>, age: Duration) -> Option<End> {
    let failed =
        |why: String| Some(End { status: CallStatus::Failed, duration_s: None, answered_by: None, detail: Some(why) });
    match fetched {
        Ok(Some(call)) => match CallStatus::parse(&call.status).filter(|status| status.is_final()) {
            Some(status) => {
                Some(End { status, duration_s: call.duration_s, answered_by: call.answered_by, detail: None })
            }
            None if age < LASTS_MAX => None,
            None => {
                failed(format!("no end within {} hours: the provider says it is {}", hours(LASTS_MAX), call.status))
            }
        },
        // The call may have just begun, as right after our own start.
        Ok(None) if age < ASK_AFTER => None,
        Ok(None) => failed("the provider knows no such call".to_owned()),
        Err(_) if age < GIVE_UP_AFTER => None,
        Err(why) => failed(format!("how it ended could not be asked for within {} hours: {why}", hours(GIVE_UP_AFTER))),
    }
}

const fn hours(span: Duration) -> u64 {
    span.as_secs() / 3_600
}

impl End {
    fn report(self, voice: &Voice, call: OpenCall) -> CallReport {
        let at: Timestamp = voice.clock.now();
        let tenant = voice.directory.now().by_id(call.tenant).cloned();
        let caller = Caller {
            tenant: call.tenant,
            account: call.account_sid,
            sid: call.sid,
            direction: call.direction,
            phone: Phone::parse(&call.peer).ok(),
            peer: call.peer,
            number: call.number,
            action: call.action,
            status: self.status,
            answered_by: self.answered_by,
        };
        CallReport {
            caller,
            duration_s: self.duration_s,
            recording: None,
            error_code: None,
            detail: self.detail,
            silence_is_missed: tenant.is_some_and(|tenant| tenant.settings.voice.silence_is_missed),
            tell_later: voice.reports_end_later(),
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(status: &str) -> Result<Option<CallResource>, String> {
        let text = format!(r#"{{"sid": "CA1", "status": "{status}", "duration": "7", "direction": "inbound"}}"#);
        Ok(Some(serde_json::from_str(&text).expect("a call as the provider shows it")))
    }

    fn check(fetched: Result<Option<CallResource>, String>, age: Duration, expect: &str) {
        let shown = end_of(fetched, age).map(|end| format!("{} {}", end.status, end.detail.unwrap_or_default()));
        assert_eq!(shown.unwrap_or_default().trim(), expect);
    }

    #[test]
    fn a_call_that_goes_on_is_left_alone_for_a_day_and_one_that_nobody_knows_has_failed() {
        let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
        check(fetched("completed"), minute, "completed");
        check(fetched("no-answer"), minute, "no-answer");
        for going_on in ["in-progress", "queued", "something-new"] {
            check(fetched(going_on), LASTS_MAX - second, "");
        }
        check(fetched("in-progress"), LASTS_MAX, "failed no end within 24 hours: the provider says it is in-progress");
        check(Ok(None), minute - second, "");
        check(Ok(None), minute, "failed the provider knows no such call");
        let silent = || Err("no answer".to_owned());
        check(silent(), GIVE_UP_AFTER - second, "");
        check(silent(), GIVE_UP_AFTER, "failed how it ended could not be asked for within 72 hours: no answer");
    }
}
