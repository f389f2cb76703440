//! Phone numbers: search, buy, configure, release.
//! <https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource>

use reqwest::{Url, header};
use serde::Deserialize;

use super::create::SendError;
use super::list::text_or_empty;
use super::lookup::LookupError;
use super::numbers::{Capabilities, IncomingNumber};
use super::{Account, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::types::Method;

/// Twilio's kinds of numbers for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum NumberKind {
    Local,
    TollFree,
    Mobile,
}

/// Selects numbers for sale; `None` sets no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Two letters, for example `ES`.
    pub country: String,
    pub kind: NumberKind,
    /// Only in the US and Canada.
    pub area_code: Option<String>,
    /// 2 to 16 digits or letters; `*` matches any one.
    pub contains: Option<String>,
    /// A state or province, for example `CA`.
    pub in_region: Option<String>,
    /// Only in the US and Canada: numbers near this one, E.164.
    pub near_number: Option<String>,
    /// From `near_number`: 25 by default, at most 500.
    pub distance_miles: Option<u32>,
    pub sms_enabled: Option<bool>,
    pub mms_enabled: Option<bool>,
    pub voice_enabled: Option<bool>,
    /// Twilio returns 30 by default.
    pub limit: Option<u32>,
}

impl Search {
    /// Selects all numbers of a kind.
    pub fn new(country: impl Into<String>, kind: NumberKind) -> Self {
        Self {
            country: country.into(),
            kind,
            area_code: None,
            contains: None,
            in_region: None,
            near_number: None,
            distance_miles: None,
            sms_enabled: None,
            mms_enabled: None,
            voice_enabled: None,
            limit: None,
        }
    }
}

/// A number for sale.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AvailableNumber {
    /// E.164.
    pub phone_number: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub friendly_name: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub locality: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub region: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub iso_country: String,
    /// The required address: `none`, `any`, `local` or `foreign`.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub address_requirements: String,
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// Settings of a number. `None` leaves a setting unchanged; an empty text removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSettings {
    pub friendly_name: Option<String>,
    pub voice_url: Option<String>,
    pub voice_method: Option<Method>,
    pub voice_fallback_url: Option<String>,
    pub voice_fallback_method: Option<Method>,
    /// For calls; messages carry their own.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub sms_url: Option<String>,
    pub sms_method: Option<Method>,
    pub sms_fallback_url: Option<String>,
    pub sms_fallback_method: Option<Method>,
    /// `AP…`: its URLs take precedence over those above.
    pub voice_application_sid: Option<String>,
    pub sms_application_sid: Option<String>,
    /// `AD…` and `BU…`: some countries require an address, or approved documents.
    pub address_sid: Option<String>,
    pub bundle_sid: Option<String>,
}

impl NumberSettings {
    fn write(&self, params: &mut Params) {
        let method = |method: Option<Method>| method.map(Into::into);
        let settings = [
            ("FriendlyName", self.friendly_name.as_deref()),
            ("VoiceUrl", self.voice_url.as_deref()),
            ("VoiceMethod", method(self.voice_method)),
            ("VoiceFallbackUrl", self.voice_fallback_url.as_deref()),
            ("VoiceFallbackMethod", method(self.voice_fallback_method)),
            ("StatusCallback", self.status_callback.as_deref()),
            ("StatusCallbackMethod", method(self.status_callback_method)),
            ("SmsUrl", self.sms_url.as_deref()),
            ("SmsMethod", method(self.sms_method)),
            ("SmsFallbackUrl", self.sms_fallback_url.as_deref()),
            ("SmsFallbackMethod", method(self.sms_fallback_method)),
            ("VoiceApplicationSid", self.voice_application_sid.as_deref()),
            ("SmsApplicationSid", self.sms_application_sid.as_deref()),
            ("AddressSid", self.address_sid.as_deref()),
            ("BundleSid", self.bundle_sid.as_deref()),
        ];
        settings
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .for_each(|(key, value)| params.push(key, value));
    }
}

#[derive(Deserialize)]
struct Found {
    available_phone_numbers: Vec<AvailableNumber>,
}

impl Client {
    /// Searches numbers for sale; returns an empty list if none matches.
    pub async fn search_numbers(
        &self,
        account: &Account,
        search: &Search,
    ) -> Result<Vec<AvailableNumber>, LookupError> {
        let url = self.search_url(account, search);
        let found: Found = self.look_up(account, self.http.get(url), PAGE_MAX_BYTES).await?;
        Ok(found.available_phone_numbers)
    }

    /// Buys and configures a number in one request, which is never repeated: **it costs money**. If the outcome is
    /// unknown, [`Client::list_numbers`] tells if it was bought.
    pub async fn buy_number(
        &self,
        account: &Account,
        phone_number: &str,
        settings: &NumberSettings,
    ) -> Result<IncomingNumber, SendError> {
        let mut params = Params::default();
        params.push("PhoneNumber", phone_number);
        settings.write(&mut params);
        self.create(account, &["IncomingPhoneNumbers.json"], &params).await
    }

    /// Configures a number of the account.
    pub async fn configure_number(
        &self,
        account: &Account,
        number_sid: &str,
        settings: &NumberSettings,
    ) -> Result<IncomingNumber, LookupError> {
        let mut params = Params::default();
        settings.write(&mut params);
        let request = self
            .http
            .post(self.number_url(account, number_sid))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(params.encode());
        self.look_up(account, request, BODY_MAX_BYTES).await
    }

    /// Releases a number; somebody else may get it soon. Returns [`LookupError::NotFound`] if the account no longer has
    /// it.
    pub async fn release_number(&self, account: &Account, number_sid: &str) -> Result<(), LookupError> {
        self.demand(account, self.http.delete(self.number_url(account, number_sid))).await
    }

    fn number_url(&self, account: &Account, sid: &str) -> Url {
        self.url(account, &["IncomingPhoneNumbers", &format!("{sid}.json")])
    }

    fn search_url(&self, account: &Account, search: &Search) -> Url {
        let kind = format!("{}.json", search.kind);
        let mut url = self.url(account, &["AvailablePhoneNumbers", &search.country, &kind]);
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let conditions = [
            ("AreaCode", search.area_code.clone()),
            ("Contains", search.contains.clone()),
            ("InRegion", search.in_region.clone()),
            ("NearNumber", search.near_number.clone()),
            ("Distance", number(search.distance_miles)),
            ("SmsEnabled", flag(search.sms_enabled)),
            ("MmsEnabled", flag(search.mms_enabled)),
            ("VoiceEnabled", flag(search.voice_enabled)),
            ("PageSize", number(search.limit)),
        ];
        let mut conditions = conditions.into_iter().filter_map(|(key, value)| Some((key, value?))).peekable();
        if conditions.peek().is_some() {
            url.query_pairs_mut().extend_pairs(conditions);
        }
        url
    }
}
