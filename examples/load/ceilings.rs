//! What the machine could do at most: the HTTP stack without a database, and the database without anything else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use recado::domain::clock::Random;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use crate::client::{Pace, send};
use crate::ledger::{Ledger, Summary, per_s};
use crate::server::{Program, Server};
use crate::webhook::Requests;
use crate::{Failure, Options};

/// Rows a commit, counted in events of three rows.
pub const BATCHES: [usize; 2] = [64, 256];
const NO_PROVIDER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The three rows of an event as the server has them, less what a ceiling need not carry.
const SCHEMA: [&str; 5] = [
    "CREATE TABLE contacts (id blob PRIMARY KEY, tenant_id blob, phone_key text, name text, created_us integer) WITHOUT ROWID",
    "CREATE UNIQUE INDEX contacts_phone ON contacts (tenant_id, phone_key)",
    "CREATE TABLE messages (id blob PRIMARY KEY, tenant_id blob, contact_id blob, body text, provider_sid text, at_us integer)
     WITHOUT ROWID",
    "CREATE TABLE events (id blob PRIMARY KEY, tenant_id blob, contact_id blob, dedupe_key text, data text, occurred_us integer)
     WITHOUT ROWID",
    "CREATE UNIQUE INDEX events_dedupe ON events (tenant_id, dedupe_key)",
];

/// The HTTP stack in a process of its own, under the same closed loop as the server.
pub async fn http(options: &Options) -> Result<Summary, Failure> {
    let program = Program { path: std::env::current_exe()?, args: &["--role", "http-ceiling"], database_url: None };
    let server = Server::start(&program, NO_PROVIDER).await?;
    let app_url = format!("http://{}", server.address);
    let requests = Requests::build(&app_url, &options.path, &Random::seeded(options.seed), 0, options.n, "HELLO");
    let ledger = Arc::new(Ledger::new(0, options.n));
    send(server.address, requests, Arc::clone(&ledger), options.connections, Pace::Closed).await?;
    Ok(ledger.summary())
}

/// Events a second that SQLite takes at synchronous=FULL, committed by the `batch`.
pub async fn sqlite(events: usize, batch: usize) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let mut options = ConnectOptions::new(format!("sqlite://{}/ceiling.db?mode=rwc", folder.path().display()));
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
    });
    let db = Database::connect(options).await?;
    for statement in SCHEMA {
        db.execute_unprepared(statement).await?;
    }
    let random = Random::seeded(1);
    let mut busy = Duration::ZERO;
    let mut done = 0;
    while done < events {
        let rows = Rows::of(done as u128, batch, &random);
        let started = Instant::now();
        commit(&db, rows, batch).await?;
        busy += started.elapsed();
        done += batch;
    }
    db.close().await?;
    Ok(per_s(done, busy))
}

async fn commit(db: &DatabaseConnection, rows: Rows, batch: usize) -> Result<(), Failure> {
    let begin = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(begin).await?;
    for (into, columns, values) in [
        ("contacts (id, tenant_id, phone_key, name, created_us)", 5, rows.contacts),
        ("messages (id, tenant_id, contact_id, body, provider_sid, at_us)", 6, rows.messages),
        ("events (id, tenant_id, contact_id, dedupe_key, data, occurred_us)", 6, rows.events),
    ] {
        let row = format!("({})", vec!["?"; columns].join(","));
        let sql = format!("INSERT INTO {into} VALUES {} ON CONFLICT DO NOTHING", vec![row; batch].join(","));
        transaction.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The values of a batch, made before the clock starts.
#[derive(Default)]
struct Rows {
    contacts: Vec<Value>,
    messages: Vec<Value>,
    events: Vec<Value>,
}

impl Rows {
    fn of(first: u128, batch: usize, random: &Random) -> Self {
        let mut rows = Self::default();
        let tenant = || Value::from(vec![7u8; 16]);
        for number in first..first + batch as u128 {
            // Ids rise, as the server's do; the provider's do not.
            let id = |table: u128| Value::from((number << 64 | table).to_be_bytes().to_vec());
            let sid = format!("SM{:016x}{:016x}", random.next_u64(), random.next_u64());
            let at = number as i64;
            rows.contacts.extend([id(1), tenant(), Ledger::sender(number as usize).into(), "".into(), at.into()]);
            rows.messages.extend([
                id(2),
                tenant(),
                id(1),
                format!("LOAD {number}").into(),
                sid.clone().into(),
                at.into(),
            ]);
            let data = format!(r#"{{"body":"LOAD {number}","num_media":0,"num_segments":1,"sid":"{sid}"}}"#);
            rows.events.extend([id(3), tenant(), id(1), sid.into(), data.into(), at.into()]);
        }
        rows
    }
}
