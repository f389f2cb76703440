//! Errors of the database, with their remedies.

/// The most requests that may wait for the writer. One more is refused with [`StoreError::QueueFull`].
pub const WRITE_QUEUE: usize = 4_096;

/// An error is cheap to clone, because one failed commit fails many requests.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database is locked by another process; it is tried again when the lock is gone")]
    Busy,
    #[error("the disk is full: free some space, nothing that was acknowledged is lost")]
    DiskFull,
    #[error("the database cannot be reached ({0}); check DATABASE_URL and that it is running")]
    Unreachable(String),
    #[error("{} requests wait for the database already; try again in a moment", WRITE_QUEUE)]
    QueueFull,
    #[error("the database took too long over this and was stopped; ask for less, such as a smaller page")]
    TooSlow,
    #[error("the store is closed: the program is stopping, or its writer has died; start it again")]
    Closed,
    #[error("another transaction came first; try again")]
    Conflict,
    #[error("{0} is taken already")]
    Taken(String),
    #[error("a stored value cannot be read: {0}; was the database changed by hand or by a newer version?")]
    Stored(String),
    #[error("{0}")]
    Setup(String),
    #[error("the database refused: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the database as a whole is out. Trying single requests again would only take time.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Busy | Self::DiskFull | Self::Unreachable(_) | Self::Closed)
    }

    /// Whether the database or a row refused this very work, and would refuse it again.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Taken(_) | Self::Stored(_) | Self::Setup(_) | Self::Other(_))
    }

    pub(in crate::store) fn json(error: serde_json::Error) -> Self {
        Self::Stored(error.to_string())
    }

    pub(in crate::store) fn stored(error: impl std::fmt::Display) -> Self {
        Self::Stored(error.to_string())
    }
}

impl From<sea_orm::DbErr> for StoreError {
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, RuntimeErr};
        let text = error.to_string();
        if text.contains("database is locked") || text.contains("database table is locked") {
            return Self::Busy;
        }
        // SQLITE_INTERRUPT, PostgreSQL's 57014 (query_canceled).
        if text.ends_with("interrupted") || text.contains("57014") || text.contains("statement timeout") {
            return Self::TooSlow;
        }
        // SQLITE_FULL, PostgreSQL's 53100, and the operating system's messages for a full file system.
        if text.contains("disk is full")
            || text.contains("53100")
            || text.contains("No space left")
            || text.contains("disk I/O error")
        {
            return Self::DiskFull;
        }
        match &error {
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                if is_conflict(cause) {
                    return Self::Conflict;
                }
                if is_too_slow(cause) {
                    return Self::Busy;
                }
            }
            _ => {}
        }
        let unreachable = match &error {
            DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => is_gone(cause),
            _ => false,
        };
        if unreachable { Self::Unreachable(text) } else { Self::Other(text) }
    }
}

/// Whether the connection or the whole server has failed, not the statement. Class 08 is a failed connection, 57P01 to
/// 57P03 a server that stops or starts, 25P03 a session that idled in a transaction and was ended (PostgreSQL, appendix
/// A).
fn is_gone(cause: &sea_orm::sqlx::Error) -> bool {
    use sea_orm::sqlx::Error;
    match cause {
        Error::Io(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(refused) => {
            refused.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P0") || code == "25P03")
        }
        _ => false,
    }
}

/// Whether another transaction was in the way: 40001 and 40P01 are a failed serialization and a deadlock; 23505 is a row
/// that is unique, here a second head of an ordering key.
fn is_conflict(cause: &sea_orm::sqlx::Error) -> bool {
    let Some(refused) = cause.as_database_error() else { return false };
    match refused.code().as_deref() {
        Some("40001" | "40P01") => true,
        Some("23505") => refused.constraint() == Some("actions_head"),
        _ => false,
    }
}

/// Whether the server gave up waiting: 55P03 is a lock, 57014 a statement that took too long.
fn is_too_slow(cause: &sea_orm::sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|refused| refused.code());
    matches!(code.as_deref(), Some("55P03" | "57014"))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // A full file system gives either code.
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::DiskFull,
            Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase) => Self::Unreachable(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}
