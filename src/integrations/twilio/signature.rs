//! `X-Twilio-Signature`: Base64 of HMAC-SHA1 over the URL and the form, keyed with the account's auth token.
//!
//! After <https://www.twilio.com/docs/usage/webhooks/webhooks-security> and Twilio's own libraries (twilio-python
//! 306691e, twilio-node 45d3d65, twilio-go d858acd), whose test vectors are in `tests/data/twilio/signatures.json`. No
//! time is signed, so a signed request stays valid forever: callers deduplicate on signed fields. Keys and values are
//! signed without separators: callers require the fields they need.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::form::Params;

/// The body of a signed request.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A GET request: its parameters are in the URL.
    None,
    Form(&'a Params),
    /// The raw bytes; the URL must contain their hash in `bodySHA256`.
    Json(&'a [u8]),
}

const BODY_HASH: &str = "bodySHA256";

/// Signs a form posted to `url`.
pub fn sign(token: &str, url: &str, params: &Params) -> String {
    STANDARD.encode(mac(&key(token), without_fragment(url), &signed_pairs(params)))
}

/// True if `header` signs this request with one of `tokens` (several while a token is being changed).
///
/// `url` is the public URL with its raw query, never parsed and rebuilt. Twilio's signer is inconsistent about ports
/// and queries, so the URL is tried with and without its port, and its query in three encodings. The time does not
/// depend on how nearly a signature matches.
pub fn verify(header: &str, tokens: &[&str], url: &str, body: Body) -> bool {
    let Some(given) = STANDARD.decode(header).ok().and_then(|bytes| <[u8; 20]>::try_from(bytes).ok()) else {
        return false;
    };
    let url = without_fragment(url);
    let pairs = match body {
        Body::Form(params) => signed_pairs(params),
        Body::None | Body::Json(_) => Vec::new(),
    };
    if !body_hash_holds(url, body) {
        return false;
    }
    let keys: Vec<_> = tokens.iter().filter(|token| !token.is_empty()).map(|token| key(token)).collect();
    // The URL nearly always matches unchanged; the variants are built only if it does not.
    let matches = |url: &str| -> bool {
        keys.iter().fold(Choice::from(0), |found, key| found | mac(key, url, &pairs).ct_eq(&given)).into()
    };
    if matches(url) {
        return true;
    }
    let ported = port_toggled(url);
    [Some(url), ported.as_deref()]
        .into_iter()
        .flatten()
        .any(|form| (form != url && matches(form)) || query_forms(form).iter().any(|form| matches(form)))
}

/// Checks the hash of a JSON body in the URL. With a hash, only that body is valid: otherwise an old JSON request could
/// be replayed as an empty form.
fn body_hash_holds(url: &str, body: Body) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let hash = query.split('&').find_map(|pair| pair.strip_prefix(BODY_HASH)?.strip_prefix('='));
    match (hash, body) {
        (None, Body::Json(_)) | (Some(_), Body::Form(_) | Body::None) => false,
        (None, Body::Form(_) | Body::None) => true,
        (Some(hash), Body::Json(bytes)) => {
            let expected: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            expected.as_bytes().ct_eq(hash.as_bytes()).into()
        }
    }
}

fn key(token: &str) -> Hmac<Sha1> {
    match Hmac::new_from_slice(token.as_bytes()) {
        Ok(key) => key,
        // HMAC hashes a long key and pads a short one (RFC 2104).
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

fn mac(key: &Hmac<Sha1>, url: &str, pairs: &[u8]) -> [u8; 20] {
    let mut mac = key.clone();
    mac.update(url.as_bytes());
    mac.update(pairs);
    mac.finalize().into_bytes().into()
}

/// Concatenates key and value of each distinct pair, sorted by key, then value, in byte order.
fn signed_pairs(params: &Params) -> Vec<u8> {
    let mut pairs: Vec<_> = params.iter().collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut signed = Vec::with_capacity(pairs.iter().map(|(key, value)| key.len() + value.len()).sum());
    for (key, value) in pairs {
        signed.extend_from_slice(key.as_bytes());
        signed.extend_from_slice(value.as_bytes());
    }
    signed
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// Removes the port of a URL, or adds the default port of its scheme.
fn port_toggled(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    // Colons within the brackets of an IPv6 address begin no port.
    let port = authority[host..].rfind(':').map(|at| host + at).filter(|at| !authority[*at..].contains(']'));
    Some(match port {
        Some(at) => format!("{scheme}://{}{path}", &authority[..at]),
        None => format!("{scheme}://{authority}:{}{path}", if scheme == "https" { 443 } else { 80 }),
    })
}

/// Returns the encodings in which twilio-node found queries signed, if they differ: that of the WHATWG URL, and that of
/// Node's older `querystring`.
fn query_forms(url: &str) -> Vec<String> {
    let Some((base, query)) = url.split_once('?') else { return Vec::new() };
    let mut forms: Vec<String> = [whatwg_query(query), legacy_query(query)]
        .into_iter()
        .filter(|form| form.as_ref() != query)
        .map(|form| format!("{base}?{form}"))
        .collect();
    forms.dedup();
    forms
}

fn whatwg_query(query: &str) -> Cow<'_, str> {
    if !query.contains(['\'', '"', '<', '>']) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.replace('\'', "%27").replace('"', "%22").replace('<', "%3C").replace('>', "%3E"))
}

fn legacy_query(query: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b);
    if query.bytes().all(|b| plain(b) || b == b'=' || b == b'&') {
        return Cow::Borrowed(query);
    }
    let Ok(params) = Params::parse(query.as_bytes()) else { return Cow::Borrowed(query) };
    let escape = |text: &str| -> String {
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let pairs: Vec<String> = params.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    Cow::Owned(pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        name: String,
        token: String,
        url: String,
        #[serde(default)]
        form: Option<Vec<(String, String)>>,
        #[serde(default)]
        json: Option<String>,
        signature: String,
        /// The signature must be accepted.
        valid: bool,
        /// Signing this URL gives this signature.
        #[serde(default)]
        exact: bool,
        source: String,
    }

    #[test]
    fn the_vectors_hold() {
        let file = include_str!("../../../tests/data/twilio/signatures.json");
        let vectors: Vec<Vector> = serde_json::from_str(file).unwrap();
        assert!(vectors.len() >= 30, "the file has lost vectors");
        for vector in vectors {
            let name = format!("{} ({})", vector.name, vector.source);
            let params: Params = vector.form.iter().flatten().map(|(key, value)| (key, value)).collect();
            let body = match (&vector.form, &vector.json) {
                (_, Some(json)) => Body::Json(json.as_bytes()),
                (Some(_), None) => Body::Form(&params),
                (None, None) => Body::None,
            };
            assert_eq!(verify(&vector.signature, &[&vector.token], &vector.url, body), vector.valid, "{name}");
            if vector.exact {
                assert_eq!(sign(&vector.token, &vector.url, &params), vector.signature, "{name}");
            }
            let both = ["other", &vector.token];
            assert_eq!(verify(&vector.signature, &both, &vector.url, body), vector.valid, "{name}, second token");
            assert!(!verify(&vector.signature, &["other"], &vector.url, body), "{name}, wrong token");
        }
    }

    #[test]
    fn nothing_signs_nothing() {
        let params: Params = [("a", "1")].into_iter().collect();
        let url = "https://example.com/sms";
        let empty_token = sign("", url, &params);
        assert!(!verify(&empty_token, &[""], url, Body::Form(&params)), "an empty token is no token");
        let good = sign("12345", url, &params);
        for header in ["", "=", "AAAA", "not base64 at all", &good[..27], &format!("{good} "), &format!(" {good}")] {
            assert!(!verify(header, &["12345"], url, Body::Form(&params)), "{header:?}");
        }
        assert!(!verify(&good, &[], url, Body::Form(&params)));
    }

    #[test]
    fn every_change_of_one_character_breaks_it() {
        let pairs = [("From", "+14158675309"), ("Body", "héllo 👋 & <b>")];
        let url = "https://example.com/sms?t=1";
        let good = sign("12345", url, &pairs.into_iter().collect());
        for at in 0..pairs.len() {
            let mut changed = pairs.map(|(key, value)| (key, value.to_owned()));
            changed[at].1.push('x');
            let params: Params = changed.into_iter().collect();
            assert!(!verify(&good, &["12345"], url, Body::Form(&params)));
        }
        let params: Params = pairs.into_iter().collect();
        for other in ["https://example.com/sms", "https://example.com/sms?t=2", "http://example.com/sms?t=1"] {
            assert!(!verify(&good, &["12345"], other, Body::Form(&params)), "{other}");
        }
        // The order of the fields does not matter.
        let turned: Params = pairs.into_iter().rev().collect();
        assert!(verify(&good, &["12345"], url, Body::Form(&turned)));
    }

    #[test]
    fn ports_toggle() {
        let check = |url: &str, expect: &str| assert_eq!(port_toggled(url).as_deref(), Some(expect));
        check("https://a.b/c?d=e:1", "https://a.b:443/c?d=e:1");
        check("http://a.b?x", "http://a.b:80?x");
        check("https://u:p@a.b:1/c@d:2", "https://u:p@a.b/c@d:2");
        check("https://u:p@a.b/c", "https://u:p@a.b:443/c");
        check("http://[::1]:8080/c", "http://[::1]/c");
        check("http://[::1]/c", "http://[::1]:80/c");
        assert_eq!(port_toggled("nonsense"), None);
    }
}
