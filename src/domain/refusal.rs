//! The kinds of refusals of webhooks, each with its likely cause and its remedy. They are few, so that they can be counted.

/// Why a webhook was refused. The names are stored: a kind is never renamed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownKind, parse_err_fn = UnknownKind::new)]
pub enum RefusalKind {
    /// 403: without a signature.
    Unsigned,
    /// 403: the signature does not match.
    Signature,
    /// 403: signed by another account than the tenant's.
    Account,
    /// 403: signed, but for another tenant's number.
    Number,
    /// 403: the callback URL of a described provider was not made here.
    Proof,
    /// 404: no tenant has this slug or number.
    Unknown,
    /// 400: the form cannot be read.
    BadForm,
    /// 413: the body is too large.
    TooLarge,
    /// 408: the body did not arrive in time.
    TooSlow,
}

/// A stored kind that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no kind of refusal that this version knows; it was written by a newer one")]
pub struct UnknownKind(String);

impl UnknownKind {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl RefusalKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// The meaning, as it follows a count: `3 webhooks …`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unsigned => "came without a signature",
            Self::Signature => "had a signature that does not match",
            Self::Account => "were signed, but came from another account than the tenant's",
            Self::Number => "were for a number that belongs to another tenant",
            Self::Proof => "came to a provider's callback URL that was not made here",
            Self::Unknown => "were for a slug or a number that no tenant has",
            Self::BadForm => "had a form that cannot be read",
            Self::TooLarge => "had a body that is too large",
            Self::TooSlow => "had a body that did not arrive in time",
        }
    }

    /// The likely cause and its remedy.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unsigned => {
                "Twilio signs each of its calls: somebody else calls this URL, or a proxy drops the header \
                 X-Twilio-Signature"
            }
            Self::Signature => {
                "APP_URL (or the sender's base URL) must be, to the letter, what Twilio calls; the auth token must be the \
                 account's present one; and no proxy may change the path or the query"
            }
            Self::Account => {
                "the number is of another account: give the tenant that account with 'recado tenant credentials', or \
                 correct the slug in the number's webhook"
            }
            Self::Proof => {
                "URLs given to a provider before RECADO_SECRET_KEY changed are refused; otherwise somebody guesses them"
            }
            Self::Number => "correct the slug in the number's webhook, or give the number to this tenant",
            Self::Unknown => {
                "correct the slug in the number's webhook ('recado tenant list' has the URLs), or give the number to a \
                 tenant with 'recado tenant set'"
            }
            Self::BadForm => "the webhook must be sent by HTTP POST; if it is, somebody else calls this URL",
            Self::TooLarge | Self::TooSlow => "Twilio's forms are small and quick: somebody else calls this URL",
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn kinds_are_known_by_their_names() {
        for kind in RefusalKind::VARIANTS.iter().copied() {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert!(!kind.meaning().is_empty() && !kind.remedy().is_empty());
        }
        assert!("forged".parse::<RefusalKind>().unwrap_err().to_string().contains("newer"));
    }
}
