//! The server under test: a child process in a temporary folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::webhook::{ACCOUNT_SID, AUTH_TOKEN, OURS};
use crate::wire::Connection;
use crate::{CLOCK, Failure};

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_millis(1);
/// Linux counts processor time in these ticks: `sysconf(_SC_CLK_TCK)` is 100 on every common build.
const TICKS_PER_S: f64 = 100.0;

pub struct Server {
    child: Child,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
    pub address: SocketAddr,
    /// Time from its start to the first good answer of `/health`.
    pub ready: Duration,
}

/// The server's use of CPU time and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_kib: u64,
    pub resident_max_kib: u64,
}

/// How to start the program under test.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub path: std::path::PathBuf,
    pub args: &'static [&'static str],
    pub database_url: Option<String>,
    pub rules: &'static str,
    /// Settings beyond those of every run.
    pub settings: Vec<(&'static str, String)>,
}

impl Server {
    pub async fn start(program: &Program, provider: SocketAddr) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let rules = folder.path().join("rules/load");
        fs::create_dir_all(&rules)?;
        fs::write(rules.join("load.rhai"), program.rules)?;
        let address = free_port()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let database = format!("sqlite://{}/recado.db", folder.path().display());
        let mut environment = vec![
            ("LISTEN", address.to_string()),
            ("APP_URL", format!("http://{address}")),
            ("DATABASE_URL", program.database_url.clone().unwrap_or(database)),
            ("RULES_DIR", folder.path().join("rules").display().to_string()),
            ("TWILIO_ACCOUNT_SID", ACCOUNT_SID.to_owned()),
            ("TWILIO_AUTH_TOKEN", AUTH_TOKEN.to_owned()),
            ("TWILIO_FROM_NUMBER", OURS.to_owned()),
            ("TWILIO_API_BASE", format!("http://{provider}")),
            ("METRICS_LISTEN", "off".to_owned()),
            ("LOG_LEVEL", "warn".to_owned()),
        ];
        environment.extend(program.settings.iter().cloned());
        let started = Instant::now();
        let child = Command::new(fs::canonicalize(&program.path).map_err(|error| {
            format!("{} ({error}): build it first with cargo build --release", program.path.display())
        })?)
        .args(program.args)
        .current_dir(folder.path())
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        // The greeting goes there. Warnings, which are checked, go to standard error.
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
        let mut server = Self { child, folder, environment, address, ready: Duration::ZERO };
        server.wait_until_ready(started).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, started: Instant) -> Result<(), Failure> {
        let probe = format!("GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        loop {
            if let Ok(mut connection) = Connection::open(self.address).await
                && matches!(connection.call(probe.as_bytes()).await, Ok(200))
            {
                self.ready = started.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended at its start ({status}):\n{}", self.log()).into());
            }
            if started.elapsed() > READY_TIMEOUT {
                return Err(format!("/health was not well within {READY_TIMEOUT:?}:\n{}", self.log()).into());
            }
            CLOCK.sleep(PROBE_EVERY).await;
        }
    }

    /// Makes a token of the REST API for the demo tenant, with the program's own command.
    pub fn token(&self, program: &Program) -> Result<String, Failure> {
        let mut command = Command::new(fs::canonicalize(&program.path)?);
        command.args(["tenant", "token", "add", "demo", "--name", "load", "--json"]).current_dir(self.folder.path());
        let output = command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value))).output()?;
        let made: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("no token ({error}): {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(made["token"].as_str().ok_or("the answer has no token")?.to_owned())
    }

    /// The file of its database, if it has one.
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("recado.db")
    }

    /// The server's log, which at `warn` should be empty.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn usage(&self) -> Result<Usage, Failure> {
        let process = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{process}/stat"))?;
        // The name in brackets may contain blanks; the fields after it begin with the third (proc(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let status = fs::read_to_string(format!("{process}/status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok(Usage {
            cpu: Duration::from_secs_f64((ticks(14) + ticks(15)) / TICKS_PER_S),
            resident_kib: kib("VmRSS:"),
            resident_max_kib: kib("VmHWM:"),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
