//! Tries that wait: a campaign goes on beside them, and counts each once when they have ended.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use recado::domain::{
    ActionId, CallDirection, CallStatus, CampaignState, Clock, DeliveryStatus, Phone, Route, SendQueue, Timestamp,
};
use recado::features::campaigns::round;
use recado::features::campaigns::round::UNKNOWN_FOR;
use recado::store::rows::tenant;
use recado::store::tables::campaigns::{Campaign, ListedMember};
use recado::store::{
    AttemptOutcome, AttemptResult, CallReport, Caller, Candidate, ClaimRequest, Claimed, Gate, Judge, OperatorDecision,
    QueuedSend,
};
use serde_json::{Value, json};

use super::campaigns_forecast::running;
use crate::faults::inside::Inside;
use crate::faults::rig::{ACCOUNT, OURS};
use crate::support::replace_tenant;

const SECOND: Duration = Duration::from_secs(1);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("it is a time")
}

/// A running campaign, with its clock.
struct Scene {
    inside: Inside,
    clock: Clock,
    campaign: Campaign,
}

impl Scene {
    async fn start(from: &str, settings: &str, plan: Value, members: Range<usize>) -> Self {
        let clock = Clock::simulated(at(from));
        let inside = Inside::at("http://127.0.0.1:1", clock.clone(), "").await;
        set(&inside, settings).await;
        let campaign = running(&inside, plan, members).await;
        Self { inside, clock, campaign }
    }

    /// The number of tries that a round plans.
    async fn round(&self) -> usize {
        round::round(&self.inside.store, &self.inside.directory).await.expect("it can be written").planned.len()
    }

    /// The sends that may leave a moment later.
    async fn claim(&self, judge: Judge) -> Vec<Claimed> {
        self.clock.advance(SECOND);
        let request = ClaimRequest {
            queue: SendQueue::new(self.campaign.tenant, Route::Twilio),
            account_sid: ACCOUNT.to_owned(),
            limit: 100,
            judge,
            recent_within: Duration::from_secs(600),
            stop_ends_calls: false,
            has_budget: false,
        };
        self.inside.store.writer().claim(request).await.expect("it can be claimed").sends
    }

    /// The sends that the gate itself lets through.
    async fn claim_by_the_gate(&self) -> Vec<Claimed> {
        let (gate, directory) = (recado::app::gate(&self.inside.installation), self.inside.directory.clone());
        self.claim(Arc::new(move |candidate, now| {
            let tenant = directory.now().by_id(candidate.send.tenant).expect("it is there").clone();
            gate.judge(candidate, now, &tenant.quiet(directory.platform()), &tenant.settings.sends)
        }))
        .await
    }

    async fn end(&self, claimed: &Claimed, end: AttemptResult) {
        let verdict = AttemptOutcome {
            send: claimed.send.clone(),
            attempt: claimed.attempt,
            result: end,
            http_status: None,
            error_code: None,
            detail: String::new(),
        };
        assert!(self.inside.store.writer().outcome(verdict).await.expect("it can be written"));
    }

    /// The provider accepted the call, and it ended like this.
    async fn completes(&self, claimed: &Claimed) {
        let sid = format!("CA{}", claimed.send.id.uuid().simple());
        self.end(claimed, AttemptResult::Sent { sid, status: DeliveryStatus::Queued }).await;
        self.report_sent(&claimed.send).await;
    }

    async fn report_sent(&self, send: &QueuedSend) {
        let caller = Caller {
            tenant: self.campaign.tenant,
            account: None,
            sid: format!("CA{}", send.id.uuid().simple()),
            direction: CallDirection::Out,
            peer: send.recipient.clone(),
            phone: Phone::parse(&send.recipient).ok(),
            number: OURS.to_owned(),
            action: Some(send.id),
            status: CallStatus::Completed,
            answered_by: None,
        };
        let report = CallReport {
            caller,
            duration_s: Some(10),
            recording: None,
            error_code: None,
            detail: None,
            silence_is_missed: false,
            tell_later: false,
            at: self.clock.now(),
        };
        self.inside.store.writer().call(report).await.expect("it can be written");
    }

    async fn settled(&self, action: ActionId, word: OperatorDecision) {
        self.inside.store.resolve(self.campaign.tenant, action, &word).await.expect("it can be written");
    }

    async fn members(&self) -> Vec<ListedMember> {
        self.inside.store.campaign_members(&self.campaign, None, 100).await.expect("they can be read")
    }

    async fn state(&self) -> CampaignState {
        let found = self.inside.store.campaign(self.campaign.tenant, self.campaign.id).await;
        found.expect("it can be read").expect("it is there").state
    }

    async fn counted(&self) -> Value {
        json!(self.inside.store.campaign_statistics(&self.campaign).await.expect("it can be counted"))
    }
}

async fn set(inside: &Inside, settings: &str) {
    let store = &inside.store;
    let (_, rows, _) = store.directory().await.expect("it can be read");
    let demo = rows.into_iter().find(|row| row.slug == "demo").expect("it is made");
    replace_tenant(store, tenant::Model { settings: settings.to_owned(), ..demo }).await.expect("it can be changed");
    inside.directory.refresh().await.expect("it can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsettled_try_does_not_stop_a_campaign_and_counts_once() {
    let plan = json!({"call": {"say": "Hello"}, "per_minute": 6_000, "at_once": 2, "retry": {"on": []}});
    let scene = Scene::start("2026-11-23T11:00:00Z", "{}", plan, 0..6).await;
    assert_eq!(scene.round().await, 2, "as many as may be at once");
    let first = std::sync::atomic::AtomicBool::new(true);
    let hold_one = move |_: &Candidate, _| match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
        true => Gate::Hold("loop guard".to_owned()),
        false => Gate::Pass,
    };
    let claimed = scene.claim(Arc::new(hold_one)).await;
    let [one] = &claimed[..] else { panic!("one is held: {claimed:?}") };
    let unknown = |scene: &Scene| AttemptResult::Unknown { look_at: scene.clock.now().plus(SECOND) };
    scene.end(one, unknown(&scene)).await;
    assert_eq!(scene.round().await, 1, "in the place of the one that is held");
    let claimed = scene.claim_by_the_gate().await;
    let [other] = &claimed[..] else { panic!("one is planned: {claimed:?}") };
    scene.end(other, unknown(&scene)).await;
    assert_eq!(scene.round().await, 0, "both may be under way");
    scene.clock.advance(UNKNOWN_FOR + SECOND);
    assert_eq!(scene.round().await, 2, "they would have told of themselves");
    for _ in 0..3 {
        for claimed in scene.claim_by_the_gate().await {
            scene.completes(&claimed).await;
        }
        scene.round().await;
    }
    let counted = scene.counted().await;
    assert_eq!((&counted["done"], &counted["trying"], &counted["waiting"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!(scene.state().await, CampaignState::Running, "three have not come to anything");

    // One was placed after all, one is given up, one is released.
    scene.report_sent(&one.send).await;
    scene.settled(other.send.id, OperatorDecision::GiveUp).await;
    let members = scene.members().await;
    let known = [one.send.id, other.send.id];
    let held = members.iter().find(|member| member.state == "trying" && !known.contains(&member.action.unwrap()));
    scene.settled(held.and_then(|member| member.action).expect("it is held"), OperatorDecision::GiveUp).await;
    scene.round().await;
    let counted = scene.counted().await;
    assert_eq!(counted["outcomes"], json!({"completed": 4, "refused": 1, "blocked": 1}), "{counted}");
    assert_eq!((&counted["calls"], &counted["tries"]), (&json!({"completed": 4}), &json!(6)), "{counted}");
    assert_eq!(scene.state().await, CampaignState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_in_quiet_hours_is_planned_again_when_the_hours_allow_it() {
    let quiet = r#"{"quiet": {"all": "21:00-09:00"}}"#;
    let plan = |windows: &str| json!({"call": {"say": "Hello"}, "windows": windows, "retry": {"on": []}});
    // In Madrid it is an hour later: quiet from nine on, the window goes on until eleven and begins at ten.
    let evening = "2026-11-23T19:59:58Z";
    for (before, after) in [(quiet, quiet), ("{}", quiet)] {
        let scene = Scene::start(evening, before, plan("mon-sun 10:00-23:00"), 1..2).await;
        assert_eq!(scene.round().await, 1);
        // It cannot leave at once, and later it may not.
        set(&scene.inside, after).await;
        scene.clock.set(at("2026-11-23T20:00:05Z"));
        assert!(scene.claim_by_the_gate().await.is_empty());
        for _ in 0..3 {
            assert_eq!(scene.round().await, 0);
            scene.clock.advance(SECOND);
        }
        let [member] = &scene.members().await[..] else { panic!("there is one") };
        assert_eq!((member.state.as_str(), member.tries), ("waiting", 0), "{member:?}");
        assert_eq!(member.due_at, at("2026-11-24T09:00:00Z"), "when both let it: {member:?}");
        scene.clock.set(at("2026-11-24T09:00:00Z"));
        assert_eq!(scene.round().await, 1);
        let claimed = scene.claim_by_the_gate().await;
        scene.completes(&claimed[0]).await;
        scene.round().await;
        let counted = scene.counted().await;
        assert_eq!((&counted["outcomes"], &counted["tries"]), (&json!({"completed": 1}), &json!(1)), "{counted}");
        assert_eq!(counted["calls"], json!({"completed": 1}));
    }
}
