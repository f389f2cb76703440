//! Why a number was not found, bought, configured or released, and what to do.

use crate::integrations::twilio::client::{LookupError, SendError};
use crate::store::StoreError;

/// A failed request about numbers.
#[derive(Debug, thiserror::Error)]
pub enum NumbersError {
    #[error(
        "'{slug}' has {owned} numbers{also}, and NUMBERS_BUDGET allows {budget}: give one back (recado numbers release; one \
         that was bought counts for 30 days), or raise NUMBERS_BUDGET",
        also = if *given_back > 0 { format!(" and has bought and given back {given_back} within 30 days") } else { String::new() }
    )]
    OverBudget { slug: String, owned: usize, given_back: usize, budget: u32 },
    /// Twilio 21421.
    #[error("{0} is not a number that can be bought: choose one that 'recado numbers search' has found")]
    NotANumber(String),
    /// Twilio 21422.
    #[error("{0} is not for sale any more: search again and choose another")]
    NotForSale(String),
    /// Twilio 21452, or an area code without numbers.
    #[error("no number is for sale in that area: search in another, or without an area code")]
    NoneInArea,
    /// Twilio sells no numbers in this country, or none of this kind.
    #[error("Twilio sells no such numbers in {0}: search for another kind (local, mobile, toll-free), or elsewhere")]
    NoSuchKind(String),
    /// Twilio 21631 or 21615.
    #[error(
        "{0} is sold with an address only: enter one in the console under Phone Numbers, Addresses, and give its SID \
         (--address AD…)"
    )]
    NeedsAddress(String),
    /// Twilio 21649.
    #[error(
        "{0} is sold with a regulatory bundle only: have one approved in the console under Phone Numbers, Regulatory \
         compliance, and give its SID (--bundle BU…)"
    )]
    NeedsBundle(String),
    /// Twilio 20003.
    #[error(
        "Twilio refuses the credentials of '{slug}' ({message}): correct them with 'recado tenant credentials {slug}', or, \
         for the installation's account, TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
    )]
    Credentials { slug: String, message: String },
    #[error("'{0}' has no token that opens for its account: enter it with 'recado tenant credentials {0}'")]
    NoToken(String),
    #[error("'{slug}' has no number {number}: 'recado numbers list' shows those it has")]
    NotOurs { slug: String, number: String },
    #[error("{0} belongs to another business of this installation: choose another number")]
    OfAnother(String),
    #[error(
        "the account has {number} already, and no business uses it; nothing was bought: to use it, recado tenant set {slug} \
         --sms {number}, then recado numbers configure {number} --tenant {slug}"
    )]
    InAccount { slug: String, number: String },
    #[error("{0} is the installation's own number: take it out of TWILIO_FROM_NUMBER and TWILIO_WHATSAPP_NUMBER first")]
    Installations(String),
    /// The outcome of the purchase is unknown.
    #[error(
        "whether {number} was bought is not known ({why}): ask for it once more; the account's list is looked at before \
         anything is bought, and a number is sold once"
    )]
    Unknown { number: String, why: String },
    #[error("{number} was bought, but is not fully set up ({why}): recado numbers configure {number} --tenant {slug}")]
    HalfDone { slug: String, number: String, why: String },
    #[error("{number} was set up, but Twilio has {has} for its {what}: look at the number in the console")]
    NotAsSet { number: String, what: &'static str, has: String },
    #[error(transparent)]
    Twilio(LookupError),
    #[error("nothing was bought: {0}")]
    NotBought(SendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NumbersError {
    /// A stable code, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OverBudget { .. } => "over_budget",
            Self::NotANumber(_) => "not_a_number",
            Self::NotForSale(_) => "not_for_sale",
            Self::NoneInArea => "none_in_area",
            Self::NoSuchKind(_) => "no_such_kind",
            Self::NeedsAddress(_) => "needs_address",
            Self::NeedsBundle(_) => "needs_bundle",
            Self::Credentials { .. } | Self::NoToken(_) => "credentials",
            Self::NotOurs { .. } => "not_found",
            Self::OfAnother(_) | Self::InAccount { .. } => "taken",
            Self::Installations(_) => "installations_number",
            Self::Unknown { .. } => "outcome_unknown",
            Self::HalfDone { .. } => "half_done",
            Self::NotAsSet { .. } => "not_as_set",
            Self::Twilio(_) | Self::NotBought(_) => "provider",
            Self::Store(_) => "unavailable",
        }
    }

    /// From a failed lookup in a tenant's account.
    pub(super) fn from_lookup(slug: &str, error: LookupError) -> Self {
        match error {
            LookupError::Unauthorized { message, .. } => Self::Credentials { slug: slug.to_owned(), message },
            LookupError::Refused { code: Some(21452), .. } => Self::NoneInArea,
            other => Self::Twilio(other),
        }
    }

    /// From a failed purchase, or one of unknown outcome.
    pub(super) fn from_purchase(slug: &str, number: &str, error: SendError) -> Self {
        let number = number.to_owned();
        match error {
            SendError::Unauthorized { message, .. } => Self::Credentials { slug: slug.to_owned(), message },
            SendError::Unknown { why } => Self::Unknown { number, why },
            SendError::Refused { code: Some(21421), .. } => Self::NotANumber(number),
            SendError::Refused { code: Some(21422), .. } => Self::NotForSale(number),
            SendError::Refused { code: Some(21452), .. } => Self::NoneInArea,
            SendError::Refused { code: Some(21615 | 21631), .. } => Self::NeedsAddress(number),
            SendError::Refused { code: Some(21649), .. } => Self::NeedsBundle(number),
            other => Self::NotBought(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_provider_says_what_to_do() {
        let refused = |code| SendError::Refused { http_status: 400, code: Some(code), message: "no".to_owned() };
        for (code, name, says) in [
            (21421, "not_a_number", "recado numbers search"),
            (21422, "not_for_sale", "search again"),
            (21452, "none_in_area", "another"),
            (21631, "needs_address", "--address AD"),
            (21649, "needs_bundle", "--bundle BU"),
            (21404, "provider", "nothing was bought"),
        ] {
            let error = NumbersError::from_purchase("demo", "+15005550006", refused(code));
            assert_eq!(error.code(), name);
            assert!(error.to_string().contains(says), "{error}");
        }
        let unauthorized = LookupError::Unauthorized { http_status: 401, message: "Authenticate".to_owned() };
        let error = NumbersError::from_lookup("demo", unauthorized);
        assert_eq!(error.code(), "credentials");
        assert!(error.to_string().contains("recado tenant credentials demo"), "{error}");
    }
}
