//! One row that cannot be read, or that the database refuses, among many that are sound.

use std::time::Duration;

use recado::app;
use recado::domain::event::InboundData;
use recado::domain::{Channel, Clock, Phone, TenantId, Timestamp};
use recado::store::{EventSetAside, NewInbound};
use rusqlite::Connection;
use secrecy::ExposeSecret;

use super::inside::Inside;
use super::rig::{ECHO, OURS, Provider, customer};
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const TEXTS: usize = 60;
const WITHIN: Duration = Duration::from_secs(60);

fn text(tenant: TenantId, number: usize, at: Timestamp) -> NewInbound {
    let from = customer(number);
    let data = InboundData {
        from: from.clone(),
        to: OURS.to_owned(),
        body: format!("t{number}"),
        provider_sid: message_sid(number as u128),
        ..InboundData::default()
    };
    NewInbound::new(tenant, Channel::Sms, Phone::parse(&from).ok().map(Into::into), data, at, 1, None)
}

/// An event whose row is damaged, and one whose decision the database refuses: the others are answered, these two are
/// tried five times and then wait, and can be released.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_is_set_aside_after_five_tries_and_the_others_go_on() {
    let provider = Provider::start(9).await;
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let inside = Inside::at(&provider.url, clock.clone(), ECHO).await;
    let store = &inside.installation.store;
    let tenant = inside.installation.directory.now().by_slug("demo").expect("it is made").id;
    let mut events = Vec::new();
    for number in 0..TEXTS {
        let ingested = store.writer().ingest(text(tenant, number, clock.now())).await.expect("it is stored");
        events.push(ingested.event.expect("it is new"));
    }
    let path = recado::store::sqlite_path(inside.installation.config.database_url.expose_secret()).expect("SQLite");
    let db = Connection::open(path).expect("it is there");
    db.busy_timeout(WITHIN).expect("it can be set");
    let (damaged, refused) = (events[7], events[41]);
    let hex = |event: recado::domain::EventId| event.uuid().simple().to_string();
    let good: String = db
        .query_row(&format!("SELECT data FROM events WHERE id = x'{}'", hex(damaged)), [], |row| row.get(0))
        .expect("it is there");
    db.execute_batch(&format!("UPDATE events SET data = '{{' WHERE id = x'{}'", hex(damaged))).expect("it is ours");
    db.execute_batch(&format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON rule_runs WHEN NEW.event_id = x'{}'
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
        hex(refused)
    ))
    .expect("it can be made");
    let _loops = app::start_loops(&inside.engine);
    inside.pipeline.wake_dispatch(tenant);
    provider.wait_taken(TEXTS as u64 - 2).await;

    let aside = |ready: fn(&EventSetAside) -> bool| {
        let clock = &clock;
        eventually(WITHIN, move || async move {
            let rows = store.events_set_aside(tenant, 10).await.expect("they can be listed");
            if rows.len() == 2 && rows.iter().all(ready) {
                return Ok(rows);
            }
            // The sweep looks every second, and a minute lies between two tries.
            clock.advance(Duration::from_secs(20));
            Err(rows)
        })
    };
    let rows = aside(|_| true).await;
    let error_of = |event| rows.iter().find(|row| row.event == event).expect("it is set aside").error.clone();
    assert!(error_of(refused).contains("refused by the test"), "{rows:?}");
    assert!(error_of(damaged).contains("cannot be read"), "{rows:?}");
    let rows = aside(|row| row.retry_at.is_none()).await;
    assert!(rows.iter().all(|row| row.tries == 5), "{rows:?}");
    assert_eq!(provider.carrier.taken(), TEXTS as u64 - 2);

    db.execute_batch(&format!(
        "DROP TRIGGER refuse; UPDATE events SET data = '{}' WHERE id = x'{}'",
        good.replace('\'', "''"),
        hex(damaged)
    ))
    .expect("it is ours");
    assert_eq!(store.redrive_events(tenant, None).await.expect("they can be released"), 2);
    eventually(WITHIN, || async {
        let taken = provider.carrier.taken();
        if taken == TEXTS as u64 {
            return Ok(());
        }
        clock.advance(Duration::from_secs(1));
        Err(taken)
    })
    .await;
    for number in [7, 41] {
        assert_eq!(provider.carrier.count_to(&customer(number)), 1, "text {number}");
    }
}
