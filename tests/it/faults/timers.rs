//! Timers and faults of their server: it is killed while timers fire, stopped and woken, and its clock is set. No timer is
//! lost, and none fires twice.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::{Clock, Ids, NewTimer, Purpose, TenantId, TimerId};
use recado::store::{Options, Store};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use uuid::Uuid;

use super::rig::{self, Dice, Look, Provider};
use crate::support::postgres::Database;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

/// A rule whose timer emits its number. The emitted event is decided, too.
const RULE: &str =
    "rule(\"count\").on(\"begun\").after(\"1h\").then(|e| emit(\"counted\", #{ number: e.data.number }));
rule(\"begins\").on(\"inbound_sms\").then(|e| emit(\"begun\"));
rule(\"end\").on(\"counted\").when(\"no\", |e| false).then(|e| note(\"x\"));\n";
const TIMERS: usize = 1_200;
/// One in this many seeds is run, because each run fires all timers through several lives.
const SEEDS_IN: u64 = 8;
/// Time limit of the last process until no timer is due.
const DONE_WITHIN: Duration = Duration::from_secs(90);
/// The time for which a process is stopped.
const STOPPED_FOR: Duration = Duration::from_secs(60);

/// Timers of the demo tenant that are due already.
fn due(store: &Store, tenant: TenantId, count: usize) -> Vec<NewTimer> {
    let begun = store.clock().now().minus(Duration::from_secs(60));
    let timer = |number: usize| NewTimer {
        id: TimerId::of(tenant, "count", Uuid::from_u128(number as u128)),
        due: begun.plus(Duration::from_millis(number as u64)),
        tenant,
        purpose: Purpose::After,
        rule: "count".to_owned(),
        timing: "after 1h".to_owned(),
        contact: None,
        subject: None,
        payload: json!({"number": number}),
    };
    (0..count).map(timer).collect()
}

async fn demo(store: &Store) -> TenantId {
    let (_, tenants, _) = store.directory().await.expect("the tenants can be read");
    TenantId::new(tenants.iter().find(|tenant| tenant.slug == "demo").expect("it is there").id)
}

fn options(provider: &Provider) -> ServerOptions {
    rig::options(&provider.url).file("rules/echo.rhai", RULE)
}

/// Counts the emitted events of each timer, by number.
fn counted(rows: Vec<(String, String)>) -> BTreeMap<String, BTreeMap<u64, usize>> {
    let mut counts: BTreeMap<String, BTreeMap<u64, usize>> = BTreeMap::new();
    for (kind, data) in rows {
        let data: serde_json::Value = serde_json::from_str(&data).expect("JSON of ours");
        let number = data["number"].as_u64().expect("each has its number");
        *counts.entry(kind).or_default().entry(number).or_default() += 1;
    }
    counts
}

fn assert_once(rows: Vec<(String, String)>, count: usize) {
    let counts = counted(rows);
    for kind in ["timer", "counted"] {
        let of_kind = counts.get(kind).cloned().unwrap_or_default();
        let twice: Vec<_> = of_kind.iter().filter(|(_, times)| **times != 1).collect();
        assert_eq!((of_kind.len(), twice), (count, vec![]), "events of kind {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_timers_fire_none_is_lost_and_none_fires_twice() {
    let (mut lives, mut deaths) = (0, 0);
    for (of_seed, died) in rig::one_seed_in(SEEDS_IN, killed).await {
        lives += of_seed;
        deaths += died;
    }
    eprintln!("killed {deaths} of {lives} times while timers fired");
    rig::assert_points_fired("timers", lives, deaths);
}

/// Gives the number of lives with an abort point, and of those that ended at it.
async fn killed(seed: u64) -> (usize, usize) {
    let dice = Dice::new(seed);
    let provider = Provider::start(seed).await;
    let mut server = Server::prepare(options(&provider));
    server.start_again().await;
    server.kill();
    let store = rig::open(server.folder()).await;
    let tenant = demo(&store).await;
    for part in due(&store, tenant, TIMERS).chunks(500) {
        store.plan_timers(part).await.expect("they can be written");
    }
    drop(store);
    let (lives, mut deaths) = (dice.between(1, 3), 0);
    for _ in 0..lives {
        // Three batches of timers fire, and their events are decided beside them.
        let (point, passings) = *dice.pick(&[("timers-taken", 3), ("before-commit", 8), ("after-commit", 8)]);
        server.set_env("RECADO_ABORT_AT", &format!("{point}:{}", dice.between(1, passings)));
        server.spawn();
        if server.ready_or_ended().await.is_ok() {
            let left = Look::into(server.folder()).await;
            eventually(DONE_WITHIN, || {
                let (runs, left) = (server.is_running(), &left);
                async move {
                    let open = left.count("timers").await + left.count("events WHERE handled_us IS NULL").await;
                    if open == 0 || !runs { Ok(()) } else { Err(open) }
                }
            })
            .await;
        }
        deaths += usize::from(!server.is_running());
        server.kill();
    }
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    let look = Look::into(server.folder()).await;
    eventually(DONE_WITHIN, || async {
        let timers = look.count("timers").await;
        look.open().await.and(if timers == 0 { Ok(()) } else { Err(format!("{timers} timers")) })
    })
    .await;
    server.kill();
    look.assert_sound().await;
    let events = look.events().await.into_iter().map(|event| (event.kind, event.data));
    assert_once(events.collect(), TIMERS);
    (lives, deaths)
}

/// One process takes due timers and is stopped before it commits. Another goes on with the same database.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_holds_no_timer_and_fires_none_when_woken() {
    let database = Database::fresh().await;
    let provider = Provider::start(1).await;
    let options = || options(&provider).env("DATABASE_URL", database.url());
    let mut first = Server::prepare(options());
    first.start_again().await;
    first.kill();
    let store = open(&database.url()).await;
    let tenant = demo(&store).await;
    for part in due(&store, tenant, TIMERS).chunks(500) {
        store.plan_timers(part).await.expect("they can be written");
    }
    first.set_env("RECADO_STOP_AT", "timers-taken:1");
    first.spawn();
    let id = first.id().expect("it is started");
    eventually(DONE_WITHIN, || async { if is_stopped(id) { Ok(()) } else { Err("it runs") } }).await;
    let stopped = Clock::system().now();
    let mut second = Server::prepare(options());
    second.start_again().await;
    let look = database.connect().await;
    eventually(DONE_WITHIN, || async { nothing_open(&look).await }).await;
    assert!(is_stopped(id), "the other did all of it");
    assert_once(events(&look).await, TIMERS);
    // Longer than a session may idle in a transaction, and longer than any wait for it.
    Clock::system().sleep_until(stopped.plus(STOPPED_FOR)).await;
    signal("-CONT", id);
    eventually(DONE_WITHIN, || async { first.log().contains("timers wait for the database").then_some(()).ok_or(()) })
        .await;
    // The woken process works again: it fires the timers that fall due from now on, or the other does.
    let more = due(&store, tenant, 2 * TIMERS).split_off(TIMERS);
    for part in more.chunks(500) {
        store.plan_timers(part).await.expect("they can be written");
    }
    eventually(DONE_WITHIN, || async { nothing_open(&look).await }).await;
    assert_once(events(&look).await, 2 * TIMERS);
    first.kill();
    second.kill();
}

fn is_stopped(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The state comes after the name, which stands in brackets (proc(5)).
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn signal(signal: &str, id: u32) {
    let killed = Command::new("kill").args([signal, &id.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()), "process {id} cannot be told {signal}");
}

async fn open(url: &str) -> Store {
    let clock = Clock::system();
    let ids = Arc::new(Ids::new(clock.clone(), Random::from_os().expect("the system gives random numbers")));
    let options = Options { url: url.into(), synchronous: Synchronous::Normal };
    Store::open(&options, clock, ids).await.expect("the database can be opened")
}

async fn nothing_open(db: &DatabaseConnection) -> Result<(), i64> {
    let text = "SELECT (SELECT count(*) FROM timers) + (SELECT count(*) FROM events WHERE handled_us IS NULL)";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await;
    let open: i64 = row.expect("a query of ours").expect("one row").try_get_by_index(0).expect("a number");
    if open == 0 { Ok(()) } else { Err(open) }
}

async fn events(db: &DatabaseConnection) -> Vec<(String, String)> {
    let text = "SELECT kind, data FROM events";
    let rows =
        db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await.expect("a query of ours");
    let read = |row: &sea_orm::QueryResult| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    rows.iter().map(read).collect()
}
