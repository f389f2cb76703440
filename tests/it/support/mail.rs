//! A real SMTP server, `mail_server.py`, which reports what it receives.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::wait::eventually;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/mail_server.py");
/// Time limit for a mail to arrive, long enough for a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// The login of the server, as part of a URL.
pub const LOGIN: &str = "hola:s3cret%3Ak%C3%A4se";

/// Killed when dropped.
pub struct MailServer {
    child: Child,
    about: Value,
    folder: TempDir,
}

impl MailServer {
    /// Starts a server.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut child = Command::new(super::python())
            .arg(SCRIPT)
            .arg(folder.path().join("received"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python that tests/run.sh makes can be run");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let about = serde_json::from_str(&line).expect("it writes a line of JSON; what is wrong stands above");
        Self { child, about, folder }
    }

    /// `smtp://localhost:…?tls=none`
    pub fn plain(&self) -> String {
        format!("smtp://localhost:{}?tls=none", self.about["plain"])
    }

    /// `smtp://login@localhost:…`, with STARTTLS.
    pub fn starttls(&self, login: &str) -> String {
        format!("smtp://{login}@localhost:{}", self.about["starttls"])
    }

    /// `smtps://login@localhost:…`
    pub fn tls(&self, login: &str) -> String {
        format!("smtps://{login}@localhost:{}", self.about["tls"])
    }

    /// The certificate authority of the server.
    pub fn ca_file(&self) -> PathBuf {
        self.about["ca_file"].as_str().expect("it is said").into()
    }

    /// Returns the mails for this recipient, in order.
    pub fn taken(&self, to: &str) -> Vec<Value> {
        let lines = std::fs::read_to_string(self.folder.path().join("received")).unwrap_or_default();
        let whole = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let mails = whole.map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        mails.filter(|mail| mail["to"][0] == to).collect()
    }

    /// Waits for the first mail to this recipient.
    pub async fn first(&self, to: &str) -> Value {
        eventually(WITHIN, || async { self.taken(to).into_iter().next().ok_or("nothing yet") }).await
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Fails if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
