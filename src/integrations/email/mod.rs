//! E-mail: from a mail to what the mail server, or a file, has taken.
//!
//! [`Mailer::send`] makes one attempt and never repeats one: whether to is the ledger's decision. What it says of a failure
//! rests on how far the dialogue had come (`smtp`): until the dot that ends the message has left, a server must not deliver
//! (RFC 5321, 4.1.1.4), so nothing was sent; after that only the server's reply tells, and without one nobody knows.
//! A mail's Message-ID comes from its action, so that even a message that went out twice is seen to be one.
//!
//! Without SMTP_URL mails are written to files, see [`Folder`].

mod folder;
mod letter;
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
use crate::integrations::provider::{NotTaken, Taken};

/// The longest subject, in characters.
pub const SUBJECT_CHARS: usize = 200;
/// The longest text, and the longest HTML, in bytes.
pub const BODY_BYTES: usize = 100_000;
/// The largest file of certificates, in bytes.
const CA_FILE_BYTES: u64 = 1024 * 1024;

/// One e-mail to one recipient.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What sends it; its Message-ID is made of this.
    pub id: ActionId,
    pub from: Mailbox,
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    /// The same for those who see HTML.
    pub html: Option<String>,
    pub reply_to: Option<Mailbox>,
    /// Where the recipient can opt out (RFC 2369).
    pub unsubscribe: Option<Url>,
}

#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("SMTP_CA_FILE {} cannot be read ({reason}): name a file of certificates in PEM", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("TLS for SMTP_URL could not be set up ({0}): check the host's name, and the system's certificates")]
    Tls(lettre::transport::smtp::Error),
}

/// Sends e-mail: to the server of SMTP_URL, or into files. Cheap to clone: clones share their connections.
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
    /// `folder` takes the files where no server is set; it is made when the first one is written.
    ///
    /// # Errors
    /// The file of certificates cannot be used, or TLS not be set up.
    pub fn new(config: &config::Mail, folder: &Path, clock: Clock) -> Result<Self, MailerError> {
        let from = config.sender();
        let way = match &config.smtp {
            Some(server) => Way::Server(Server::new(server, &from, config.ca_file.as_deref())?),
            None => Way::Folder(Folder::new(folder)),
        };
        Ok(Self { way: Arc::new(way), from, clock })
    }

    /// The sender of MAIL_FROM.
    pub fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Where e-mail goes, for people: `mail.example:587`, or the folder.
    pub fn destination(&self) -> String {
        match &*self.way {
            Way::Server(server) => server.to_string(),
            Way::Folder(folder) => folder.path().display().to_string(),
        }
    }

    /// Whether a server is set; else nobody gets what is sent.
    pub fn delivers(&self) -> bool {
        matches!(*self.way, Way::Server(_))
    }

    /// One attempt, within [`DEADLINE`].
    ///
    /// # Errors
    /// It was not taken, or nobody knows; sorted by what may be done next.
    pub async fn send(&self, mail: &Mail) -> Result<Taken, NotTaken> {
        let now = self.clock.now();
        let letter = letter::write(mail, now).map_err(|why| outcome::unfit(&why))?;
        match &*self.way {
            Way::Server(server) => {
                server.send(&letter).await?;
                Ok(taken(letter.id))
            }
            Way::Folder(folder) => {
                let file = folder.write(mail.id, now, letter.bytes).await.map_err(|why| outcome::unwritten(&why))?;
                Ok(taken(file.display().to_string()))
            }
        }
    }
}

const fn taken(sid: String) -> Taken {
    Taken { sid, status: DeliveryStatus::Sent, http_status: None }
}
