//! Twilio's webhooks: form-encoded and signed.
//!
//! Fields are from <https://www.twilio.com/docs/messaging/guides/webhook-request> and
//! <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The fields of a form, in order.
pub type Form = Vec<(String, String)>;

/// A Twilio account that posts to a server.
#[derive(Clone, Debug)]
pub struct Twilio {
    pub account_sid: String,
    pub auth_token: String,
    /// The server's address, for example `http://127.0.0.1:4010`.
    pub server_url: String,
    /// The server's public URL, which Twilio calls and signs, for example `https://recado.example.com`.
    pub public_url: String,
    client: reqwest::Client,
}

impl Twilio {
    /// Creates an account whose webhooks use the server's own address.
    pub fn new(server_url: &str, account_sid: &str, auth_token: &str) -> Self {
        Self {
            account_sid: account_sid.to_owned(),
            auth_token: auth_token.to_owned(),
            server_url: server_url.to_owned(),
            public_url: server_url.to_owned(),
            client: super::http_client(),
        }
    }

    /// The same behind a proxy: `client` posts to `server_url`, and signs `public_url`.
    pub fn through(self, server_url: &str, public_url: &str, client: reqwest::Client) -> Self {
        Self { server_url: server_url.to_owned(), public_url: public_url.to_owned(), client, ..self }
    }

    /// Posts a signed form to `path`, which may have a query.
    pub async fn post(&self, path: &str, form: &Form) -> Result<reqwest::Response, reqwest::Error> {
        let signature = sign(&self.auth_token, &format!("{}{path}", self.public_url), form);
        self.post_with_signature(path, form, &signature).await
    }

    /// Posts a form with the given signature.
    pub async fn post_with_signature(
        &self,
        path: &str,
        form: &Form,
        signature: &str,
    ) -> Result<reqwest::Response, reqwest::Error> {
        self.client
            .post(format!("{}{path}", self.server_url))
            .header("X-Twilio-Signature", signature)
            .header("User-Agent", "TwilioProxy/1.1")
            .form(form)
            .send()
            .await
    }

    /// The form of an inbound message. `from` and `to` have Twilio's format: `+34600111222`, `whatsapp:+34600111222`.
    pub fn inbound(&self, message_sid: &str, from: &str, to: &str, body: &str) -> Form {
        let mut form = fields(&[
            ("ToCountry", "ES"),
            ("SmsMessageSid", message_sid),
            ("NumMedia", "0"),
            ("SmsSid", message_sid),
            ("SmsStatus", "received"),
            ("Body", body),
            ("FromCountry", "ES"),
            ("To", to),
            ("NumSegments", "1"),
            ("MessageSid", message_sid),
            ("AccountSid", &self.account_sid),
            ("From", from),
            ("ApiVersion", "2010-04-01"),
        ]);
        if let Some(number) = from.strip_prefix("whatsapp:+") {
            form.extend(fields(&[("ProfileName", "Ana"), ("WaId", number), ("MessageType", "text")]));
        }
        form
    }

    /// The form of a status callback for a message from us to a customer. `error_code` 0 means none.
    pub fn status(&self, message_sid: &str, status: &str, from: &str, to: &str, error_code: u32) -> Form {
        let mut form = fields(&[
            ("SmsSid", message_sid),
            ("SmsStatus", status),
            ("MessageStatus", status),
            ("To", to),
            ("MessageSid", message_sid),
            ("AccountSid", &self.account_sid),
            ("From", from),
            ("ApiVersion", "2010-04-01"),
        ]);
        if error_code != 0 {
            form.push(("ErrorCode".to_owned(), error_code.to_string()));
        }
        if to.starts_with("whatsapp:") {
            form.extend(fields(&[("ChannelPrefix", "whatsapp"), ("ChannelToAddress", to)]));
        }
        form
    }
}

/// Builds a form from literals.
pub fn fields(pairs: &[(&str, &str)]) -> Form {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Sets or adds a field of a form.
pub fn with(mut form: Form, name: &str, value: &str) -> Form {
    form.retain(|(existing, _)| existing != name);
    form.push((name.to_owned(), value.to_owned()));
    form
}

/// A message SID for a number: `SM` and 32 hex digits.
pub fn message_sid(number: u128) -> String {
    format!("SM{number:032x}")
}

/// Computes `X-Twilio-Signature` independently of the code under test: HMAC-SHA1 of the URL followed by each distinct
/// name and value, sorted (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>).
pub fn sign(auth_token: &str, url: &str, form: &Form) -> String {
    let mut params: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        params.entry(name).or_default().insert(value);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    for (name, values) in params {
        for value in values {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
    }
    STANDARD.encode(mac.finalize().into_bytes())
}
