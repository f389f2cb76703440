//! The stored numbers, and their settings.
//!
//! The resource of Twilio has no WhatsApp URL: the configuration sets it.

use std::collections::BTreeMap;

use parking_lot::{Mutex, MutexGuard};

use super::answer::rfc2822;
use super::store::bare;
use super::validate::{self, Refusal};
use crate::domain::{Channel, Phone, Timestamp};
use crate::integrations::twilio::form::Params;

/// A number and the URLs of its messages and calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberConfig {
    pub account_sid: String,
    /// E.164
    pub number: String,
    /// Its owner, for people.
    pub label: String,
    /// URL of text messages; without one, texts to the number are refused.
    pub sms_url: Option<String>,
    /// URL of WhatsApp messages.
    pub whatsapp_url: Option<String>,
    /// URLs of the messages of other channels.
    pub other_urls: BTreeMap<Channel, String>,
    /// URL of calls, unless its `VoiceUrl` is set.
    pub voice_url: Option<String>,
    /// URL of the call status, unless its `StatusCallback` is set.
    pub status_url: Option<String>,
}

impl NumberConfig {
    /// The URL of a channel's messages.
    pub fn message_url(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Sms => self.sms_url.as_deref(),
            Channel::WhatsApp => self.whatsapp_url.as_deref(),
            other => self.other_urls.get(&other).map(String::as_str),
        }
    }
}

/// A stored number.
#[derive(Clone, Debug)]
pub struct Number {
    pub sid: String,
    pub config: NumberConfig,
    /// The other settings, by Twilio's names; empty texts by default.
    pub settings: Params,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Settings of an update besides `SmsUrl` and `FriendlyName`, with their names in the answer.
const SETTINGS: [(&str, &str); 12] = [
    ("SmsMethod", "sms_method"),
    ("SmsFallbackUrl", "sms_fallback_url"),
    ("SmsFallbackMethod", "sms_fallback_method"),
    ("SmsApplicationSid", "sms_application_sid"),
    ("StatusCallback", "status_callback"),
    ("StatusCallbackMethod", "status_callback_method"),
    ("VoiceUrl", "voice_url"),
    ("VoiceMethod", "voice_method"),
    ("VoiceFallbackUrl", "voice_fallback_url"),
    ("VoiceFallbackMethod", "voice_fallback_method"),
    ("VoiceApplicationSid", "voice_application_sid"),
    ("TrunkSid", "trunk_sid"),
];

impl Number {
    /// True for a phone number; false for another sender, such as an RCS agent.
    pub fn is_phone(&self) -> bool {
        Phone::parse(&self.config.number).is_ok()
    }

    /// Returns a setting, unless it is empty.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.filled(key)
    }

    /// Returns the URL of calls.
    pub fn voice_url(&self) -> Option<&str> {
        self.setting("VoiceUrl").or(self.config.voice_url.as_deref())
    }

    /// Returns the URL of the call status.
    pub fn status_url(&self) -> Option<&str> {
        self.setting("StatusCallback").or(self.config.status_url.as_deref())
    }

    /// Sets the form's fields.
    pub fn update(&mut self, form: &Params, now: Timestamp) -> Result<(), Refusal> {
        for (key, url) in form.iter().filter(|(key, url)| key.ends_with("Url") && !url.is_empty()) {
            if key.starts_with("Sms") || key == "StatusCallback" {
                validate::check_loopback(url).map_err(|why| Refusal::new(21502, format!("{key} {url}: {why}")))?;
            }
        }
        if let Some(url) = form.get("SmsUrl") {
            self.config.sms_url = Some(url.to_owned()).filter(|url| !url.is_empty());
        }
        if let Some(label) = form.get("FriendlyName") {
            self.config.label = label.chars().take(64).collect();
        }
        let named = |key: &str| SETTINGS.iter().any(|(setting, _)| *setting == key);
        let unchanged = self.settings.iter().filter(|(key, _)| form.get(key).is_none());
        self.settings = unchanged.chain(form.iter().filter(|(key, _)| named(key))).collect();
        self.updated_at = now;
        Ok(())
    }

    /// Formats the number as Twilio's resource.
    pub fn resource(&self) -> serde_json::Value {
        let NumberConfig { account_sid, number, label, sms_url, .. } = &self.config;
        let mut resource = serde_json::json!({
            "sid": self.sid,
            "account_sid": account_sid,
            "phone_number": number,
            "friendly_name": label,
            "sms_url": sms_url.as_deref().unwrap_or_default(),
            "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false},
            "address_requirements": "none",
            "address_sid": null, "identity_sid": null, "bundle_sid": null,
            "emergency_status": "Inactive", "emergency_address_sid": null, "emergency_address_status": "unregistered",
            "voice_caller_id_lookup": false, "voice_receive_mode": "voice",
            "beta": false, "origin": "twilio", "status": "in-use", "type": null,
            "api_version": "2010-04-01",
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "uri": format!("/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{}.json", self.sid),
        });
        for (key, field) in SETTINGS {
            let default = if key.ends_with("Method") { "POST" } else { "" };
            let value = match key {
                "VoiceUrl" => self.voice_url(),
                "StatusCallback" => self.status_url(),
                _ => self.setting(key),
            };
            resource[field] = value.unwrap_or(default).into();
        }
        resource
    }
}

/// The numbers of all accounts.
#[derive(Default)]
pub struct Numbers(Mutex<Vec<Number>>);

impl Numbers {
    /// Returns the first match of this number, E.164, in any account.
    pub fn find(&self, number: &str) -> Option<Number> {
        self.lock().iter().find(|known| known.config.number == number).cloned()
    }

    /// True if an account owns this number; the address may have a prefix.
    pub fn owns(&self, account: &str, address: &str) -> bool {
        let number = bare(address);
        self.lock().iter().any(|known| known.config.account_sid == account && known.config.number == number)
    }

    /// Returns the sender that a Messaging Service of the account would choose: its first number.
    pub fn first_of(&self, account: &str) -> Option<String> {
        let of_account = |known: &&Number| known.config.account_sid == account && known.is_phone();
        self.lock().iter().find(of_account).map(|known| known.config.number.clone())
    }

    /// Returns the numbers in the order of creation.
    pub fn all(&self) -> Vec<NumberConfig> {
        self.lock().iter().map(|number| number.config.clone()).collect()
    }

    pub fn lock(&self) -> MutexGuard<'_, Vec<Number>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messaging_service_sends_from_a_phone_number() {
        let numbers = Numbers::default();
        for number in ["brand_agent", "+34911111111", "+34911111112"] {
            let config =
                NumberConfig { number: number.to_owned(), account_sid: "AC1".to_owned(), ..Default::default() };
            let (sid, settings, at) = (number.to_owned(), Params::default(), Timestamp::from_unix_us(0));
            numbers.lock().push(Number { sid, config, settings, created_at: at, updated_at: at });
        }
        assert_eq!(numbers.first_of("AC1").as_deref(), Some("+34911111111"));
        assert!(numbers.owns("AC1", "rcs:brand_agent"), "it is a sender all the same");
    }
}
