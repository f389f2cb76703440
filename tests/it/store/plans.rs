//! How much of its tables PostgreSQL reads for the queries of the hot path and for lists, where its statistics are those
//! of a small database and the plans of prepared statements were made then, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use recado::domain::{DeliveryStatus, Timestamp};
use recado::store::{AttemptResult, FireRequest, Gate, StatusReport};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::Bench;
use crate::support::postgres::Database;
use crate::support::wait::eventually;

/// The rows that are added behind PostgreSQL's back, of each table.
const ROWS: i64 = 20_000;
const TABLES: [&str; 7] = ["actions", "messages", "events", "contacts", "timers", "opt_outs", "events_set_aside"];
const REPORTED_WITHIN: Duration = Duration::from_secs(30);

/// What was read of a table: full scans, and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Read {
    scans: i64,
    rows: i64,
}

async fn read(db: &DatabaseConnection) -> BTreeMap<String, Read> {
    let text = "SELECT relname, seq_scan, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await.expect("it counts");
    let of = |row: &sea_orm::QueryResult| {
        let name: String = row.try_get_by_index(0).unwrap();
        (name, Read { scans: row.try_get_by_index(1).unwrap(), rows: row.try_get_by_index(2).unwrap() })
    };
    rows.iter().map(of).collect()
}

/// Waits until the sessions of the store have ended: their counts are complete then.
async fn ended(db: &DatabaseConnection) {
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'recado'";
    eventually(REPORTED_WITHIN, || async {
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), others)).await.unwrap().unwrap();
        let left: i64 = row.try_get_by_index(0).unwrap();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

/// One message on its whole way, with a status and lists.
async fn round(bench: &Bench, n: usize) {
    let to = format!("+3460022{n:04}");
    let claimed = bench.under_way(&format!("SMr{n}"), &to).await;
    let sid = format!("SMout{n}");
    bench.end(&claimed, AttemptResult::Sent { sid: sid.clone(), status: DeliveryStatus::Queued }, None).await;
    let report = StatusReport {
        tenant: bench.tenant,
        action: claimed.send.id,
        sid,
        status: DeliveryStatus::Delivered,
        error_code: None,
        unmatched: false,
        at: bench.now(),
    };
    bench.store.writer().settle(report).await.unwrap();
    bench.store.pending_tenants().await.unwrap();
    bench.store.give_back(bench.tenant);
    bench.store.pending_events(bench.tenant, 8).await.unwrap();
    bench.store.due_queues().await.unwrap();
    bench.store.retry_events().await.unwrap();
    let fire = FireRequest { limit: 10, next: Arc::new(|_, _: Timestamp| None) };
    bench.store.writer().fire(fire).await.unwrap();
    let contact = bench.store.contact_by_key(bench.tenant, &claimed.send.peer_key).await.unwrap().unwrap();
    bench.store.known_sids(&[format!("SMr{n}")]).await.unwrap();
    bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
    for of in [None, Some(contact)] {
        let page = bench.store.message_page(bench.tenant, of, None, 5).await.unwrap();
        let before = page.last().map(|message| message.id);
        bench.store.message_page(bench.tenant, of, before, 5).await.unwrap();
        bench.store.messages(bench.tenant, of, 5).await.unwrap();
    }
    bench.store.event_page(bench.tenant, None, 5).await.unwrap();
    bench.store.last_event(bench.tenant).await.unwrap();
    bench.store.held(10).await.unwrap();
}

/// Adds rows of another tenant, older and newer than the others, and a backlog along one key of the tenant itself.
async fn fill(db: &DatabaseConnection, bench: &Bench) {
    let ours = bench.tenant.uuid();
    let now = bench.now().unix_us();
    for text in [
        format!(
            "INSERT INTO contacts (id, tenant_id, phone, phone_key, name, profile_name, tags, fields, inbound_count, created_us)
             SELECT gen_random_uuid(), '{ours}', 'c' || i, 'c' || i, '', '', '[]', '{{}}', 0, 0 FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO messages (id, tenant_id, contact_id, channel, direction, origin, peer, peer_key, ours, body, extra,
               status, status_rank, provider_sid, segments, at_us, late, repeats)
             SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'sms', 'in', 'customer', '', '', '', '', '{{}}',
               'received', 5, 'SMx' || i, 1, {now} + i, false, 0 FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO events (id, tenant_id, kind, occurred_us, depth, data, handled_us)
             SELECT gen_random_uuid(), gen_random_uuid(), 'inbound_sms', 0, 0, '{{}}', 1 FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO actions (id, tenant_id, event_id, rule, idx, kind, state, channel, sender, recipient, peer_key, lane,
               route, origin, payload, tries, planned_us, due_us, head)
             SELECT gen_random_uuid(), '{ours}', gen_random_uuid(), 'r', 0, 'send', 'planned', 'sms', '+1', '+2', '+2',
               'one key', 'twilio', 'answer', '{{}}', 0, i, i, i = 1 FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO actions (id, tenant_id, event_id, rule, idx, kind, state, origin, payload, tries, planned_us, due_us)
             SELECT gen_random_uuid(), '{ours}', gen_random_uuid(), 'r', 0, 'note', 'done', 'answer', '{{}}', 0, i, i
             FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO timers (due_us, id, tenant_id, purpose, rule, timing, payload)
             SELECT {now} + 9000000000 + i, gen_random_uuid(), gen_random_uuid(), 'page', 'r', '', '{{}}'
             FROM generate_series(1, {ROWS}) i"
        ),
        format!(
            "INSERT INTO opt_outs (tenant_id, channel, peer_key, sender, active, word, at_us)
             SELECT gen_random_uuid(), 'sms', 'p' || i, '', true, 'STOP', 0 FROM generate_series(1, {ROWS}) i"
        ),
    ] {
        db.execute_unprepared(&text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
    }
}

#[tokio::test]
async fn no_table_is_read_whole_though_its_statistics_are_stale() {
    const ROUNDS: usize = 8;
    let database = Database::fresh().await;
    let (url, db) = (database.url(), database.connect().await);
    let bench = Bench::open(&url).await;
    let tenant = bench.tenant;
    for table in TABLES {
        db.execute_unprepared(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await.unwrap();
    }
    for n in 0..ROUNDS {
        round(&bench, n).await;
    }
    drop(bench);
    ended(&db).await;
    // The statistics of a small database.
    db.execute_unprepared("ANALYZE").await.unwrap();
    let before = read(&db).await;
    // After five times PostgreSQL keeps the plan of a prepared statement.
    let warm = Bench::beside(&url, tenant, 2).await;
    for n in ROUNDS..2 * ROUNDS {
        round(&warm, n).await;
    }
    fill(&db, &warm).await;
    // The head of the long key is out of the way, and the others behind it stay.
    let judge = |candidate: &recado::store::Candidate, now: Timestamp| match candidate.send.recipient.as_str() {
        "+2" => Gate::Postpone(now.plus(Duration::from_secs(86_400)), "later".to_owned()),
        _ => Gate::Pass,
    };
    warm.claim_once(Arc::new(judge)).await;
    let fresh = Bench::beside(&url, tenant, 3).await;
    for (bench, first) in [(&warm, 100), (&fresh, 200)] {
        for n in first..first + ROUNDS {
            round(bench, n).await;
        }
    }
    drop((warm, fresh));
    ended(&db).await;
    let after = read(&db).await;
    for table in TABLES {
        let of = |counts: &BTreeMap<String, Read>| counts.get(table).copied().unwrap_or_default();
        let (before, after) = (of(&before), of(&after));
        assert_eq!(after.scans, before.scans, "{table} was scanned: {before:?}, {after:?}");
        let each = (after.rows - before.rows) / (3 * ROUNDS as i64);
        eprintln!("{table}: {each} rows a round");
        assert!(each < 400, "{table}: {each} rows were read in a round, of {ROWS}");
    }
}

/// The rows of `actions` that messages of other customers read on their whole way, behind a backlog of this length along
/// one key.
pub async fn read_beside_a_backlog(backlog: i64) -> i64 {
    const ROUNDS: usize = 20;
    let database = Database::fresh().await;
    let (url, db) = (database.url(), database.connect().await);
    let bench = Bench::open(&url).await;
    let (tenant, now) = (bench.tenant, bench.now().unix_us());
    let first = bench.planned("SM1", "+34600999999", "hola").await;
    let row = bench.row(first).await;
    // The head is under way; the others stand behind it, due since long.
    assert_eq!(bench.claim_once(Arc::new(|_, _| Gate::Pass)).await.len(), 1);
    let text = format!(
        "INSERT INTO actions (id, tenant_id, event_id, rule, idx, kind, state, channel, sender, recipient, peer_key, lane,
           route, origin, payload, tries, planned_us, due_us)
         SELECT gen_random_uuid(), '{}', gen_random_uuid(), 'r', 0, 'send', 'planned', 'sms', '+1', '+2', '+2', '{}', 'twilio',
           'answer', '{{}}', 0, {now} + i, {now} FROM generate_series(1, {backlog}) i",
        tenant.uuid(),
        row.lane.expect("a text has a key")
    );
    db.execute_unprepared(&text).await.expect("it can be written");
    drop(bench);
    ended(&db).await;
    let before = read(&db).await["actions"];
    let bench = Bench::beside(&url, tenant, 5).await;
    for n in 0..ROUNDS {
        let to = format!("+3460033{n:04}");
        let claimed = bench.under_way(&format!("SMb{n}"), &to).await;
        let sent = AttemptResult::Sent { sid: format!("SMs{n}"), status: DeliveryStatus::Queued };
        bench.end(&claimed, sent, None).await;
        bench.store.due_queues().await.unwrap();
    }
    drop(bench);
    ended(&db).await;
    let after = read(&db).await["actions"];
    assert_eq!(after.scans, before.scans);
    after.rows - before.rows
}
