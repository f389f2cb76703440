//! A campaign's rounds do what its forecast says.

use std::collections::BTreeMap;
use std::time::Duration;

use recado::app;
use recado::domain::{CampaignState, Channel, Clock, Phone, Timestamp};
use recado::features::campaigns;
use recado::features::campaigns::{Plan, round};
use recado::ops::forecast;
use recado::ops::forecast::{Forecast, ForecastInputs, Outcome};
use recado::store::tables::campaigns::{Campaign, NewMember};
use serde_json::{Value, json};

use crate::faults::inside::Inside;

/// A Monday, three minutes before ten in Madrid.
const START: &str = "2026-11-23T08:57:00Z";
const MEMBERS: usize = 40;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// One in four is in New York.
fn number(n: usize) -> String {
    if n.is_multiple_of(4) { format!("+1212555{n:04}") } else { format!("+346{n:08}") }
}

/// A running campaign, with these members.
pub async fn running(inside: &Inside, plan: Value, members: std::ops::Range<usize>) -> Campaign {
    let store = &inside.store;
    let plan: Plan = serde_json::from_value(plan).expect("it is a plan");
    let tenant = inside.directory.now().by_slug("demo").expect("it is there").clone();
    let campaign = campaigns::add(store, &inside.pipeline.rules(), &tenant, store.ids().next(), "spring", &plan)
        .await
        .expect("it is good");
    let member = |n| NewMember {
        phone: Phone::parse(&number(n)).expect("a number"),
        name: format!("n{n}"),
        fields: BTreeMap::new(),
    };
    let members: Vec<NewMember> = members.map(member).collect();
    campaigns::add_members(store, &campaign, &members).await.expect("it is open");
    campaigns::transition(store, &inside.pipeline.rules(), &tenant, &campaign, CampaignState::Running)
        .await
        .expect("it starts")
}

async fn foreseen(inside: &Inside, days: u32) -> Forecast {
    let rules = inside.rules("");
    let installation = &inside.installation;
    let inputs = ForecastInputs {
        store: &installation.store,
        directory: &installation.directory,
        rules: &rules,
        gate: app::gate(installation),
        prices: &installation.config.prices,
    };
    forecast::forecast(&inputs, None, installation.clock.now().plus(DAY * days)).await.expect("it can be made")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_keeps_a_campaigns_windows_and_pace() {
    let clock = Clock::simulated(Timestamp::parse(START).expect("a time"));
    let inside = Inside::at("http://127.0.0.1:1", clock.clone(), "").await;
    let store = inside.store.clone();
    // A day's window lets through a dozen or two of them.
    let plan = json!({"sms": "Hello {name}", "windows": "mon-fri 10:00-10:07", "per_minute": 2, "at_once": 1_000});
    let campaign = running(&inside, plan, 0..MEMBERS).await;
    let one_day = foreseen(&inside, 1).await;
    let forecast = foreseen(&inside, 7).await;
    assert_eq!(forecast.cut, None);
    assert_eq!(one_day.sends, forecast.sends[..one_day.sends.len()], "a shorter look sees the same");
    assert!(one_day.sends.len() < MEMBERS, "{}", one_day.sends.len());
    assert!(forecast.sends.iter().all(|one| one.rule == "campaign spring" && one.channel == Channel::Sms));
    assert!(forecast.sends.iter().all(|one| one.outcome == Outcome::Send && one.text.starts_with("Hello n")));

    // The same week, in simulated time.
    let mut planned: Vec<Timestamp> = Vec::new();
    for _ in 0..5_000 {
        planned.extend(round::round(&store, &inside.directory).await.unwrap().planned.iter().map(|one| one.1));
        let (_, next) = store.campaign_outlook(&campaign).await.unwrap();
        let Some(next) = next else { break };
        clock.advance(Duration::from_secs(1));
        if next > clock.now().plus(Duration::from_secs(10)) {
            clock.set(next);
        }
    }
    assert_eq!(planned.len(), MEMBERS);
    assert_eq!(forecast.sends.iter().map(|one| one.at).collect::<Vec<_>>(), planned);
    assert_eq!(foreseen(&inside, 7).await.sends.len(), MEMBERS, "what is planned is foreseen once still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_respects_do_not_call_and_paused_campaigns() {
    let clock = Clock::simulated(Timestamp::parse(START).expect("a time"));
    let inside = Inside::at("http://127.0.0.1:1", clock, "").await;
    let store = inside.store.clone();
    let plan = json!({"call": {"say": "Hello"}, "per_minute": 60});
    let campaign = running(&inside, plan, 0..3).await;
    let stopped = Phone::parse(&number(1)).expect("a number");
    store.set_do_not_call(campaign.tenant, &stopped, true).await.unwrap();
    let round = round::round(&store, &inside.directory).await.unwrap();
    assert_eq!(round.planned.len(), 2, "as many as there are slots");
    let forecast = foreseen(&inside, 1).await;
    let said: Vec<_> = forecast.sends.iter().map(|one| (one.to.clone(), one.channel, one.outcome)).collect();
    let by = |n: usize, outcome| (number(n), Channel::Voice, outcome);
    assert_eq!(said, [by(0, Outcome::Send), by(1, Outcome::Blocked), by(2, Outcome::Send)], "{forecast:?}");
    let tenant = inside.directory.now().by_slug("demo").expect("it is there").clone();
    campaigns::transition(&store, &inside.pipeline.rules(), &tenant, &campaign, CampaignState::Paused)
        .await
        .expect("it pauses");
    assert!(foreseen(&inside, 1).await.sends.is_empty());
}
