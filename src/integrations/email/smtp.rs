//! The dialogue with a mail server over kept connections. It uses lettre's connection, which neither repeats nor hides
//! anything.

use std::fmt;
use std::fs;
use std::iter;
use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::mime_message::MimeMessage;
use super::outcome::{Fault, Stage, send_failure};
use super::stream::Bounded;
use super::{CA_FILE_BYTES, MailerError};
use crate::config::{Security, Smtp};
use crate::integrations::provider::SendFailure;

/// Limit of concurrent connections to the server; further mails wait.
pub const CONNECTIONS_MAX: usize = 8;
/// Time limit for a mail, from the wait for a connection to the last reply.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Time limit for a connection to one address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a kept connection to answer.
const RESET_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are not reused after this time: many servers close them after a minute.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Mails per connection; many servers allow a hundred.
const MAILS_MAX: u32 = 90;
/// The content is sent in parts of this size.
const PART_BYTES: usize = 16 * 1024;
/// The server asks for the content (RFC 5321, 4.2.2).
const GO_AHEAD: u16 = 354;

/// A mail server and its connections.
pub struct Server {
    smtp: Smtp,
    tls: Option<TlsParameters>,
    hello: ClientId,
    idle: Mutex<Vec<PooledConnection>>,
    places: Semaphore,
    deadline: Duration,
}

/// A connection that is logged in.
struct PooledConnection {
    connection: AsyncSmtpConnection,
    mails: u32,
    since: Instant,
}

impl Server {
    pub(super) fn new(smtp: &Smtp, from: &Mailbox, ca_file: Option<&Path>) -> Result<Self, MailerError> {
        let tls = match smtp.security {
            Security::None => None,
            Security::StartTls | Security::Tls => Some(tls(&smtp.host, ca_file)?),
        };
        Ok(Self {
            smtp: smtp.clone(),
            tls,
            hello: ClientId::Domain(from.email.domain().to_owned()),
            idle: Mutex::default(),
            places: Semaphore::new(CONNECTIONS_MAX),
            deadline: DEADLINE,
        })
    }

    /// Sends one mail within the deadline.
    pub(super) async fn send(&self, mime: &MimeMessage) -> Result<(), SendFailure> {
        let deadline = Instant::now() + self.deadline;
        let Ok(_place) = timeout_at(deadline, self.places.acquire()).await else {
            return Err(send_failure(Stage::Connect, &Fault::NoRoom));
        };
        let mut stage = Stage::Connect;
        let ended = timeout_at(deadline, self.dialogue(mime, &mut stage)).await;
        let fault = match ended {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => fault,
            Err(_) => Fault::Silent(self.deadline),
        };
        Err(send_failure(stage, &fault))
    }

    /// `stage` is always current, even if this future is dropped halfway.
    async fn dialogue(&self, mime: &MimeMessage, stage: &mut Stage) -> Result<(), Fault> {
        let mut pooled = match self.reuse().await {
            Some(pooled) => pooled,
            None => PooledConnection { connection: self.connect(stage).await?, mails: 0, since: Instant::now() },
        };
        *stage = Stage::Envelope;
        let ended = converse(&mut pooled.connection, mime, stage).await;
        let usable = match &ended {
            Ok(()) => true,
            // A refusal leaves the connection usable, except 421, which closes it.
            Err(Fault::Smtp(error)) => error.status().is_some_and(|code| u16::from(code) != 421),
            Err(_) => false,
        };
        if usable && pooled.mails + 1 < MAILS_MAX {
            let pooled = PooledConnection { mails: pooled.mails + 1, since: Instant::now(), ..pooled };
            self.idle().push(pooled);
        }
        ended
    }

    /// Returns a kept connection that still answers, and resets it.
    async fn reuse(&self) -> Option<PooledConnection> {
        loop {
            let mut pooled = self.idle().pop()?;
            let alive = pooled.since.elapsed() < IDLE_MAX
                && matches!(timeout(RESET_TIMEOUT, pooled.connection.command(Rset)).await, Ok(Ok(_)));
            if alive {
                return Some(pooled);
            }
        }
    }

    fn idle(&self) -> parking_lot::MutexGuard<'_, Vec<PooledConnection>> {
        self.idle.lock()
    }

    async fn connect(&self, stage: &mut Stage) -> Result<AsyncSmtpConnection, Fault> {
        let address = (self.smtp.host.as_str(), self.smtp.port);
        let mut connection = if self.smtp.security == Security::Tls {
            let tls = self.tls.clone();
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_TIMEOUT), &self.hello, tls, None).await?
        } else {
            let tcp = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
            let tcp = tcp.map_err(|_| Fault::Silent(CONNECT_TIMEOUT))?.map_err(Fault::NoConnection)?;
            let peer = tcp.peer_addr().map_err(Fault::NoConnection)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(Bounded::new(tcp, peer)), &self.hello).await?
        };
        if self.smtp.security == Security::StartTls {
            let Some(tls) = self.tls.clone().filter(|_| connection.can_starttls()) else {
                return Err(Fault::NoStartTls);
            };
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some(login) = &self.smtp.login {
            *stage = Stage::Login;
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
                return Err(Fault::NoLogin);
            }
            let credentials = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
            connection.auth(&mechanisms, &credentials).await?;
        }
        Ok(connection)
    }
}

/// Sends one mail over a connection.
async fn converse(connection: &mut AsyncSmtpConnection, mime: &MimeMessage, stage: &mut Stage) -> Result<(), Fault> {
    // Addresses and lettre's encoded content are ASCII: no extension is needed.
    connection.command(Mail::new(Some(mime.from.clone()), vec![])).await?;
    connection.command(Rcpt::new(mime.to.clone(), vec![])).await?;
    let leave = connection.command(Data).await?;
    if !leave.has_code(GO_AHEAD) {
        return Err(Fault::Odd(format!("it answered DATA with {}", leave.code())));
    }
    *stage = Stage::Content;
    // lettre writes part by part and asks for the next one right before it sends the dot.
    let before_the_dot = iter::from_fn(|| {
        *stage = Stage::End;
        None
    });
    let reply = connection.message_iter(mime.bytes.chunks(PART_BYTES).chain(before_the_dot)).await?;
    match reply.code().severity {
        Severity::PositiveCompletion => Ok(()),
        _ => Err(Fault::Odd(format!("it answered the message with {}", reply.code()))),
    }
}

fn tls(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, MailerError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let bad = |reason: String| MailerError::CaFile { path: path.to_owned(), reason };
        let size = fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
        if size > CA_FILE_BYTES {
            return Err(bad(format!("it has {size} bytes, and {CA_FILE_BYTES} is the most")));
        }
        let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
        if !pem.windows(b"BEGIN CERTIFICATE".len()).any(|part| part == b"BEGIN CERTIFICATE") {
            return Err(bad("no certificate is in it".to_owned()));
        }
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| bad(error.to_string()))?);
    }
    builder.build_rustls().map_err(MailerError::Tls)
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.smtp.host, self.smtp.port)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("smtp", &self.smtp).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
