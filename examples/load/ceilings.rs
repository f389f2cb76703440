//! The most that the machine could do: the HTTP stack without a database, the database alone, and a bare program of both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use recado::domain::clock::Random;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::client::{Pace, send};
use crate::ledger::{Ledger, Summary, per_s};
use crate::phases::{WORD, drain};
use crate::provider::Provider;
use crate::server::{Program, Server};
use crate::webhook::Requests;
use crate::{Failure, Options};

/// The size of a commit in events of three rows each.
pub const BATCHES: [usize; 2] = [64, 256];
const NO_PROVIDER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The settings of the server's database. The server also copies the log on another thread, which saves about 5 %.
pub const SETTINGS: &str = "PRAGMA page_size = 2048; PRAGMA journal_mode = wal; PRAGMA synchronous = full;
    PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 16384;";

/// The server's tables of an event, reduced to what a ceiling needs.
pub const SCHEMA: [&str; 5] = [
    "CREATE TABLE contacts (id blob PRIMARY KEY, tenant_id blob, phone_key text, name text, created_us integer) WITHOUT ROWID",
    "CREATE UNIQUE INDEX contacts_phone ON contacts (tenant_id, phone_key)",
    "CREATE TABLE messages (id blob PRIMARY KEY, tenant_id blob, contact_id blob, body text, provider_sid text, at_us integer)
     WITHOUT ROWID",
    "CREATE TABLE events (id blob PRIMARY KEY, tenant_id blob, contact_id blob, dedupe_key text, data text, occurred_us integer)
     WITHOUT ROWID",
    "CREATE UNIQUE INDEX events_dedupe ON events (tenant_id, dedupe_key)",
];

/// Measures the HTTP stack in its own process, with the same closed loop as the server.
pub async fn http(options: &Options) -> Result<Summary, Failure> {
    let program = Program { path: std::env::current_exe()?, args: &["--role", "http-ceiling"], ..Program::default() };
    let server = Server::start(&program, NO_PROVIDER).await?;
    let app_url = format!("http://{}", server.address);
    let requests = Requests::build(&app_url, &options.path, &Random::seeded(options.seed), 0, options.n, "HELLO");
    let ledger = Arc::new(Ledger::new(0, options.n));
    send(server.address, requests, Arc::clone(&ledger), options.connections, Pace::Closed).await?;
    Ok(ledger.summary())
}

/// Measures a bare program (`bare.rs`) with the closed loop and a provider that answers at once.
pub async fn bare(options: &Options, word: &str) -> Result<Summary, Failure> {
    let program = Program { path: std::env::current_exe()?, args: &["--role", "bare"], ..Program::default() };
    let ledger = Arc::new(Ledger::new(0, options.n));
    let provider = Provider::start(Arc::clone(&ledger), Duration::ZERO)?;
    let server = Server::start(&program, provider.address).await?;
    let app_url = format!("http://{}", server.address);
    let requests = Requests::build(&app_url, &options.path, &Random::seeded(options.seed), 0, options.n, word);
    send(server.address, requests, Arc::clone(&ledger), options.connections, Pace::Closed).await?;
    if word == WORD {
        drain(&ledger).await;
    }
    let summary = ledger.summary();
    if summary.refused > 0 || (word == WORD && summary.lost + summary.doubled > 0) {
        return Err(
            format!("the bare program refused or lost messages, and says nothing then:\n{}", server.log()).into()
        );
    }
    Ok(summary)
}

/// Measures the events a second that SQLite takes at synchronous=FULL in commits of `batch`, called like the server's writer.
pub fn sqlite(events: usize, batch: usize) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let mut db = Connection::open(folder.path().join("ceiling.db"))?;
    db.execute_batch(SETTINGS)?;
    for statement in SCHEMA {
        db.execute_batch(statement)?;
    }
    let random = Random::seeded(1);
    let mut busy = Duration::ZERO;
    let mut done = 0;
    while done < events {
        let rows: Vec<Rows> = (done..done + batch).map(|number| Rows::of(number, &random)).collect();
        let started = Instant::now();
        commit(&mut db, &rows)?;
        busy += started.elapsed();
        done += batch;
    }
    Ok(per_s(done, busy))
}

fn commit(db: &mut Connection, rows: &[Rows]) -> Result<(), Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    insert(&transaction, rows)?;
    Ok(transaction.commit()?)
}

/// Inserts the three rows of each event.
pub fn insert<'a>(transaction: &Transaction, rows: impl IntoIterator<Item = &'a Rows>) -> Result<(), Failure> {
    let mut contact = transaction.prepare_cached(
        "INSERT INTO contacts (id, tenant_id, phone_key, name, created_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let mut message = transaction.prepare_cached(
        "INSERT INTO messages (id, tenant_id, contact_id, body, provider_sid, at_us) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let mut event = transaction.prepare_cached(
        "INSERT INTO events (id, tenant_id, contact_id, dedupe_key, data, occurred_us) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )?;
    for row in rows {
        contact.execute((row.id(1), TENANT, &row.sender, "", row.at_us))?;
        message.execute((row.id(2), TENANT, row.id(1), &row.body, &row.sid, row.at_us))?;
        event.execute((row.id(3), TENANT, row.id(1), &row.sid, &row.data, row.at_us))?;
    }
    Ok(())
}

const TENANT: [u8; 16] = [7; 16];

/// The values of an event.
pub struct Rows {
    number: u128,
    sender: String,
    body: String,
    sid: String,
    data: String,
    at_us: i64,
}

impl Rows {
    fn of(number: usize, random: &Random) -> Self {
        let sid = format!("SM{:016x}{:016x}", random.next_u64(), random.next_u64());
        Self::new(number, Ledger::sender(number), format!("LOAD {number}"), sid)
    }

    pub fn new(number: usize, sender: String, body: String, sid: String) -> Self {
        let data = format!(r#"{{"body":"{body}","num_media":0,"num_segments":1,"sid":"{sid}"}}"#);
        Self { number: number as u128, sender, body, data, sid, at_us: number as i64 }
    }

    pub fn number(&self) -> i64 {
        self.at_us
    }

    /// Ids increase like the server's; the provider's ids do not.
    fn id(&self, table: u128) -> [u8; 16] {
        (self.number << 64 | table).to_be_bytes()
    }
}
