//! The benchmark of timers: fills a database with pending timers and fires a tenth of them with the code of the server, a
//! hundred at a time; their rows are deleted and their events are inserted in one transaction.
//!
//! ```text
//! cargo build --release --example timers
//! target/release/examples/timers              # 10,000 and 1,000,000 pending rows
//! target/release/examples/timers --huge       # also 10,000,000: about 5 GB in the temporary folder, several minutes
//! ```
//!
//! All rows belong to a customer and half of them to an appointment, as reminders do. Rates depend on the machine and the
//! moment: compare those of one run. Memory is the resident memory of the process; opening the store loads no timer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::{Clock, Ids, TenantId, Timestamp};
use recado::store::{FIRE_MAX, FireRequest, Next, Options, Store};
use recado::tenants::new_tenant;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// Any failure ends the run and is printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Benchmark of timers")]
struct Arguments {
    /// Also run with 10,000,000 rows
    #[arg(long)]
    huge: bool,
    /// Run with this many rows instead
    #[arg(long)]
    rows: Option<u64>,
    /// Timers taken in one transaction
    #[arg(long, default_value_t = FIRE_MAX)]
    batch: usize,
}

/// One row in this many is due.
const ONE_DUE_IN: u64 = 10;
/// Rows inserted in one transaction.
const FILL_ROWS: u64 = 100_000;
/// Time between the due times of two rows.
const APART_US: i64 = 1_000;
const NOW: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let sizes = match (arguments.rows, arguments.huge) {
        (Some(rows), _) => vec![rows],
        (None, false) => vec![10_000, 1_000_000],
        (None, true) => vec![10_000, 1_000_000, 10_000_000],
    };
    println!("SQLite, synchronous=FULL, {} timers a transaction", arguments.batch);
    println!("{:>12} {:>10} {:>12} {:>14} {:>14}", "pending", "fired", "a second", "opened, MB", "after, MB");
    for rows in sizes {
        measure(rows, arguments.batch).await?;
    }
    Ok(())
}

async fn measure(rows: u64, batch: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("timers.db");
    let store = open(&file).await?;
    store.migrate().await?;
    let tenant = new_tenant(&store, "demo", "Demo");
    let id = TenantId::new(tenant.id);
    store.add_tenant(tenant).await?;
    drop(store);
    fill(&file, id, rows)?;
    let store = open(&file).await?;
    store.next_timer().await?;
    let opened = resident_mb();
    let next: Next = Arc::new(|_, _| None);
    let (begun, mut fired) = (Instant::now(), 0);
    loop {
        let firing = store.writer().fire(FireRequest { limit: batch, next: next.clone() }).await?;
        if firing.taken == 0 {
            break;
        }
        fired += firing.taken;
    }
    let rate = fired as f64 / begun.elapsed().as_secs_f64();
    println!("{rows:>12} {fired:>10} {rate:>12.0} {opened:>14} {:>14}", resident_mb());
    if fired as u64 != rows / ONE_DUE_IN {
        return Err(format!("{fired} timers fired, and {} were due", rows / ONE_DUE_IN).into());
    }
    Ok(())
}

async fn open(file: &Path) -> Result<Store, Failure> {
    let clock = Clock::simulated(NOW);
    let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
    let url = format!("sqlite://{}", file.display()).into();
    Ok(Store::open(&Options { url, synchronous: Synchronous::Full }, clock, ids).await?)
}

/// Inserts rows in the order of their due times, as fast as the library can.
fn fill(file: &Path, tenant: TenantId, rows: u64) -> Result<(), Failure> {
    let chance = Random::seeded(7);
    let random = || Uuid::from_u64_pair(chance.next_u64(), chance.next_u64());
    let mut db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")?;
    let first = NOW.unix_us() - (rows / ONE_DUE_IN) as i64 * APART_US + 1;
    for part in 0..rows.div_ceil(FILL_ROWS) {
        let txn = db.transaction()?;
        let mut insert = txn.prepare(
            "INSERT INTO timers (due_us, id, tenant_id, purpose, rule, timing, contact_id, subject_id, payload)
             VALUES (?, ?, ?, 'before', 'reminder', 'before 24h appointment.starts_at', ?, ?, ?)",
        )?;
        for number in part * FILL_ROWS..rows.min((part + 1) * FILL_ROWS) {
            let (id, contact, event) = (random(), random(), random());
            let subject = number.is_multiple_of(2).then(random);
            let payload = format!(
                r#"{{"anchor":{{"event":"{event}","kind":"appointment_booked","depth":0,"at":"2026-12-01T09:00:00Z"}},"appointment":{{"id":"{contact}","service":"cut","starts_at":"2026-12-01T09:00:00Z","zone":"Europe/Madrid","state":"booked"}}}}"#
            );
            insert.execute(params![first + number as i64 * APART_US, id, tenant.uuid(), contact, subject, payload])?;
        }
        drop(insert);
        txn.commit()?;
    }
    // The order of insertion is that of planning.
    db.execute_batch(
        "INSERT INTO subject_timers SELECT tenant_id, subject_id, due_us, id FROM timers WHERE subject_id IS NOT NULL
         ORDER BY 1, 2;",
    )?;
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

/// The resident memory of the process in MB, on systems with `/proc` (proc(5)).
fn resident_mb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kb.map_or_else(|| "?".to_owned(), |kb| (kb / 1024).to_string())
}
