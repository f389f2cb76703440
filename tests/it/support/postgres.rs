//! PostgreSQL for tests: a fresh database for each test.
//!
//! The cluster is that of the run (`RECADO_TEST_POSTGRES`, set by `tests/run.sh`), or one for this test process.
//! `postgres.sh` runs it, and lives until the pipe of this process closes: statics are never dropped, and a test may be
//! killed, but a pipe always closes with its process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use recado::domain::clock::Random;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/postgres.sh");

/// The database of one test, dropped with the value.
pub struct Database {
    server_url: String,
    name: String,
}

impl Database {
    /// Creates an empty database on the shared cluster.
    pub async fn fresh() -> Self {
        Self::fresh_on(shared_server_url()).await
    }

    /// Creates an empty database on the given server.
    pub async fn fresh_on(server_url: &str) -> Self {
        let chance = Random::from_os().expect("the operating system gives random numbers");
        let database = Self { server_url: server_url.to_owned(), name: format!("t{:016x}", chance.next_u64()) };
        execute(server_url, &format!("CREATE DATABASE {}", database.name)).await.expect("a database can be created");
        database
    }

    /// The connection URL, for example `postgres://postgres@%2Ftmp%2Frecado-pg.x/t0123456789abcdef`.
    pub fn url(&self) -> String {
        format!("{}/{}", self.server_url, self.name)
    }

    /// Opens a connection of the test's own.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url()).await.expect("a fresh database can be connected to")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server_url, statement) = (self.server_url.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A thread, because a runtime cannot be awaited inside another one. An error here means nothing: a stopped
        // cluster took its databases with it.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(execute(&server_url, &statement)).map_err(std::io::Error::other)
        })
        .join();
    }
}

async fn execute(server_url: &str, statement: &str) -> Result<(), sea_orm::DbErr> {
    let connection = connect(&format!("{server_url}/postgres")).await?;
    connection.execute_unprepared(statement).await?;
    connection.close().await
}

async fn connect(url: &str) -> Result<DatabaseConnection, sea_orm::DbErr> {
    sea_orm::Database::connect(ConnectOptions::new(url).max_connections(2).sqlx_logging(false).to_owned()).await
}

fn shared_server_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("RECADO_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => url.trim_end_matches('/').to_owned(),
        _ => CLUSTER.get_or_init(Cluster::start).url.clone(),
    })
}

/// A cluster for a test that breaks it. It ends, and its folder is removed, with the value or the process.
pub struct Cluster {
    /// `postgres://postgres@<socket folder>`, without a database.
    pub url: String,
    script: Child,
    /// Closed to end the cluster.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// Starts a cluster, in about a second.
    pub fn start() -> Self {
        let mut script = Command::new(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{SCRIPT} cannot be run: {error}"));
        let commands = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().expect("stdout is piped"));
        let mut cluster = Self { url: String::new(), script, commands, answers };
        cluster.url = cluster.answer();
        cluster
    }

    /// Stops the server like a power failure, with all connections.
    pub fn crash(&mut self) {
        assert_eq!(self.command("crash"), "crashed");
    }

    /// Starts the server again after [`Self::crash`], with the same data and URL.
    pub fn start_again(&mut self) {
        assert_eq!(self.command("start"), self.url);
    }

    fn command(&mut self, command: &str) -> String {
        let commands = self.commands.as_mut().expect("taken only when dropped");
        writeln!(commands, "{command}").expect("the cluster's script runs");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the cluster's script can be read");
        assert!(!line.is_empty(), "PostgreSQL did not start; its script says why above");
        line.trim_end().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.script.wait();
    }
}
