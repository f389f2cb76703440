//! One round of the running campaigns: settles ended tries, then plans the next ones, each in a slot of its own.

use std::time::Duration;

use super::tries::Tries;
use super::{Plan, RetryOn};
use crate::domain::{ActionState, CallStatus, CampaignState, Phone, SendQueue, Timestamp};
use crate::engine::Engine;
use crate::store::tables::campaigns::{Campaign, EndedTry, MemberEnd};
use crate::store::{Store, StoreError};
use crate::telemetry::metric;
use crate::tenants::{Directory, Tenant};

/// The interval of rounds while a campaign runs, and so the longest delay between a try's end and the next.
pub const ROUND_EVERY: Duration = Duration::from_secs(1);
/// The interval while none runs, and so the longest delay until a campaign of another process is seen.
const IDLE_ROUND_EVERY: Duration = Duration::from_secs(2);
/// The time for which slots are planned ahead.
pub const AHEAD: Duration = Duration::from_secs(2);
/// The members that are read at once.
const BATCH: usize = 500;
/// A try of unknown outcome counts as in progress for this time. A placed call would have reported by then; its
/// result is counted whenever it is known.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(600);
/// The least delay after a try that could not leave before its time was over.
const TOO_LATE_DELAY: Duration = Duration::from_secs(1);

/// Runs rounds until dropped.
pub async fn run(engine: &Engine) {
    loop {
        let pause = match round(&engine.store, &engine.directory).await {
            Ok(round) => {
                for (queue, at) in round.planned {
                    engine.pipeline.wake_perform_at(queue, at);
                }
                if round.running == 0 { IDLE_ROUND_EVERY } else { ROUND_EVERY }
            }
            Err(error) => {
                tracing::warn!(%error, "campaigns wait for the database");
                IDLE_ROUND_EVERY
            }
        };
        engine.clock.sleep(pause).await;
    }
}

/// The result of a round.
#[derive(Debug, Default)]
pub struct Round {
    pub running: usize,
    /// The queues in which tries were planned, and their times.
    pub planned: Vec<(SendQueue, Timestamp)>,
}

/// Runs one round of all running campaigns, and of paused or cancelled ones with tries in progress.
pub async fn round(store: &Store, directory: &Directory) -> Result<Round, StoreError> {
    let mut round = Round::default();
    for campaign in store.moving_campaigns().await? {
        let Some(tenant) = directory.now().by_id(campaign.tenant).cloned() else { continue };
        match advance(store, directory, &tenant, &campaign, &mut round).await {
            // A fault in one campaign's rows does not stop the others.
            Err(error) if !error.is_outage() => {
                tracing::error!(%error, tenant = %tenant.slug, "a campaign does not go on");
            }
            went => went?,
        }
    }
    Ok(round)
}

async fn advance(
    store: &Store,
    directory: &Directory,
    tenant: &Tenant,
    campaign: &Campaign,
    round: &mut Round,
) -> Result<(), StoreError> {
    let plan = Plan::from_stored(campaign)?;
    let campaign_round =
        CampaignRound { store, tries: Tries { tenant, platform: directory.platform(), campaign, plan: &plan } };
    campaign_round.settle().await?;
    if campaign.state != CampaignState::Running {
        return Ok(());
    }
    round.running += 1;
    campaign_round.try_next(round).await
}

/// One campaign in a round.
struct CampaignRound<'a> {
    store: &'a Store,
    tries: Tries<'a>,
}

impl CampaignRound<'_> {
    /// Updates members with the results of their tries.
    async fn settle(&self) -> Result<(), StoreError> {
        loop {
            let mut ended = self.store.ended_tries(self.tries.campaign, BATCH).await?;
            let full = ended.len() == BATCH;
            // A try that led to two calls ends once.
            ended.dedup_by(|one, other| one.key == other.key);
            let ends: Vec<(EndedTry, MemberEnd)> = ended
                .into_iter()
                .map(|ended| {
                    let end =
                        end_of(self.tries.plan, &ended, self.store.clock().now(), |at| self.next_try_at(&ended, at));
                    (ended, end)
                })
                .collect();
            self.store.end_tries(self.tries.campaign, &ends).await?;
            if !full {
                return Ok(());
            }
        }
    }

    /// The time of the next try for a member whose last one ended at `at`.
    fn next_try_at(&self, ended: &EndedTry, at: Timestamp) -> Timestamp {
        let zone =
            Phone::parse(&ended.phone).map_or(self.tries.tenant.zone, |phone| self.tries.hours(&phone, None).zone());
        self.tries.plan.retry.after.after(at, zone)
    }

    /// Plans the next tries, as far as capacity and slots allow.
    async fn try_next(&self, round: &mut Round) -> Result<(), StoreError> {
        let now = self.store.clock().now();
        let (trying, next) = self.store.campaign_outlook(self.tries.campaign).await?;
        let Some(next) = next else {
            if trying == 0 {
                self.store.move_campaign(self.tries.campaign, CampaignState::Running, CampaignState::Done).await?;
                tracing::info!(tenant = %self.tries.tenant.slug, campaign = %self.tries.campaign.name, "a campaign is done");
            }
            return Ok(());
        };
        if next > now {
            return Ok(());
        }
        let under_way = self.store.tries_under_way(self.tries.campaign, now.minus(UNKNOWN_FOR)).await?;
        let mut room = (self.tries.plan.at_once as usize).saturating_sub(under_way);
        let (step, until) = (self.tries.step(), now.plus(AHEAD));
        let mut slot = self.tries.campaign.paced.max(now);
        let (mut tries, mut later, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for member in self.store.due_members(self.tries.campaign, now, BATCH).await? {
            let hours = self.tries.hours(&member.phone, member.zone);
            match hours.next_allowed(slot) {
                None => gone.push(member.key),
                Some(at) if at > slot => later.push((member.key, at)),
                Some(_) if room == 0 || slot >= until => break,
                Some(at) => {
                    tries.push(self.tries.next_try(&member, at, hours.closes(at)));
                    (room, slot) = (room - 1, slot.plus(step));
                }
            }
        }
        if tries.is_empty() && later.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let planned: Vec<(SendQueue, Timestamp)> = tries
            .iter()
            .filter_map(|one| Some((SendQueue::new(self.tries.tenant.id, one.action.route.clone()?), one.action.due?)))
            .collect();
        metrics::counter!(metric::CAMPAIGN_TRIES_TOTAL).increment(tries.len() as u64);
        if self.store.plan_tries(self.tries.campaign, tries, &later, &gone, slot).await? {
            round.planned.extend(planned);
        }
        Ok(())
    }
}

/// The member's next state, from the result of a try. Pure.
fn end_of(plan: &Plan, ended: &EndedTry, now: Timestamp, later: impl Fn(Timestamp) -> Timestamp) -> MemberEnd {
    let outcome = outcome(ended);
    if ended.call.is_none() && ended.too_late && ended.state == ActionState::Blocked.as_str() {
        return MemberEnd::Again { at: now.plus(TOO_LATE_DELAY), outcome: "too-late".to_owned(), counts: false };
    }
    let again = plan.retry.on.iter().any(|on| on.into_str() == outcome);
    if again && ended.tries < i32::from(plan.retry.tries) {
        return MemberEnd::Again { at: later(ended.ended), outcome: outcome.to_owned(), counts: true };
    }
    let detail = ended.reason.clone().filter(|_| ended.call.is_none());
    MemberEnd::Done { outcome: outcome.to_owned(), detail }
}

/// The result of a try: a call's last status, `machine`, `sent` for a message, `refused` by the provider, `blocked` by
/// the gate.
fn outcome(ended: &EndedTry) -> &str {
    let machine = ended.answered_by.as_deref().is_some_and(|who| who.starts_with("machine") || who == "fax");
    match (&ended.call, ended.state.as_str()) {
        (Some(status), _) if status == CallStatus::Completed.as_str() && machine => RetryOn::Machine.into_str(),
        (Some(status), _) => status,
        (None, "sent") => "sent",
        (None, "blocked") => "blocked",
        (None, _) => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ActionId;

    const NOW: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

    fn ended(state: &str, call: Option<&str>, answered_by: Option<&str>, tries: i32) -> EndedTry {
        EndedTry {
            key: "+34600111222".to_owned(),
            phone: "+34600111222".to_owned(),
            action: ActionId::new(uuid::Uuid::nil()),
            tries,
            state: state.to_owned(),
            reason: Some("why".to_owned()),
            too_late: false,
            call: call.map(str::to_owned),
            answered_by: answered_by.map(str::to_owned),
            ended: NOW,
        }
    }

    fn check(ended: &EndedTry, expect: &str) {
        let plan: Plan = serde_json::from_str(
            r#"{"sms": "hola", "retry": {"on": ["busy", "no-answer", "machine"], "after": "2h", "tries": 3}}"#,
        )
        .unwrap();
        let hours = |at: Timestamp| at.plus(Duration::from_secs(7_200));
        let shown = match end_of(&plan, ended, NOW, hours) {
            MemberEnd::Done { outcome, detail } => format!("{outcome} {}", detail.unwrap_or_default()),
            MemberEnd::Again { at, outcome, counts } => {
                format!("{outcome} again in {}{}", at.since(NOW).as_secs(), if counts { "" } else { ", uncounted" })
            }
        };
        assert_eq!(shown.trim(), expect);
    }

    #[test]
    fn only_what_was_asked_for_is_tried_again_and_only_so_often() {
        check(&ended("sent", Some("completed"), Some("human"), 1), "completed");
        check(&ended("sent", Some("busy"), None, 1), "busy again in 7200");
        check(&ended("sent", Some("no-answer"), None, 2), "no-answer again in 7200");
        check(&ended("sent", Some("no-answer"), None, 3), "no-answer");
        check(&ended("sent", Some("failed"), None, 1), "failed");
        check(&ended("sent", Some("completed"), Some("machine_end_beep"), 1), "machine again in 7200");
        check(&ended("failed", None, None, 1), "refused why");
        check(&ended("blocked", None, None, 1), "blocked why");
        check(&ended("sent", None, None, 1), "sent why");
        check(&EndedTry { too_late: true, ..ended("blocked", None, None, 3) }, "too-late again in 1, uncounted");
    }
}
