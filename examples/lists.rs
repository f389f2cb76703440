//! The benchmark of lists: fills a database with messages, events and open sends, and times the lists of the newest ones in
//! a small database and in a large one.
//!
//! ```text
//! cargo build --release --example lists
//! target/release/examples/lists               # 100,000 and 10,000,000 messages: about 10 GB in the temporary folder
//! ```
//!
//! Each message has an event, and belongs to one of 1,000 customers; each tenth has an open send. A time is the median of
//! many reads. It ends with 1 if a list of the large database takes more than three times that of the small one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::{Clock, ContactId, Ids, TenantId, Timestamp};
use recado::store::{Options, Store, StoreError};
use recado::tenants::new_tenant;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// Any failure ends the run and is printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Benchmark of lists")]
struct Arguments {
    /// Messages of the small database
    #[arg(long, default_value_t = 100_000)]
    small: u64,
    /// Messages of the large database
    #[arg(long, default_value_t = 10_000_000)]
    large: u64,
    /// The length of a list
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

const CUSTOMERS: u64 = 1_000;
/// One message in this many has an open send.
const ONE_OPEN_IN: u64 = 10;
/// Rows inserted in one transaction.
const FILL_ROWS: u64 = 100_000;
/// Reads of each list, of which the median counts.
const READS: usize = 101;
/// How much longer a list of the large database may take.
const RATIO_MAX: f64 = 3.0;
const START_MS: u64 = 1_800_000_000_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let small = measure(arguments.small, arguments.limit).await?;
    let large = measure(arguments.large, arguments.limit).await?;
    let heads = [arguments.small, arguments.large].map(|rows| format!("{rows} rows, us"));
    println!("{:<32} {:>20} {:>20} {:>8}", "list", heads[0], heads[1], "ratio");
    let mut worst: f64 = 0.0;
    for ((list, before), (_, after)) in small.iter().zip(&large) {
        let ratio = after / before;
        worst = worst.max(ratio);
        println!("{list:<32} {before:>20.0} {after:>20.0} {ratio:>8.2}");
    }
    if worst > RATIO_MAX {
        return Err(format!("a list takes {worst:.2} times as long, and {RATIO_MAX} are allowed").into());
    }
    Ok(())
}

/// Fills a new database; gives the median time of each list in microseconds.
async fn measure(rows: u64, limit: usize) -> Result<Vec<(&'static str, f64)>, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("lists.db");
    let store = open(&file).await?;
    store.migrate().await?;
    let tenant = new_tenant(&store, "demo", "Demo");
    let id = TenantId::new(tenant.id);
    store.add_tenant(tenant).await?;
    drop(store);
    let customer = fill(&file, id, rows)?;
    let store = open(&file).await?;
    let customer = Some(ContactId::new(customer));
    let middle = Some(id_of(rows / 2, 0));
    let mut times = Vec::new();
    let mut add = |list, time: Result<f64, StoreError>| time.map(|time| times.push((list, time)));
    add("messages", time(async || store.messages(id, None, limit).await).await)?;
    add("messages of a customer", time(async || store.messages(id, customer, limit).await).await)?;
    add("messages, a page in the middle", time(async || store.message_page(id, None, middle, limit).await).await)?;
    add("messages of a customer, a page", time(async || store.message_page(id, customer, middle, limit).await).await)?;
    add("events", time(async || store.events(id, limit).await).await)?;
    add("events, a page in the middle", time(async || store.event_page(id, middle, limit).await).await)?;
    add("the last event", time(async || store.last_event(id).await).await)?;
    add("held sends", time(async || store.held(limit).await).await)?;
    Ok(times)
}

async fn time<T>(read: impl AsyncFn() -> Result<T, StoreError>) -> Result<f64, StoreError> {
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let begun = Instant::now();
        std::hint::black_box(read().await?);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[READS / 2])
}

async fn open(file: &Path) -> Result<Store, Failure> {
    let clock = Clock::simulated(Timestamp::from_unix_us(START_MS as i64 * 1_000));
    let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
    let url = format!("sqlite://{}", file.display()).into();
    Ok(Store::open(&Options { url, synchronous: Synchronous::Full }, clock, ids).await?)
}

/// The id of a row: version 7, a millisecond later than the one before.
fn id_of(number: u64, random: u64) -> Uuid {
    Uuid::from_u64_pair(((START_MS + number) << 16) | 0x7000, random | 1 << 63)
}

/// Inserts rows in the order of their times; gives a customer.
fn fill(file: &Path, tenant: TenantId, rows: u64) -> Result<Uuid, Failure> {
    let chance = Random::seeded(7);
    let mut db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;")?;
    let tenant = tenant.uuid();
    let customers: Vec<Uuid> = (0..CUSTOMERS).map(|number| id_of(number, chance.next_u64())).collect();
    for part in 0..rows.div_ceil(FILL_ROWS) {
        let txn = db.transaction()?;
        let mut message = txn.prepare(
            "INSERT INTO messages (id, tenant_id, contact_id, channel, direction, origin, peer, peer_key, ours, body, extra,
               status, status_rank, provider_sid, segments, at_us, late, repeats)
             VALUES (?, ?, ?, 'sms', 'in', 'customer', '+34600111222', '+34600111222', '+34911000001', 'hola', '{}',
               'received', 5, ?, 1, ?, false, 0)",
        )?;
        let mut event = txn.prepare(
            "INSERT INTO events (id, tenant_id, contact_id, kind, occurred_us, depth, data, handled_us)
             VALUES (?, ?, ?, 'inbound_sms', ?, 0, '{\"body\": \"hola\"}', 1)",
        )?;
        let mut send = txn.prepare(
            "INSERT INTO actions (id, tenant_id, contact_id, event_id, rule, idx, kind, state, channel, sender, recipient,
               peer_key, lane, route, origin, payload, tries, planned_us, due_us, head)
             VALUES (?, ?, ?, ?, 'r', 0, 'send', ?, 'sms', '+34911000001', '+34600111222', '+34600111222', ?,
               'twilio', 'answer', '{}', 0, ?, ?, true)",
        )?;
        for number in part * FILL_ROWS..rows.min((part + 1) * FILL_ROWS) {
            let (id, sid) = (id_of(number, chance.next_u64()), format!("SM{:032x}", chance.next_u64()));
            let customer = customers[(chance.next_u64() % CUSTOMERS) as usize];
            let at = (START_MS + number) as i64 * 1_000;
            message.execute(params![id, tenant, customer, sid, at])?;
            event.execute(params![id, tenant, customer, at])?;
            if number.is_multiple_of(ONE_OPEN_IN) {
                let state = if number.is_multiple_of(2 * ONE_OPEN_IN) { "planned" } else { "held" };
                send.execute(params![id, tenant, customer, id, state, format!("key {number}"), at, at])?;
            }
        }
        drop((message, event, send));
        txn.commit()?;
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(customers[0])
}
