//! Delivery callbacks of providers: each message has its own URL, which nobody can guess.
//!
//! Providers have no common way to sign callbacks, so the URL is the secret. It ends with an HMAC of its message's
//! identity and is valid for that message alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::config::secret::SecretKey;
use crate::config::webhook_urls::provider_status;

const PURPOSE: &str = "provider callback";

/// `{APP_URL}/api/providers/{provider}/{slug}/{action}/{mac}`
#[derive(Clone, Debug)]
pub struct Callbacks {
    base: String,
    key: SecretKey,
}

impl Callbacks {
    /// Creates a value; `base` is our public URL without a trailing slash.
    pub const fn new(base: String, key: SecretKey) -> Self {
        Self { base, key }
    }

    /// Returns the callback URL of a message.
    pub fn url(&self, provider: &str, slug: &str, action: &str) -> String {
        provider_status(&self.base, provider, slug, action, &self.mac(provider, slug, action))
    }

    /// Verifies a URL, in constant time.
    pub fn is_genuine(&self, provider: &str, slug: &str, action: &str, mac: &str) -> bool {
        self.mac(provider, slug, action).as_bytes().ct_eq(mac.as_bytes()).into()
    }

    fn mac(&self, provider: &str, slug: &str, action: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.mac(PURPOSE, &[provider, slug, action]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_good_for_its_message_alone() {
        let key = |digit: &str| SecretKey::parse(&digit.repeat(64)).unwrap();
        let callbacks = Callbacks::new("https://x.example".to_owned(), key("1"));
        let url = callbacks.url("india", "demo", "id-1");
        let mac = url.strip_prefix("https://x.example/api/providers/india/demo/id-1/").unwrap();
        assert!(callbacks.is_genuine("india", "demo", "id-1", mac));
        for (provider, slug, action) in [
            ("other", "demo", "id-1"),
            ("india", "sol", "id-1"),
            ("india", "demo", "id-2"),
            // The same letters, split differently.
            ("indi", "ademo", "id-1"),
            ("india", "demoid-1", ""),
        ] {
            assert!(!callbacks.is_genuine(provider, slug, action, mac), "{provider}/{slug}/{action}");
        }
        for wrong in ["", &mac[1..], &mac.to_uppercase()] {
            assert!(!callbacks.is_genuine("india", "demo", "id-1", wrong), "{wrong}");
        }
        let other = Callbacks::new("https://x.example".to_owned(), key("2"));
        assert!(!other.is_genuine("india", "demo", "id-1", mac));
    }
}
