//! Why the program cannot start, or a command cannot open the installation.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::secret::{OpenError, SealError};
use crate::config::{ConfigErrors, KeyFileError};
use crate::integrations::chat_model::ChatError;
use crate::integrations::elevenlabs::ElevenLabsError;
use crate::integrations::email::MailerError;
use crate::integrations::http;
use crate::integrations::http_providers::providers::ProvidersError;
use crate::integrations::twilio::client::ClientError;
use crate::rules::EvaluatorError;
use crate::store::StoreError;
use crate::telemetry::TelemetryError;

/// A failed start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Providers(#[from] ProvidersError),
    #[error(transparent)]
    Http(#[from] http::ClientError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Eleven(#[from] ElevenLabsError),
    #[error(transparent)]
    Mailer(#[from] MailerError),
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    #[error(
        "the address {address} cannot be listened on ({cause}): is another server running there? set {key} to another"
    )]
    Listen { key: &'static str, address: SocketAddr, cause: std::io::Error },
    #[error("another 'recado serve' runs on {}: stop it first, or use another DATABASE_URL", .0.display())]
    AlreadyServing(PathBuf),
    #[error(
        "the rules folder {} is missing: make it, start in the folder where it is, or set RULES_DIR; RULES_DIR=off runs \
         without rules",
        .0.display()
    )]
    NoRules(PathBuf),
    #[error(
        "there is no database at {0} yet: start 'recado serve' in this folder first, go to the folder where it runs, set \
         DATABASE_URL, or make one with 'recado migrate'"
    )]
    NoDatabase(String),
    #[error(
        "the database is older than this program, {0} migrations are missing: back it up, then start the new 'recado \
         serve', or run 'recado migrate'"
    )]
    OldDatabase(usize),
    #[error("the built-in carrier's account cannot be read: {0}")]
    CarrierAccount(String),
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "{} cannot be made ({cause}): it belongs beside the database, whose folder must be there or be makeable; \
         check DATABASE_URL, and that this user may write there",
        path.display()
    )]
    Lock { path: PathBuf, cause: std::io::Error },
    #[error(
        "a rehearsal runs on a copy of the database, which is made of SQLite's only: 'recado export' a tenant, 'recado \
         import' it into an empty folder, and rehearse there"
    )]
    NoCopy,
    #[error("the operating system refused: {0}")]
    Io(#[from] std::io::Error),
}

impl From<SealError> for AppError {
    fn from(error: SealError) -> Self {
        Self::CarrierAccount(error.to_string())
    }
}

impl From<OpenError> for AppError {
    fn from(error: OpenError) -> Self {
        Self::CarrierAccount(error.to_string())
    }
}
