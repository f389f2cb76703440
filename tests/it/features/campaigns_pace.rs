//! A campaign of 10,000 numbers on a simulated clock: pace, windows and retries are kept exactly.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use futures_util::future::join_all;
use recado::domain::{
    ActionId, CallDirection, CallStatus, CampaignState, Clock, DeliveryStatus, Phone, Route, SendQueue, Timestamp,
};
use recado::features::campaigns;
use recado::features::campaigns::{Plan, round};
use recado::store::tables::campaigns::{Campaign, NewMember};
use recado::store::{AttemptOutcome, AttemptResult, CallReport, Caller, ClaimRequest, Claimed, Gate};
use recado::time::zone::to_wall;

use crate::faults::inside::Inside;
use crate::faults::rig::{ACCOUNT, OURS};

const MEMBERS: usize = 10_000;
const TRIES: i32 = 3;
const PER_MINUTE: usize = 6_000;
const AT_ONCE: usize = 1_000;
/// The length of each day's window: too short for all members.
const WINDOW_MINUTES: u32 = 1;
const STEP: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_secs(2 * 3_600);
/// The length of each call.
const CALL: Duration = Duration::from_secs(5);
/// A Monday; in Madrid it is an hour later.
const START: &str = "2026-11-23T08:59:50Z";

/// One member in ten is in New York, the others in Spain.
fn number(n: usize) -> String {
    if n.is_multiple_of(10) { format!("+1212555{n:04}") } else { format!("+346{n:08}") }
}

fn zone(number: &str) -> Tz {
    if number.starts_with("+1") { Tz::America__New_York } else { Tz::Europe__Madrid }
}

/// The outcome of a try: of ten numbers, two are busy at first, one never answers, one is out of order.
fn ends(number: &str, tries: usize) -> CallStatus {
    match (number.bytes().rev().nth(1).unwrap_or_default() % 10, tries) {
        (0 | 1, 1) => CallStatus::Busy,
        (2, _) => CallStatus::NoAnswer,
        (3, _) => CallStatus::Failed,
        _ => CallStatus::Completed,
    }
}

/// A call that was placed.
#[derive(Clone, Debug)]
struct Made {
    due: Timestamp,
    at: Timestamp,
}

/// All called members, and the provider that calls them.
struct Run {
    inside: Inside,
    clock: Clock,
    campaign: Campaign,
    made: HashMap<String, Vec<Made>>,
    actions: HashMap<ActionId, usize>,
    /// Calls in progress, by when they end.
    under_way: BTreeMap<Timestamp, Vec<(ActionId, String, usize)>>,
    at_once: usize,
}

impl Run {
    async fn start() -> Self {
        let clock = Clock::simulated(Timestamp::parse(START).expect("it is a time"));
        let inside = Inside::at("http://127.0.0.1:1", clock.clone(), "").await;
        let plan: Plan = serde_json::from_value(serde_json::json!({
            "call": {"say": "Hello {name}"}, "windows": format!("mon-fri 10:00-10:{WINDOW_MINUTES:02}"), "per_minute": PER_MINUTE,
            "at_once": AT_ONCE, "retry": {"on": ["busy", "no-answer"], "after": "2h", "tries": TRIES}
        }))
        .expect("it is a plan");
        let store = &inside.store;
        let tenant = inside.directory.now().by_slug("demo").expect("it is there").clone();
        let rules = inside.pipeline.rules();
        let campaign =
            campaigns::add(store, &rules, &tenant, store.ids().next(), "many", &plan).await.expect("it is good");
        let member = |n| NewMember {
            phone: Phone::parse(&number(n)).expect("a number"),
            name: String::new(),
            fields: BTreeMap::new(),
        };
        let members: Vec<NewMember> = (0..MEMBERS).map(member).collect();
        assert_eq!(campaigns::add_members(store, &campaign, &members).await.unwrap(), MEMBERS as u64);
        assert_eq!(campaigns::add_members(store, &campaign, &members).await.unwrap(), 0, "each once");
        let campaign =
            campaigns::transition(store, &rules, &tenant, &campaign, CampaignState::Running).await.expect("it starts");
        let (made, actions, under_way) = Default::default();
        Self { inside, clock, campaign, made, actions, under_way, at_once: 0 }
    }

    /// One round of the campaign, and what the provider does meanwhile.
    async fn step(&mut self) {
        self.hang_up().await;
        round::round(&self.inside.store, &self.inside.directory).await.expect("it can be written");
        // A repeated round plans nothing new.
        round::round(&self.inside.store, &self.inside.directory).await.expect("it can be written");
        self.call().await;
    }

    /// The provider accepts whatever is due.
    async fn call(&mut self) {
        let store = &self.inside.store;
        let request = ClaimRequest {
            queue: SendQueue::new(self.campaign.tenant, Route::Twilio),
            account_sid: ACCOUNT.to_owned(),
            limit: 1_000,
            judge: Arc::new(|_, _| Gate::Pass),
            recent_within: Duration::from_secs(600),
            stop_ends_calls: false,
            has_budget: false,
        };
        let claims = store.writer().claim(request).await.expect("it can be claimed");
        let now = self.clock.now();
        let taken = claims.sends.iter().map(|one| store.writer().outcome(sent(one)));
        assert!(join_all(taken).await.into_iter().all(|moved| moved.expect("it can be written")));
        for Claimed { send, .. } in claims.sends {
            let made = self.made.entry(send.recipient.clone()).or_default();
            // Its place in the queue is the time it was planned for.
            made.push(Made { due: send.planned_at, at: now });
            *self.actions.entry(send.id).or_default() += 1;
            let ends = self.under_way.entry(now.plus(CALL)).or_default();
            ends.push((send.id, send.recipient.clone(), made.len()));
        }
        let at_once = self.under_way.values().map(Vec::len).sum();
        self.at_once = self.at_once.max(at_once);
    }

    /// Ends calls whose time is over; each end is reported twice.
    async fn hang_up(&mut self) {
        let now = self.clock.now();
        let later = self.under_way.split_off(&now.plus(Duration::from_micros(1)));
        let over = std::mem::replace(&mut self.under_way, later);
        let writer = self.inside.store.writer();
        let reports = over.into_values().flatten().flat_map(|(action, number, tries)| {
            let report = report(&self.campaign, action, &number, ends(&number, tries), now);
            [writer.call(report.clone()), writer.call(report)]
        });
        for report in join_all(reports).await {
            report.expect("it can be written");
        }
    }

    async fn is_done(&self) -> bool {
        let store = &self.inside.store;
        let campaign = store.campaign(self.campaign.tenant, self.campaign.id).await.unwrap().expect("it is there");
        campaign.state == CampaignState::Done
    }

    /// Skips to just before the next window, because nothing happens until then.
    async fn skip(&self) {
        if !self.under_way.is_empty() {
            return;
        }
        let (trying, next) = self.inside.store.campaign_outlook(&self.campaign).await.unwrap();
        if let Some(next) = next.filter(|next| trying == 0 && next.since(self.clock.now()) > STEP * 10) {
            self.clock.set(next.minus(STEP * 2));
        }
    }
}

fn sent(claimed: &Claimed) -> AttemptOutcome {
    let sid = format!("CA{}", claimed.send.id.uuid().simple());
    AttemptOutcome {
        send: claimed.send.clone(),
        attempt: claimed.attempt,
        result: AttemptResult::Sent { sid, status: DeliveryStatus::Queued },
        http_status: Some(201),
        error_code: None,
        detail: String::new(),
    }
}

fn report(campaign: &Campaign, action: ActionId, number: &str, status: CallStatus, at: Timestamp) -> CallReport {
    let caller = Caller {
        tenant: campaign.tenant,
        account: None,
        sid: format!("CA{}", action.uuid().simple()),
        direction: CallDirection::Out,
        peer: number.to_owned(),
        phone: Phone::parse(number).ok(),
        number: OURS.to_owned(),
        action: Some(action),
        status,
        answered_by: None,
    };
    CallReport {
        caller,
        duration_s: Some(10),
        recording: None,
        error_code: None,
        detail: None,
        silence_is_missed: false,
        tell_later: false,
        at,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_numbers_keep_pace_windows_and_retries() {
    let mut run = Run::start().await;
    // A week of windows, with rounds to spare.
    for _ in 0..5_000 {
        run.step().await;
        if run.is_done().await {
            break;
        }
        run.clock.advance(STEP);
        run.skip().await;
    }
    assert!(run.is_done().await, "{:?}", run.clock.now());
    assert!(run.actions.values().all(|count| *count == 1), "no one is called twice for one try");
    assert_eq!(run.made.len(), MEMBERS, "each member is called");
    assert!(run.at_once <= AT_ONCE, "{} calls at once", run.at_once);
    let mut slots: Vec<Timestamp> = Vec::new();
    let mut outcomes: BTreeMap<String, i64> = BTreeMap::new();
    for (number, made) in &run.made {
        let last = ends(number, made.len());
        let again = matches!(last, CallStatus::Busy | CallStatus::NoAnswer) && made.len() < TRIES as usize;
        assert!(!again, "{number} is tried again: {made:?}");
        for (before, after) in made.iter().zip(made.iter().skip(1)) {
            assert!(after.due >= before.at.plus(CALL).plus(RETRY_AFTER), "{number}: {made:?}");
        }
        for one in made {
            let wall = to_wall(one.due, zone(number));
            let open = wall.weekday().num_days_from_monday() < 5 && wall.hour() == 10 && wall.minute() < WINDOW_MINUTES;
            assert!(open, "{number} is called at {wall}");
            assert!(one.at.since(one.due) < STEP, "{number} was due at {} and called at {}", one.due, one.at);
            slots.push(one.due);
        }
        *outcomes.entry(last.to_string()).or_default() += 1;
    }
    slots.sort();
    let apart = Duration::from_secs(60) / PER_MINUTE as u32;
    // Planned times differ from their slots by a few microseconds, so that each is distinct.
    let close = slots.windows(2).find(|pair| pair[1].since(pair[0]) + Duration::from_micros(100) < apart);
    assert!(close.is_none(), "{close:?} are closer than the pace");
    // The first window is full: as many as the pace allows, and not one less.
    let opens = Timestamp::parse("2026-11-23T09:00:00Z").expect("it is a time");
    let first =
        slots.iter().filter(|slot| slot.since(opens) < Duration::from_secs(60 * u64::from(WINDOW_MINUTES))).count();
    assert_eq!(first, PER_MINUTE * WINDOW_MINUTES as usize);
    let store = &run.inside.store;
    let counted = store.campaign_statistics(&run.campaign).await.unwrap();
    assert_eq!(counted.outcomes, outcomes);
    assert_eq!((counted.done, counted.tries), (MEMBERS as i64, slots.len() as i64));
    assert_eq!(counted.calls.values().sum::<i64>(), slots.len() as i64, "each call counts once");
}
