//! The promises: each foreseen send is sent as foreseen, and each send was foreseen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use recado::app::Installation;
use recado::app::rehearsal::Rehearsal;
use recado::config::Config;
use recado::domain::{Channel, Clock, Phone, Timestamp};
use recado::ops::forecast;
use recado::ops::forecast::Forecast;
use recado::tenants::new_tenant;
use tempfile::TempDir;

use super::{
    CUSTOMERS, DAY, DAYS, INSTANT, LEFT_ALONE, NOBODY, SEEDS, SendRecord, Unannounced, WHERE, seconds, seeded, settings,
};
use crate::support::replace_tenant;

fn foreseen_sends(forecast: &Forecast, from: Timestamp, until: Timestamp) -> Vec<SendRecord> {
    let within = forecast.sends.iter().filter(|send| send.at > from && send.at <= until);
    let record = |send: &forecast::ForecastSend| {
        let outcome = send.outcome.as_str();
        let (to, channel) = (send.to.clone(), send.channel.to_string());
        (seconds(send.at), send.tenant.clone(), to, channel, send.rule.clone(), send.text.clone(), outcome.to_owned())
    };
    let mut records: Vec<SendRecord> = within.map(record).collect();
    records.sort();
    records
}

#[track_caller]
fn assert_same(forecasted: &[SendRecord], sent: &[SendRecord], what: &str) {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (forecasted.iter().collect(), sent.iter().collect());
    let missing: Vec<_> = one.difference(&other).take(5).collect();
    let unforeseen: Vec<_> = other.difference(&one).take(5).collect();
    assert!(
        forecasted == sent,
        "{what}: foreseen and not sent so: {missing:#?}\nsent and not foreseen so: {unforeseen:#?}\n{} foreseen, {} sent",
        forecasted.len(),
        sent.len()
    );
}

async fn a_season(seed: u64) -> (usize, BTreeMap<String, usize>) {
    let mut run = seeded(seed).await;
    run.rehearsal.settle().await.expect("the database answers");
    // Customers that are left alone have appointments, too.
    for number in 0..run.businesses.len() {
        for customer in run.businesses[number].customers.clone() {
            let booked = run.book(&run.businesses[number], &customer).await;
            if run.businesses[number].customers[..CUSTOMERS - LEFT_ALONE].contains(&customer) {
                run.appointments.push(booked);
            }
        }
    }
    run.businesses.iter().for_each(|one| run.rehearsal.engine.pipeline.wake_for_rows(one.id));
    run.rehearsal.settle().await.expect("the database answers");
    let begin = run.rehearsal.now();
    let end = begin.plus(DAY * DAYS as u32);
    let first = run.foresee(end).await;
    assert_eq!(first.cut, None);
    let (mut forecasts, mut outcomes) = (0, BTreeMap::new());
    let mut unannounced = Unannounced::default();
    while run.rehearsal.now() < end {
        let from = run.rehearsal.now();
        let until = from.plus(Duration::from_secs(60 * (1 + run.below(5 * 24 * 60) as u64))).min(end);
        // A send of this very instant may have left before.
        let before = run.settled_sends(from.minus(INSTANT), from).await;
        let forecast = run.foresee(until.plus(DAY)).await;
        run.announce(unannounced).await;
        run.rehearsal.go_to(until).await.expect("the database answers");
        let sent = run.new_sends(before, from.minus(INSTANT), until).await;
        let forecasted = foreseen_sends(&forecast, from.minus(INSTANT), until);
        assert_same(&forecasted, &sent, &format!("seed {seed}, from {from} until {until}"));
        for one in sent {
            *outcomes.entry(format!("{} {}", one.6, one.4)).or_default() += 1;
        }
        forecasts += 1;
        unannounced = run.surprises().await;
        // Half of it has been dealt with before the next forecast is made.
        if run.below(2) == 0 {
            run.announce(std::mem::take(&mut unannounced)).await;
            run.rehearsal.settle().await.expect("the database answers");
        }
    }
    let left_alone: BTreeSet<String> = run
        .businesses
        .iter()
        .take(WHERE.len() - 1)
        .flat_map(|one| &one.customers[CUSTOMERS - LEFT_ALONE..])
        .map(ToString::to_string)
        .chain([NOBODY.to_owned()])
        .collect();
    let changes = WHERE[WHERE.len() - 1].0;
    let is_theirs = |one: &SendRecord| left_alone.contains(&one.2) && one.1 != changes;
    let of_them = |sent: Vec<SendRecord>| sent.into_iter().filter(is_theirs).collect::<Vec<_>>();
    let sent = of_them(run.settled_sends(begin, end).await);
    assert!(sent.len() > 50, "seed {seed}: {} sends", sent.len());
    assert_same(
        &of_them(foreseen_sends(&first, begin, end)),
        &sent,
        &format!("seed {seed}, {DAYS} days of the first forecast"),
    );
    (forecasts, outcomes)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_send_is_the_one_foreseen_and_what_is_foreseen_is_sent() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("FORESIGHT_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("FORESIGHT_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        eprintln!("seed {seed}: FORESIGHT_SEED={seed} runs it alone");
        let (forecasts, outcomes) = a_season(seed).await;
        eprintln!("seed {seed}: {DAYS} days, {forecasts} forecasts, all kept: {outcomes:?}");
        for rule in ["booked", "day before", "hours before", "news", "nightly", "joins", "asks", "offer ends"] {
            assert!(outcomes.get(&format!("send {rule}")).is_some_and(|sent| *sent > 0), "{rule}: {outcomes:?}");
        }
    }
}

/// One case of each kind, where it surely makes a difference.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_decided_and_what_is_planned_anew_is_foreseen() {
    let varies = |hours: u32| {
        format!(
            "rule(\"varies\").before(\"{hours}h\", \"appointment.starts_at\").then(|e| send_sms(e.contact, \"{hours}\"));"
        )
    };
    let mut run = seeded(1).await;
    run.rehearsal.settle().await.expect("the database answers");
    let from = run.rehearsal.now();
    let file = run.folder.path().join("rules/varying.rhai");
    std::fs::write(&file, varies(8)).expect("the folder is ours");
    let store = run.rehearsal.installation.store.clone();
    let (_, rows, _) = store.directory().await.expect("the database answers");
    let mut row = rows.into_iter().find(|row| row.slug == WHERE[0].0).expect("it is there");
    row.settings = r#"{"quiet":{"all":"20:30-10:15"}}"#.to_owned();
    replace_tenant(&store, row).await.expect("it can be changed");
    run.rehearsal.installation.directory.refresh().await.expect("the database answers");
    let sol = &run.businesses[0];
    let [ana, leo, eva, ..] = &sol.customers[..] else { panic!("there are some") };
    // By the clock in Madrid; the days are such on which it does not change.
    let at = |days: u32, time: &str| {
        let day = from.plus(DAY * days).to_utc().date_naive().and_time(time.parse().expect("a time"));
        recado::time::zone::to_instant(day, sol.zone)
    };
    run.book_at(sol, ana, sol.zone, at(3, "17:00:00")).await;
    run.book_at(sol, leo, sol.zone, at(4, "17:00:00")).await;
    run.announce(Unannounced { events: vec![sol.id], rules: true }).await;
    run.rehearsal.settle().await.expect("the database answers");
    run.book_at(sol, eva, sol.zone, at(3, "08:00:00")).await;
    run.write_text(sol, ana, Channel::Sms, "X").await;
    std::fs::write(&file, varies(5)).expect("the folder is ours");

    let (from, until) = (run.rehearsal.now(), at(5, "00:00:00"));
    let before = run.settled_sends(from.minus(INSTANT), from).await;
    let forecast = run.foresee(until).await;
    let forecasted = foreseen_sends(&forecast, from.minus(INSTANT), until);
    let of = |customer: &Phone, rule: &str| {
        let sent = forecasted.iter().find(|one| one.2 == customer.to_string() && one.4 == rule);
        sent.map(|one| (one.0, one.5.as_str()))
    };
    assert_eq!(of(eva, "hours before"), Some((at(2, "20:25:00"), "Soon.")), "the evening before");
    assert_eq!(of(leo, "varies"), Some((at(4, "12:00:00"), "5")), "as the file says");
    assert_eq!(of(ana, "sorry").map(|one| one.1), Some("Cancelled by the customer."));
    assert_eq!(of(ana, "varies"), None, "it will not take place");
    assert!(forecast.replanned);
    run.announce(Unannounced { events: vec![sol.id], rules: true }).await;
    run.rehearsal.go_to(until).await.expect("the database answers");
    assert_same(&forecasted, &run.new_sends(before, from.minus(INSTANT), until).await, "five days");
}

/// Sends of several businesses from one number to one customer go one after another, and none waits for the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn businesses_that_share_a_number_do_not_wait_for_a_sweep() {
    const BUSINESSES: usize = 6;
    const HOURS: usize = 24;
    let folder = TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("rules")).expect("the folder is ours");
    let rule = r#"rule("hourly").cron("0 * * * *").then(|e| send_sms("+34600999888", `From ${e.business.name}`));"#;
    std::fs::write(folder.path().join("rules/all.rhai"), rule).expect("the folder is ours");
    let config = || Config::load(folder.path(), settings(&folder)).expect("the settings are good");
    let begin = Timestamp::parse("2026-11-21T08:59:00Z").expect("a time");
    let installation =
        Installation::with(config(), Clock::simulated(begin), folder.path()).await.expect("it can be opened");
    for number in 0..BUSINESSES {
        let mut row = new_tenant(&installation.store, &format!("shop-{number}"), "Shop");
        row.settings = r#"{"quiet":{"all":"off"}}"#.to_owned();
        installation.store.add_tenant(row).await.expect("the slug is free");
    }
    drop(installation);
    let mut rehearsal = Rehearsal::begin(config(), folder.path(), begin).await.expect("a rehearsal can begin");
    let end = begin.plus(Duration::from_secs(3_600) * HOURS as u32);
    rehearsal.go_to(end).await.expect("the database answers");
    let mut sent = 0;
    for tenant in rehearsal.installation.directory.now().tenants() {
        for send in rehearsal.installation.store.settled_sends(tenant.id, begin, end).await.expect("it answers") {
            assert_eq!(send.due.unix_us() % 3_600_000_000, 0, "{}: it left at {}", tenant.slug, send.due);
            sent += 1;
        }
    }
    // One more tenant exists from the start.
    assert_eq!(sent, HOURS * (BUSINESSES + 1));
}
