//! The accounts' numbers (`IncomingPhoneNumbers`), and the URLs of their messages.
//!
//! After <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>. The resource has no WhatsApp
//! URL: the configuration sets it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::answer::{self, PageMeta, PageQuery};
use super::store::bare;
use super::validate::{self, Refusal};
use super::{Carrier, rfc2822};
use crate::domain::Timestamp;
use crate::domain::phone::Phone;
use crate::integrations::twilio::form::Params;

/// Limit of numbers, over all accounts.
const NUMBERS_MAX: usize = 10_000;
/// Test numbers that cannot be bought, and that can, from <https://www.twilio.com/docs/iam/test-credentials>.
const UNAVAILABLE: &str = "+15005550000";
const INVALID: &str = "+15005550001";
pub const EMPTY_AREA: &str = "533";

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
    /// URL of calls, unless its `VoiceUrl` is set.
    pub voice_url: Option<String>,
    /// URL of the call status, unless its `StatusCallback` is set.
    pub status_url: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Number {
    sid: String,
    pub config: NumberConfig,
    /// The other settings, by Twilio's names; empty texts by default.
    settings: Params,
    created_at: Timestamp,
    updated_at: Timestamp,
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
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.filled(key)
    }

    pub fn voice_url(&self) -> Option<&str> {
        self.setting("VoiceUrl").or(self.config.voice_url.as_deref())
    }

    pub fn status_url(&self) -> Option<&str> {
        self.setting("StatusCallback").or(self.config.status_url.as_deref())
    }

    /// Sets the form's fields.
    fn update(&mut self, form: &Params, now: Timestamp) -> Result<(), Refusal> {
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
        let kept = self.settings.iter().filter(|(key, _)| form.get(key).is_none());
        self.settings = kept.chain(form.iter().filter(|(key, _)| named(key))).collect();
        self.updated_at = now;
        Ok(())
    }

    fn resource(&self) -> serde_json::Value {
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
        self.lock().iter().find(|known| known.config.account_sid == account).map(|known| known.config.number.clone())
    }

    /// Returns the numbers in the order of creation.
    pub fn all(&self) -> Vec<NumberConfig> {
        self.lock().iter().map(|number| number.config.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Number>> {
        self.0.lock()
    }
}

impl Carrier {
    /// Replaces the numbers. A number that stays keeps its SID and other settings.
    pub fn set_numbers(&self, configs: Vec<NumberConfig>) {
        let now = self.0.clock.now();
        let mut numbers = self.0.numbers.lock();
        let mut before = std::mem::take(&mut *numbers);
        for config in configs.into_iter().take(NUMBERS_MAX) {
            let same =
                |known: &Number| known.config.number == config.number && known.config.account_sid == config.account_sid;
            let number = match before.iter().position(same) {
                Some(at) => Number { config, ..before.swap_remove(at) },
                None => self.new_number(config, now),
            };
            numbers.push(number);
        }
    }

    fn new_number(&self, config: NumberConfig, now: Timestamp) -> Number {
        Number { sid: self.new_sid("PN"), config, settings: Params::default(), created_at: now, updated_at: now }
    }
}

pub async fn list(
    State(carrier): State<Carrier>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct Page {
        #[serde(flatten)]
        meta: PageMeta,
        incoming_phone_numbers: Vec<serde_json::Value>,
    }
    if !carrier.authenticates(&account, &headers) {
        return answer::unauthorized();
    }
    let Ok(query) = Params::parse(query.unwrap_or_default().as_bytes()) else {
        return answer::bad_request("The query is not a form.");
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = query.filled("PhoneNumber").map(digits);
    let page = PageQuery::of(&query);
    let numbers = carrier.0.numbers.lock();
    let concerned = numbers.iter().filter(|number| {
        number.config.account_sid == account
            && wanted.as_deref().is_none_or(|wanted| number.config.number.contains(wanted))
            && query.filled("FriendlyName").is_none_or(|name| number.config.label == name)
    });
    let (found, last) = page.cut(concerned, |number| &number.sid);
    let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let meta = page.meta(&path, found.len(), last.as_deref());
    Json(Page { meta, incoming_phone_numbers: found.into_iter().map(Number::resource).collect() }).into_response()
}

pub async fn create(
    State(carrier): State<Carrier>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !carrier.authenticates(&account, &headers) {
        return answer::unauthorized();
    }
    let Ok(form) = Params::parse(&body) else { return answer::bad_request("The request body is not a form.") };
    match carrier.buy(&account, &form) {
        Ok(number) => (StatusCode::CREATED, Json(number.resource())).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Carrier {
    fn buy(&self, account: &str, form: &Params) -> Result<Number, Refusal> {
        let wanted = match (form.filled("PhoneNumber"), form.filled("AreaCode")) {
            (Some(UNAVAILABLE), _) => return Err(Refusal::new(21422, format!("{UNAVAILABLE} is not available."))),
            (Some(number), _) if number == INVALID || Phone::parse(number).is_err() => {
                return Err(Refusal::new(21421, format!("{number} is not a valid number.")));
            }
            (Some(number), _) => number.to_owned(),
            (None, Some(EMPTY_AREA)) => {
                return Err(Refusal::new(21452, format!("No phone numbers found in area code {EMPTY_AREA}.")));
            }
            (None, Some(area)) if area.len() == 3 && area.bytes().all(|b| b.is_ascii_digit()) => {
                format!("+1{area}555{:04}", self.0.random.next_u64() % 10_000)
            }
            _ => return Err(Refusal::new(21403, "PhoneNumber or AreaCode is required.".to_owned())),
        };
        let now = self.0.clock.now();
        let label = wanted.clone();
        let config = NumberConfig { account_sid: account.to_owned(), number: wanted, label, ..NumberConfig::default() };
        let mut number = self.new_number(config, now);
        number.update(form, now)?;
        let mut numbers = self.0.numbers.lock();
        if numbers.iter().any(|known| known.config.number == number.config.number) {
            return Err(Refusal::new(21422, format!("{} is not available.", number.config.number)));
        }
        if numbers.len() >= NUMBERS_MAX {
            return Err(Refusal::new(21404, "The account has as many numbers as it may have.".to_owned()));
        }
        numbers.push(number.clone());
        drop(numbers);
        Ok(number)
    }
}

pub async fn fetch(
    State(carrier): State<Carrier>,
    Path((account, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    carrier.with_number(&account, &number, &headers, |numbers, at| Json(numbers[at].resource()).into_response())
}

pub async fn update(
    State(carrier): State<Carrier>,
    Path((account, number)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(form) = Params::parse(&body) else { return answer::bad_request("The request body is not a form.") };
    let now = carrier.0.clock.now();
    carrier.with_number(&account, &number, &headers, |numbers, at| match numbers[at].update(&form, now) {
        Ok(()) => Json(numbers[at].resource()).into_response(),
        Err(refusal) => refusal.into_response(),
    })
}

pub async fn delete(
    State(carrier): State<Carrier>,
    Path((account, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    carrier.with_number(&account, &number, &headers, |numbers, at| {
        numbers.remove(at);
        StatusCode::NO_CONTENT.into_response()
    })
}

impl Carrier {
    /// Finds `PN….json` of an account for an authenticated request.
    fn with_number(
        &self,
        account: &str,
        file: &str,
        headers: &HeaderMap,
        then: impl FnOnce(&mut Vec<Number>, usize) -> Response,
    ) -> Response {
        if !self.authenticates(account, headers) {
            return answer::unauthorized();
        }
        let sid = file.strip_suffix(".json").unwrap_or(file);
        let mut numbers = self.0.numbers.lock();
        match numbers.iter().position(|number| number.sid == sid && number.config.account_sid == account) {
            Some(at) => then(&mut numbers, at),
            None => answer::not_found(&format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{file}")),
        }
    }
}
