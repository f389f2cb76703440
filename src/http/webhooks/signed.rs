//! Checks that an account has signed a webhook. Where it has not, finds the likely cause for the log: another account, http
//! instead of https, another host, or an old token. The caller learns none of it.

use axum::http::Method;
use axum::http::request::Parts;

use crate::domain::RefusalKind;
use crate::http::{AppState, WebhookRejection};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::signature;
use crate::tenants::{Account, Tenant};

/// Headers that say which host was called: as the proxy has passed it on, and as the proxy itself was called.
const HOST_HEADERS: [&str; 2] = ["x-forwarded-host", "host"];

/// Whose signature a webhook must have.
pub struct Signer<'a> {
    /// The slug of the tenant; `None` where no tenant is known by the URL.
    pub slug: Option<&'a str>,
    pub account: &'a Account,
    /// The public URLs under which the webhook may have been called. The request's own `Host` is not among them.
    pub bases: Vec<&'a str>,
}

impl<'a> Signer<'a> {
    /// The account of a tenant.
    pub fn tenant(tenant: &'a Tenant, state: &'a AppState) -> Self {
        let bases = tenant.bases(state.directory.platform()).collect();
        Self { slug: Some(&tenant.slug), account: &tenant.account, bases }
    }

    /// The installation's account, for a URL or a number that no tenant has. An unsigned webhook is then refused in the same
    /// words, and after the same work, as one for a tenant.
    pub fn installation(state: &'a AppState) -> Self {
        let platform = state.directory.platform();
        Self { slug: None, account: &platform.account, bases: vec![&platform.app_url] }
    }

    /// Verifies the signature.
    pub fn verify(&self, state: &AppState, parts: &Parts, params: &Params) -> Result<(), WebhookRejection> {
        let header = parts.headers.get("x-twilio-signature").and_then(|value| value.to_str().ok());
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let checked = || self.bases.iter().map(|base| format!("{base}{target}")).collect::<Vec<_>>().join(" ");
        let Some(header) = header else {
            let cause = "there is no X-Twilio-Signature header: only the provider may call this URL; to try it by hand use \
                         'recado webhook'";
            return Err(WebhookRejection::unverified(RefusalKind::Unsigned, cause).checked(checked()));
        };
        // The parameters of a GET are part of the URL, which is signed as a whole.
        let none = Params::default();
        let form = if parts.method == Method::GET { &none } else { params };
        let signed = Signed { header, target, form };
        let tokens = self.account.exposed_tokens();
        if self.bases.iter().any(|base| signed.by(&tokens, base)) {
            return Ok(());
        }
        let (kind, cause) = self.likely_cause(state, parts, params, &signed);
        Err(WebhookRejection::unverified(kind, cause).checked(checked()))
    }

    /// Finds out why the signature does not match. The work is bounded: a few more signatures, whoever calls.
    fn likely_cause(
        &self,
        state: &AppState,
        parts: &Parts,
        params: &Params,
        signed: &Signed<'_>,
    ) -> (RefusalKind, String) {
        let tokens = self.account.exposed_tokens();
        let tenant = self.slug.unwrap_or("SLUG");
        let named = params.get("AccountSid").unwrap_or_default();
        if named != self.account.sid {
            let other = account(state, named);
            let is_theirs = other.is_some_and(|other| {
                let tokens = other.exposed_tokens();
                self.bases.iter().any(|base| signed.by(&tokens, base))
            });
            let cause = match is_theirs {
                true => format!(
                    "it is signed by another account ({named}) than that of this URL's tenant ({}): correct the slug in the \
                     number's webhook, or enter that account with 'recado tenant credentials {tenant}'",
                    self.account.sid
                ),
                false => format!(
                    "it names another account ({named}) than that of this URL's tenant ({}), and that account's token is not \
                     known here",
                    self.account.sid
                ),
            };
            return (RefusalKind::Account, cause);
        }
        let other_scheme = self.bases.iter().filter_map(|base| with_other_scheme(base));
        if let Some(base) = other_scheme.into_iter().find(|base| signed.by(&tokens, base)) {
            let scheme = if base.starts_with("https:") { "https" } else { "http" };
            let cause = format!(
                "Twilio calls this URL with {scheme}, and APP_URL (or the sender's base URL) has the other: write {base} in both, \
                 at Twilio and here"
            );
            return (RefusalKind::Signature, cause);
        }
        let hosts = HOST_HEADERS.iter().filter_map(|name| parts.headers.get(*name)?.to_str().ok());
        let bases = hosts.flat_map(|host| [format!("https://{host}"), format!("http://{host}")]);
        if let Some(base) = bases.into_iter().find(|base| signed.by(&tokens, base)) {
            let cause =
                format!("Twilio calls {base}, and APP_URL (or the sender's base URL) is not that: set it to {base}");
            return (RefusalKind::Signature, cause);
        }
        let cause = format!(
            "the account is the right one, and no likely URL fits: most likely its auth token was changed at Twilio, and the \
             old token is stored here ('recado tenant credentials {tenant}'; the installation's is TWILIO_AUTH_TOKEN); or a \
             proxy changes the path or the query, or the request is forged"
        );
        (RefusalKind::Signature, cause)
    }
}

/// A signature and what it is of, without the base of the URL.
struct Signed<'a> {
    header: &'a str,
    target: &'a str,
    form: &'a Params,
}

impl Signed<'_> {
    /// Whether one of these tokens signs it for this base.
    fn by(&self, tokens: &[&str], base: &str) -> bool {
        let url = format!("{base}{}", self.target);
        signature::verify(self.header, tokens, &url, signature::Body::Form(self.form))
    }
}

/// An account that this installation knows.
fn account(state: &AppState, sid: &str) -> Option<std::sync::Arc<Account>> {
    let platform = &state.directory.platform().account;
    if platform.sid == sid {
        return Some(platform.clone());
    }
    let snapshot = state.directory.now();
    snapshot
        .tenants()
        .find(|tenant| tenant.owns_account && tenant.account.sid == sid)
        .map(|tenant| tenant.account.clone())
}

/// The base with http for https, or the other way round.
fn with_other_scheme(base: &str) -> Option<String> {
    match base.split_once("://")? {
        ("https", rest) => Some(format!("http://{rest}")),
        ("http", rest) => Some(format!("https://{rest}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_swapped() {
        assert_eq!(with_other_scheme("https://a.b/c").as_deref(), Some("http://a.b/c"));
        assert_eq!(with_other_scheme("http://a.b:80").as_deref(), Some("https://a.b:80"));
        assert_eq!(with_other_scheme("a.b"), None);
    }
}
