//! Checks the database and the server that runs on it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Check, Doctor, Finding};
use crate::config::url_of_listener;
use crate::integrations::http;

/// The time for checking a SQLite file. A larger file is not done by then.
const FILE_CHECK_WITHIN: Duration = Duration::from_secs(30);
/// The time for one question to our own server.
pub(super) const OWN_SERVER_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer of our own server.
const OWN_ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Backlogs are counted up to this.
const COUNT_MAX: usize = 100_000;

/// The answer of `/ready`.
#[derive(Deserialize)]
struct Ready {
    status: String,
    #[serde(default)]
    paused_accounts: u64,
}

impl Doctor<'_> {
    pub(super) async fn database(&self) -> Vec<Finding> {
        let subject = if self.store.is_sqlite() { "SQLite" } else { "PostgreSQL" };
        let mut findings = Vec::new();
        match tokio::time::timeout(FILE_CHECK_WITHIN, self.store.faults_in_file()).await {
            Ok(Ok(faults)) if faults.is_empty() => {
                findings.push(Finding::ok(Check::Database, subject, "it answers, is up to date and in order"));
            }
            Ok(Ok(faults)) => findings.push(
                Finding::error(Check::Database, subject, format!("the file is damaged: {}", faults.join("; ")))
                    .remedy("stop the server and restore a backup; look after the disk"),
            ),
            Ok(Err(error)) => findings.push(Finding::error(Check::Database, subject, error.to_string())),
            Err(_) => {
                let says = "it answers; its file is too large to be read through here";
                findings.push(Finding::note(Check::Database, subject, says));
            }
        }
        findings.extend(self.waiting(subject).await);
        findings
    }

    /// Checks the backlog, and the actions that wait for a person.
    async fn waiting(&self, subject: &str) -> Vec<Finding> {
        let counts = async { Ok((self.store.backlog(COUNT_MAX).await?, self.store.held(COUNT_MAX).await?)) };
        let (backlog, held) = match counts.await {
            Ok(counts) => counts,
            Err(error) => {
                let error: crate::store::StoreError = error;
                return vec![Finding::error(Check::Database, subject, error.to_string())];
            }
        };
        let mut findings = Vec::new();
        if backlog.events + backlog.actions > 0 {
            let says = format!("{} events wait for a decision, {} sends to leave", backlog.events, backlog.actions);
            findings.push(
                Finding::note(Check::Database, subject, says)
                    .remedy("'recado messages' and 'recado explain' say of each why; without a server all waits"),
            );
        }
        if backlog.unknown > 0 {
            let says = format!("of {} sends it is not known whether Twilio took them", backlog.unknown);
            findings.push(
                Finding::warning(Check::Database, subject, says)
                    .remedy("they are looked for by themselves; 'recado explain' says how far that has come"),
            );
        }
        if held > 0 {
            let says = format!("{held} sends are held back");
            findings.push(
                Finding::warning(Check::Database, subject, says).remedy("'recado explain' says why, such as a loop"),
            );
        }
        findings
    }

    /// Asks the server that runs here, if one does: only it knows which accounts pause.
    pub(super) async fn server(&self) -> Vec<Finding> {
        let base = url_of_listener(self.config.listen);
        match self.own::<Ready>(&format!("{base}/ready"), Some(self.directory.key().operator_token())).await {
            Ok(ready) if ready.paused_accounts > 0 => {
                let says = format!("sends wait: Twilio refuses the credentials of {} accounts", ready.paused_accounts);
                vec![Finding::error(Check::Server, base, says).remedy("see which below, and put its token right")]
            }
            Ok(ready) if ready.status == "ready" => vec![Finding::ok(Check::Server, base, "it runs and is ready")],
            Ok(ready) => vec![Finding::error(Check::Server, base, format!("it says '{}'", ready.status))],
            Err(why) => vec![
                Finding::warning(Check::Server, base, format!("no server of Recado's answers there ({why})"))
                    .remedy("start it: recado serve"),
            ],
        }
    }

    /// Asks our own server for JSON, whatever the status. The token goes to our own address only.
    pub(super) async fn own<T: DeserializeOwned>(&self, url: &str, token: Option<SecretString>) -> Result<T, String> {
        ask(self.http, url, token).await
    }
}

/// Asks a server for JSON, whatever the status.
pub(super) async fn ask<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &str,
    token: Option<SecretString>,
) -> Result<T, String> {
    let answer = async {
        let request = http.get(url);
        let request = match &token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let mut response = request.send().await.map_err(http::describe)?;
        if response.status().is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or("another address");
            return Err(format!("it redirects to {to}"));
        }
        let body = http::read_body(&mut response, OWN_ANSWER_MAX_BYTES).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        serde_json::from_slice(&body).map_err(|_| format!("HTTP {status}, and not what Recado says there"))
    };
    match tokio::time::timeout(OWN_SERVER_WITHIN, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", OWN_SERVER_WITHIN.as_secs())),
    }
}
