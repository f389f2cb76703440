//! E-mail: sends a mail to the mail server, or writes it to a file.
//!
//! [`Mailer::send`] makes one attempt and never repeats it: a retry is the ledger's decision. The meaning of a failure
//! depends on the stage of the dialogue (`smtp`). Until the final dot of the message has been sent, a server must not
//! deliver it (RFC 5321, 4.1.1.4), so nothing was sent. After that only the server's reply tells, and without one the
//! outcome is unknown. A mail's Message-ID comes from its action, so that a duplicate can be recognized.
//!
//! Without SMTP_URL mails are written to files, see [`Folder`].

mod folder;
mod mime_message;
mod outcome;
mod smtp;
mod stream;
pub mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lettre::message::Mailbox;
use reqwest::Url;

pub use folder::{FILES_MAX, Folder};
pub use smtp::{CONNECTIONS_MAX, DEADLINE, Server};

use crate::config;
use crate::domain::{ActionId, Clock, DeliveryStatus, EmailAddress};
use crate::integrations::provider::{Accepted, SendFailure};

/// Limit of a subject, in characters.
pub const SUBJECT_CHARS: usize = 200;
/// Limit of a text, and of HTML, in bytes.
pub const BODY_BYTES: usize = 100_000;
/// Limit of the certificate file, in bytes.
const CA_FILE_BYTES: u64 = 1024 * 1024;

/// One e-mail to one recipient.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The action; the Message-ID is derived from it.
    pub id: ActionId,
    pub from: Mailbox,
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    /// The text as HTML.
    pub html: Option<String>,
    pub reply_to: Option<Mailbox>,
    /// URL where the recipient can unsubscribe (RFC 2369).
    pub unsubscribe: Option<Url>,
}

/// Why a mailer could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("SMTP_CA_FILE {} cannot be read ({reason}): name a file of certificates in PEM", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("TLS for SMTP_URL could not be set up ({0}): check the host's name, and the system's certificates")]
    Tls(lettre::transport::smtp::Error),
}

/// Sends e-mail to the server of SMTP_URL, or into files. Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct Mailer {
    way: Arc<Way>,
    from: Mailbox,
    clock: Clock,
}

#[derive(Debug)]
enum Way {
    Server(Server),
    Folder(Folder),
}

impl Mailer {
    /// Creates a mailer. Without a server, mails go to `folder`, which is created with the first one.
    ///
    /// # Errors
    /// The certificate file is not usable, or TLS could not be set up.
    pub fn new(config: &config::Mail, folder: &Path, clock: Clock) -> Result<Self, MailerError> {
        let from = config.sender();
        let way = match &config.smtp {
            Some(server) => Way::Server(Server::new(server, &from, config.ca_file.as_deref())?),
            None => Way::Folder(Folder::new(folder)),
        };
        Ok(Self { way: Arc::new(way), from, clock })
    }

    /// Returns the sender of MAIL_FROM.
    pub fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Describes for people where e-mail goes: `mail.example:587`, or the folder.
    pub fn destination(&self) -> String {
        match &*self.way {
            Way::Server(server) => server.to_string(),
            Way::Folder(folder) => folder.path().display().to_string(),
        }
    }

    /// True if a server is set; otherwise nobody receives the mails.
    pub fn delivers(&self) -> bool {
        matches!(*self.way, Way::Server(_))
    }

    /// Makes one attempt within [`DEADLINE`].
    ///
    /// # Errors
    /// The mail was not accepted, or the outcome is unknown; by what may be done next.
    pub async fn send(&self, mail: &Mail) -> Result<Accepted, SendFailure> {
        let now = self.clock.now();
        let mime = mime_message::write(mail, now).map_err(|why| outcome::unfit(&why))?;
        match &*self.way {
            Way::Server(server) => {
                server.send(&mime).await?;
                Ok(accepted(mime.id))
            }
            Way::Folder(folder) => {
                let file = folder.write(mail.id, now, mime.bytes).await.map_err(|why| outcome::unwritten(&why))?;
                Ok(accepted(file.display().to_string()))
            }
        }
    }
}

const fn accepted(sid: String) -> Accepted {
    Accepted { sid, status: DeliveryStatus::Sent, http_status: None, doubt: None }
}
