//! The heads of ordering keys: exactly one of the open sends along a key may be claimed, in whatever order things happen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use recado::domain::clock::Random;
use recado::domain::{ActionId, DeliveryStatus};
use recado::migrations::{MIGRATIONS, Migration};
use recado::store::{AttemptResult, Claimed, Gate, OperatorDecision, StatusReport};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use tempfile::TempDir;
use uuid::Uuid;

use super::{ANA, Bench, LUIS, on_both};
use crate::support::postgres::Database;

const OPEN: &str = "(state = 'planned' OR state = 'sending' OR state = 'unknown')";
/// Customers of the random runs: few, so that their keys are busy.
const CUSTOMERS: usize = 3;

/// A store and a connection of the test's own to its database, of each kind.
pub async fn with_rows<F: Future<Output = ()>>(check: impl Fn(Bench, DatabaseConnection) -> F) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    check(Bench::open(&url).await, connect(&url).await).await;
    let database = Database::fresh().await;
    check(Bench::open(&database.url()).await, database.connect().await).await;
}

async fn connect(url: &str) -> DatabaseConnection {
    let options = ConnectOptions::new(url).max_connections(1).sqlx_logging(false).to_owned();
    sea_orm::Database::connect(options).await.expect("it can be connected to")
}

async fn rows(db: &DatabaseConnection, text: &str) -> Vec<sea_orm::QueryResult> {
    let statement = Statement::from_string(db.get_database_backend(), text);
    db.query_all_raw(statement).await.expect("it can be read")
}

/// Checks that each key with open sends has one head, and returns the heads that may be claimed.
async fn heads(db: &DatabaseConnection) -> HashSet<Uuid> {
    let open = format!("SELECT id, lane, state, head FROM actions WHERE lane IS NOT NULL AND {OPEN}");
    let (mut keys, mut claimable) = (BTreeMap::<String, usize>::new(), HashSet::new());
    for row in rows(db, &open).await {
        let (id, key): (Uuid, String) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        let (state, head): (String, bool) = (row.try_get_by_index(2).unwrap(), row.try_get_by_index(3).unwrap());
        *keys.entry(key).or_default() += usize::from(head);
        if head && state == "planned" {
            claimable.insert(id);
        }
    }
    assert!(keys.values().all(|heads| *heads == 1), "{keys:?}");
    claimable
}

/// A run of random events at sends along few keys. After each, the heads are right; what is claimed is in order.
async fn random_run(bench: Bench, db: DatabaseConnection, seed: u64) {
    let chance = Random::seeded(seed);
    let below = |end: usize| (chance.next_u64() % end as u64) as usize;
    let (mut planned, mut in_flight, mut unknown) = (Vec::<ActionId>::new(), Vec::<Claimed>::new(), Vec::new());
    for step in 0..120 {
        match below(10) {
            0..=3 => {
                let to = format!("+3460011122{}", below(CUSTOMERS));
                let (event, contact) = bench.received(&format!("SM{step}"), &to, "hola").await;
                let sends = (0..=below(2)).map(|index| {
                    let mut send = bench.send(event, contact, index, &to, "hola");
                    // Some are for later: they come behind those for now.
                    send.due = (below(3) == 0).then(|| bench.now().plus(Duration::from_secs(below(90) as u64)));
                    send
                });
                let sends: Vec<_> = sends.collect();
                planned.extend(sends.iter().map(|send| send.id));
                bench.decide(event, contact, sends).await;
            }
            4 | 5 => {
                let gate = match below(5) {
                    0 => Gate::Block("no".to_owned()),
                    1 => Gate::Hold("a loop".to_owned()),
                    2 => Gate::Postpone(bench.now().plus(Duration::from_secs(30)), "later".to_owned()),
                    3 => Gate::Replan(bench.now().plus(Duration::from_secs(45)), "at nine".to_owned()),
                    _ => Gate::Pass,
                };
                let before = heads(&db).await;
                let claimed = bench.claim_once(Arc::new(move |_, _| gate.clone())).await;
                assert!(claimed.iter().all(|one| before.contains(&one.send.id.uuid())), "seed {seed} step {step}");
                in_flight.extend(claimed);
            }
            6 if !in_flight.is_empty() => {
                let one = in_flight.swap_remove(below(in_flight.len()));
                let end = match below(4) {
                    0 => AttemptResult::Retry { at: bench.now().plus(Duration::from_secs(5)) },
                    1 => AttemptResult::Failed,
                    2 => AttemptResult::Unknown { look_at: bench.now() },
                    _ => AttemptResult::Sent { sid: format!("SMo{step}"), status: DeliveryStatus::Queued },
                };
                if matches!(end, AttemptResult::Unknown { .. }) {
                    unknown.push(one.clone());
                }
                bench.end(&one, end, None).await;
            }
            7 if !unknown.is_empty() => {
                let one: Claimed = unknown.swap_remove(below(unknown.len()));
                let end = [AttemptResult::NeverTaken, AttemptResult::GivenUp][below(2)].clone();
                bench.end(&one, end, None).await;
            }
            8 if !planned.is_empty() => {
                let id = planned[below(planned.len())];
                let decision = [OperatorDecision::Release, OperatorDecision::GiveUp, OperatorDecision::NotSent];
                bench.store.resolve(bench.tenant, id, &decision[below(3)]).await.expect("it can be resolved");
            }
            9 if !planned.is_empty() => {
                let report = StatusReport {
                    tenant: bench.tenant,
                    action: planned[below(planned.len())],
                    sid: format!("SMr{step}"),
                    status: DeliveryStatus::Delivered,
                    error_code: None,
                    unmatched: true,
                    at: bench.now(),
                };
                bench.store.writer().settle(report).await.expect("it can be settled");
            }
            _ => bench.pass(7),
        }
        heads(&db).await;
    }
    assert_eq!(bench.store.repair_ordering_keys().await.unwrap(), 0, "nothing is left to repair");
}

#[tokio::test]
async fn each_key_has_one_head_whatever_happens_to_its_sends() {
    for seed in 1..=6 {
        with_rows(|bench, db| random_run(bench, db, seed)).await;
    }
}

#[tokio::test]
async fn a_send_for_now_takes_the_place_of_one_that_waits_for_its_time() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let mut later = bench.send(event, contact, 0, ANA, "mañana");
        later.due = Some(bench.now().plus(Duration::from_secs(86_400)));
        let later_id = later.id;
        bench.decide(event, contact, vec![later]).await;
        let now = bench.planned("SM2", ANA, "ahora").await;
        let claimed = bench.claim().await;
        assert_eq!(claimed.iter().map(|one| one.send.id).collect::<Vec<_>>(), [now]);
        bench.end(&claimed[0], AttemptResult::Failed, None).await;
        bench.pass(86_400);
        assert_eq!(bench.claim().await[0].send.id, later_id);
    })
    .await;
}

/// Otherwise a released send would wait behind a reminder for tomorrow.
#[tokio::test]
async fn a_released_send_goes_before_those_that_were_planned_after_it() {
    on_both(|bench| async move {
        let held = bench.planned("SM1", ANA, "uno").await;
        bench.claim_once(Arc::new(|_, _| Gate::Hold("a loop".to_owned()))).await;
        let (event, contact) = bench.received("SM2", ANA, "hola").await;
        let mut later = bench.send(event, contact, 0, ANA, "mañana");
        later.due = Some(bench.now().plus(Duration::from_secs(86_400)));
        bench.decide(event, contact, vec![later]).await;
        bench.store.resolve(bench.tenant, held, &OperatorDecision::Release).await.unwrap();
        assert_eq!(bench.claim().await[0].send.id, held);
    })
    .await;
}

/// The next of a key, which may be another tenant's, is told to the senders, without a sweep.
#[tokio::test]
async fn who_becomes_the_head_is_told_to_the_senders() {
    on_both(|bench| async move {
        let other = bench.other().await;
        bench.planned("SM1", ANA, "uno").await;
        other.planned("SM2", ANA, "dos").await;
        let first = bench.claim().await;
        assert!(other.claim().await.is_empty(), "both send from one number to one customer");
        bench.end(&first[0], AttemptResult::Failed, None).await;
        let told = tokio::time::timeout(Duration::from_secs(5), bench.store.promoted_queues()).await;
        assert_eq!(told.expect("somebody became the head")[0].tenant, other.tenant);
        assert_eq!(other.claim().await.len(), 1);
    })
    .await;
}

/// A payload that this version cannot read is blocked, and stops neither its key nor the others.
#[tokio::test]
async fn an_action_that_cannot_be_read_is_blocked_and_the_others_go_on() {
    with_rows(|bench, db| async move {
        let broken = bench.planned("SM1", ANA, "uno").await;
        let behind = bench.planned("SM2", ANA, "dos").await;
        let other = bench.planned("SM3", LUIS, "tres").await;
        let text = match db.get_database_backend() {
            sea_orm::DatabaseBackend::Postgres => {
                format!("UPDATE actions SET payload = '{{' WHERE id = '{}'", broken.uuid())
            }
            _ => format!("UPDATE actions SET payload = '{{' WHERE id = x'{}'", broken.uuid().simple()),
        };
        db.execute_unprepared(&text).await.unwrap();
        let judge = |candidate: &recado::store::Candidate, _| match candidate.send.planned() {
            Ok(_) => Gate::Pass,
            Err(error) => Gate::Block(error.to_string()),
        };
        let mut claimed = HashSet::new();
        for _ in 0..2 {
            claimed.extend(bench.claim_once(Arc::new(judge)).await.iter().map(|one| one.send.id));
        }
        assert_eq!(claimed, HashSet::from([behind, other]));
        assert_eq!(bench.state(broken).await, "blocked");
    })
    .await;
}

/// An older program that runs beside this one writes rows without heads, and ends heads without promoting anybody.
#[tokio::test]
async fn the_sweep_finds_keys_without_a_head() {
    with_rows(|bench, db| async move {
        let first = bench.planned("SM1", ANA, "uno").await;
        bench.planned("SM2", ANA, "dos").await;
        bench.planned("SM3", LUIS, "tres").await;
        db.execute_unprepared("UPDATE actions SET head = false").await.unwrap();
        assert!(bench.claim_once(Arc::new(|_, _| Gate::Pass)).await.is_empty());
        assert_eq!(bench.store.repair_ordering_keys().await.unwrap(), 2);
        let claimed = bench.claim().await;
        assert_eq!(claimed.len(), 2);
        assert!(claimed.iter().any(|one| one.send.id == first));
        heads(&db).await;
        assert_eq!(bench.store.repair_ordering_keys().await.unwrap(), 0);
    })
    .await;
}

/// Runs the migrations of the old shape, stores rows, and migrates.
async fn migrated(db: DatabaseConnection) {
    let backend = db.get_database_backend();
    let place = MIGRATIONS.iter().position(|step| step.name == "m0021_heads").expect("it is a step");
    let run = async |steps: &[Migration]| {
        for text in steps.iter().flat_map(|step| step.statements(backend)) {
            db.execute_unprepared(&text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
        }
    };
    run(&MIGRATIONS[..place]).await;
    let old = [
        // id, key, state, planned_us; the expected head is the last value.
        (1, Some("a"), "planned", 30, false),
        (2, Some("a"), "planned", 10, true),
        (3, Some("a"), "sent", 5, false),
        (4, Some("b"), "unknown", 20, true),
        (5, Some("b"), "planned", 20, false),
        (6, Some("c"), "planned", 7, true),
        (7, Some("c"), "planned", 7, false),
        // Under way, although another was planned before it: it holds the key.
        (8, Some("d"), "planned", 1, false),
        (9, Some("d"), "sending", 2, true),
        (10, Some("e"), "held", 1, false),
        (11, Some("e"), "planned", 2, true),
        (12, None, "planned", 1, false),
    ];
    for (id, key, state, planned_us, _) in old {
        let id = Uuid::from_u128(id);
        let id = match backend {
            sea_orm::DatabaseBackend::Postgres => format!("'{id}'"),
            _ => format!("x'{}'", id.simple()),
        };
        let key = key.map_or("NULL".to_owned(), |key| format!("'{key}'"));
        let text = format!(
            "INSERT INTO actions (id, tenant_id, event_id, rule, idx, kind, state, lane, route, origin, payload, tries,
               planned_us, due_us) VALUES ({id}, {id}, {id}, 'r', 0, 'send', '{state}', {key}, 'twilio', 'answer', '{{}}', 0,
               {planned_us}, {planned_us})"
        );
        db.execute_unprepared(&text).await.unwrap();
    }
    run(&MIGRATIONS[place..]).await;
    let found: HashMap<u128, bool> = rows(&db, "SELECT id, head FROM actions")
        .await
        .iter()
        .map(|row| (row.try_get_by_index::<Uuid>(0).unwrap().as_u128(), row.try_get_by_index(1).unwrap()))
        .collect();
    for (id, key, state, _, head) in old {
        assert_eq!(found[&id], head, "{id} along {key:?} is {state}");
    }
    let claimable = "SELECT count(*) FROM actions WHERE state = 'planned' AND (head OR lane IS NULL)";
    let count: i64 = rows(&db, claimable).await[0].try_get_by_index(0).unwrap();
    assert_eq!(count, 4, "heads that are planned, and the one without a key");
}

#[tokio::test]
async fn old_rows_get_their_heads() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    migrated(connect(&format!("sqlite://{}?mode=rwc", folder.path().join("t.db").display())).await).await;
    let database = Database::fresh().await;
    migrated(database.connect().await).await;
}

/// Two processes plan, claim and end sends along the same few keys. No key is left without a head, none has two sends in
/// flight, and each send leaves once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_never_leave_a_key_without_a_head() {
    const EACH: usize = 60;
    let database = Database::fresh().await;
    let first = Bench::open(&database.url()).await;
    let second = Bench::beside(&database.url(), first.tenant, 2).await;
    let in_flight = Arc::new(parking_lot::Mutex::new(HashSet::new()));
    let sent = Arc::new(parking_lot::Mutex::new(HashMap::<ActionId, usize>::new()));
    let mut running = tokio::task::JoinSet::new();
    for (node, bench) in [first.clone(), second].into_iter().enumerate() {
        let planner = bench.clone();
        running.spawn(async move {
            for n in 0..EACH {
                planner.planned(&format!("SM{node}x{n}"), &format!("+3460011122{}", n % CUSTOMERS), "hola").await;
            }
        });
        for _ in 0..2 {
            let (bench, in_flight, sent) = (bench.clone(), in_flight.clone(), sent.clone());
            running.spawn(async move {
                while sent.lock().len() < 2 * EACH {
                    for one in bench.claim_once(Arc::new(|_, _| Gate::Pass)).await {
                        let key = one.send.ordering_key.clone().expect("a text has one");
                        assert!(in_flight.lock().insert(key.clone()), "two sends along {key} are in flight");
                        tokio::task::yield_now().await;
                        // Before the outcome is stored: from then on the next may leave.
                        in_flight.lock().remove(&key);
                        let sid = format!("SM{}", one.send.id);
                        let end = AttemptResult::Sent { sid, status: DeliveryStatus::Queued };
                        assert!(bench.end(&one, end, None).await);
                        *sent.lock().entry(one.send.id).or_default() += 1;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    let all = async {
        while let Some(ended) = running.join_next().await {
            ended.expect("no panic");
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(100), all).await;
    let left = rows(&database.connect().await, &format!("SELECT id FROM actions WHERE {OPEN}")).await.len();
    assert!(done.is_ok(), "{left} sends are left, and nobody may claim them");
    assert!(sent.lock().values().all(|times| *times == 1));
    assert_eq!(first.store.repair_ordering_keys().await.unwrap(), 0);
}
