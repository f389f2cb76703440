//! A tenant's own Twilio account: its SID and token as they are typed in, and the check at Twilio before they are kept.

use secrecy::SecretString;

use crate::integrations::http;
use crate::integrations::twilio::client::{self, Client, ClientError, LookupError};
use crate::integrations::twilio::is_sid;

/// The most that is read of a token on standard input or in a file.
pub const TOKEN_MAX_BYTES: u64 = 256;
const TOKEN_CHARS: usize = 32;

/// Parses an account's SID: `AC` and 32 hex digits.
pub fn account_sid(text: &str) -> Result<String, String> {
    if is_sid("AC", text) { Ok(text.to_owned()) } else { Err("an account SID is AC and 32 hex digits".to_owned()) }
}

/// Parses an auth token as it was pasted.
pub fn auth_token(text: &str) -> Result<SecretString, CredentialsError> {
    let token = text.trim();
    let good = token.len() == TOKEN_CHARS && token.bytes().all(|b| b.is_ascii_alphanumeric());
    if good { Ok(token.into()) } else { Err(CredentialsError::NoToken) }
}

/// The result of the check at Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// SID and token belong together. `status` is `active`, `suspended` or `closed`.
    Known { friendly_name: String, status: String },
    /// The built-in carrier takes the sends, so Twilio was not asked.
    StandIn,
    /// The caller asked for no check.
    Skipped,
}

/// Reasons why credentials are not stored.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("an auth token has 32 letters and digits; the console shows it beside the SID")]
    NoToken,
    #[error(
        "Twilio refuses this SID with this token (error 20003), and nothing was changed: copy both from the account's \
         first page (console.twilio.com, Account Info, {0}); an API key does not do"
    )]
    Refused(String),
    #[error("the credentials could not be checked, and nothing was changed: {0}; --no-check keeps them unchecked")]
    Unreachable(LookupError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Http(#[from] http::ClientError),
}

/// Asks Twilio at `api_base` whether SID and token belong together.
pub async fn check(api_base: &str, sid: &str, token: &SecretString) -> Result<Checked, CredentialsError> {
    let client = Client::new(http::client()?, api_base)?;
    let account = client::Account { sid: sid.to_owned(), token: token.clone() };
    match client.fetch_account(&account).await.result {
        Ok(found) => Ok(Checked::Known { friendly_name: found.friendly_name, status: found.status }),
        Err(LookupError::Unauthorized { .. } | LookupError::NotFound) => Err(CredentialsError::Refused(sid.to_owned())),
        Err(error) => Err(CredentialsError::Unreachable(error)),
    }
}
