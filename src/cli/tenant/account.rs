//! The check of a tenant's own account, and what is said of it. `set` and `credentials` share it.

use secrecy::SecretString;

use crate::app::Installation;
use crate::cli::{CliError, text};
use crate::tenants::credentials::{self, Checked, CredentialsError};

/// Checks at Twilio that SID and token belong together, before they are stored.
///
/// With the built-in carrier, Twilio takes no sends and is not asked.
pub async fn check_credentials(
    installation: &Installation,
    sid: &str,
    token: &SecretString,
    no_check: bool,
) -> Result<Checked, CliError> {
    match (no_check, installation.built_in_carrier) {
        (true, _) => Ok(Checked::Skipped),
        (false, true) => Ok(Checked::StandIn),
        (false, false) => Ok(credentials::check(&installation.config.twilio.api_base, sid, token).await?),
    }
}

/// The result of a check, for people.
pub fn describe_check(checked: &Checked) -> String {
    match checked {
        Checked::Known { friendly_name, status } if status == "active" => {
            format!("Twilio knows them: \"{}\", active", text::one_line(friendly_name))
        }
        Checked::Known { status, .. } => format!("warning: the credentials are right, but the account is {status}"),
        Checked::StandIn => {
            "Twilio was not asked: without an account of the installation's, a stand-in takes what is sent".to_owned()
        }
        Checked::Skipped => {
            "warning: Twilio was not asked whether the credentials are right; 'recado doctor' does so".to_owned()
        }
    }
}

impl From<CredentialsError> for CliError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::Client(error) => error.into(),
            CredentialsError::Http(error) => error.into(),
            error => Self::Refused(error.to_string()),
        }
    }
}
