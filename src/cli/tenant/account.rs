//! A tenant's own account: how its token comes in, is tried at Twilio, and is kept. `set` and `credentials` share it.

use secrecy::SecretString;

use crate::app::Installation;
use crate::cli::CliError;
use crate::integrations::http;
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{Client, LookupError};
use crate::integrations::twilio::is_sid;
use crate::store::rows::tenant;
use crate::tenants::sealed_as;

/// Of a token on standard input or in a file.
pub const TOKEN_MAX_BYTES: u64 = 256;
const TOKEN_CHARS: usize = 32;

/// `AC` and 32 hex digits, as an argument.
pub fn account_sid(text: &str) -> Result<String, String> {
    if is_sid("AC", text) { Ok(text.to_owned()) } else { Err("an account SID is AC and 32 hex digits".to_owned()) }
}

/// A token as it was pasted.
pub fn token(text: &str) -> Result<SecretString, CliError> {
    let token = text.trim();
    if token.len() == TOKEN_CHARS && token.bytes().all(|b| b.is_ascii_alphanumeric()) {
        Ok(token.into())
    } else {
        Err(CliError::Refused(
            "an auth token has 32 letters and digits; the console shows it beside the SID".to_owned(),
        ))
    }
}

/// Asks Twilio whether SID and token belong together, before anything is kept; gives what is to be said of it.
///
/// Where the built-in carrier takes what is sent, Twilio has no part in it and is not asked.
pub async fn checked(
    installation: &Installation,
    sid: &str,
    token: &SecretString,
    no_check: bool,
) -> Result<String, CliError> {
    if no_check {
        return Ok(
            "warning: Twilio was not asked whether the credentials are right; 'recado doctor' does so".to_owned()
        );
    }
    if installation.built_in_carrier {
        return Ok(
            "Twilio was not asked: without an account of the installation's, a stand-in takes what is sent".to_owned()
        );
    }
    let client = Client::new(http::client()?, &installation.config.twilio.api_base)?;
    let account = client::Account { sid: sid.to_owned(), token: token.clone() };
    match client.fetch_account(&account).await.result {
        Ok(account) if account.status == "active" => {
            Ok(format!("Twilio knows them: \"{}\", active", crate::cli::text::one_line(&account.friendly_name)))
        }
        Ok(account) => Ok(format!("warning: the credentials are right, but the account is {}", account.status)),
        Err(LookupError::Unauthorized { .. } | LookupError::NotFound) => Err(CliError::Refused(format!(
            "Twilio refuses this SID with this token (error 20003), and nothing was changed: copy both from the account's \
             first page (console.twilio.com, Account Info, {sid}); an API key does not do"
        ))),
        Err(error) => Err(CliError::Refused(format!(
            "the credentials could not be checked, and nothing was changed: {error}; --no-check keeps them unchecked"
        ))),
    }
}

/// Makes this the account of the tenant. A new first token ends a rotation, unless `second` goes on being accepted.
pub fn keep(
    installation: &Installation,
    row: &mut tenant::Model,
    sid: &str,
    token: &SecretString,
    second: Option<&SecretString>,
) -> Result<(), CliError> {
    row.auth_token = Some(seal(installation, row, token, "auth_token")?);
    row.auth_token_secondary =
        second.map(|second| seal(installation, row, second, "auth_token_secondary")).transpose()?;
    row.account_sid = Some(sid.to_owned());
    Ok(())
}

/// Accepts another token beside the first, while they are rotated.
pub fn keep_second(installation: &Installation, row: &mut tenant::Model, token: &SecretString) -> Result<(), CliError> {
    row.auth_token_secondary = Some(seal(installation, row, token, "auth_token_secondary")?);
    Ok(())
}

/// Back to the installation's account.
pub fn remove(row: &mut tenant::Model) {
    (row.account_sid, row.auth_token, row.auth_token_secondary) = (None, None, None);
}

fn seal(
    installation: &Installation,
    row: &tenant::Model,
    token: &SecretString,
    column: &str,
) -> Result<String, CliError> {
    Ok(installation.directory.key().seal(token, &sealed_as(row.id, column))?)
}
