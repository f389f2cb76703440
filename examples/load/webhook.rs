//! Webhooks like the provider's, built and signed before the measurement.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use recado::domain::clock::Random;
use sha1::Sha1;

use crate::ledger::Ledger;

pub const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// The number of the business, which the webhooks are for.
pub const OURS: &str = "+34910000000";

/// The keyed start of a signature: HMAC-SHA1 over the URL and the fields, sorted by name
/// (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>).
#[derive(Clone)]
pub struct Signer(Hmac<Sha1>);

impl Signer {
    pub fn new(token: &str) -> Self {
        Self(Hmac::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length"))
    }

    /// `fields` must be sorted by name.
    pub fn sign(&self, url: &str, fields: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
        let mut mac = self.0.clone();
        mac.update(url.as_bytes());
        for (name, value) in fields {
            mac.update(name.as_ref().as_bytes());
            mac.update(value.as_ref().as_bytes());
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// Requests in one block of memory, ready to write.
pub struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    /// Builds `count` messages `<word> <n>`, each from its own sender, numbered from `first`.
    pub fn build(app_url: &str, path: &str, random: &Random, first: usize, count: usize, word: &str) -> Self {
        let signer = Signer::new(AUTH_TOKEN);
        let one =
            |number| message(&signer, app_url, path, random, &Ledger::sender(number), &format!("{word} {number}"));
        Self::of((first..first + count).map(one))
    }

    /// Holds these requests.
    pub fn of(texts: impl Iterator<Item = String>) -> Self {
        let mut requests = Self { bytes: Vec::new(), ends: Vec::new() };
        for text in texts {
            requests.bytes.extend_from_slice(text.as_bytes());
            requests.ends.push(requests.bytes.len());
        }
        requests
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }
}

/// A message from a customer, with a SID of its own.
pub fn message(signer: &Signer, app_url: &str, path: &str, random: &Random, from: &str, body: &str) -> String {
    let sid = format!("SM{:016x}{:016x}", random.next_u64(), random.next_u64());
    let sid = sid.as_str();
    let fields = [
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", "2010-04-01"),
        ("Body", body),
        ("From", from),
        ("FromCountry", "ES"),
        ("MessageSid", sid),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsMessageSid", sid),
        ("SmsSid", sid),
        ("SmsStatus", "received"),
        ("To", OURS),
        ("ToCountry", "ES"),
    ];
    post(signer, app_url, path, &fields)
}

/// A webhook; `fields` must be sorted by name, and `path` may have a query.
pub fn post(signer: &Signer, app_url: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let signature = signer.sign(&format!("{app_url}{path}"), fields);
    let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let form = form.join("&");
    let host = app_url.trim_start_matches("http://");
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Type: \
         application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// Form encoding of the few characters that occur here.
fn encode(value: &str) -> String {
    value.replace('+', "%2B").replace(' ', "+")
}
