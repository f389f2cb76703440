//! The account's numbers and Messaging Services, and the targets of their incoming messages.
//! <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>,
//! <https://www.twilio.com/docs/messaging/api/service-resource>

use reqwest::{Url, header};
use serde::Deserialize;

use super::list::text_or_empty;
use super::lookup::{Host, LookupError};
use super::{Account, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES};
use crate::integrations::twilio::form::Params;

const PAGE_SIZE: &str = "1000";

/// A number of the account. Settings that are not set are empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IncomingNumber {
    /// `PN…`
    pub sid: String,
    /// E.164.
    pub phone_number: String,
    #[serde(default)]
    pub capabilities: Capabilities,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub sms_url: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub sms_method: String,
    /// If set, its URL takes precedence over `sms_url`.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub sms_application_sid: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub friendly_name: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub voice_url: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub voice_method: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub voice_fallback_url: String,
    /// If set, its URL takes precedence over `voice_url`; a trunk does as well.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub voice_application_sid: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub trunk_sid: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub status_callback: String,
}

/// Numbers for sale write these in capitals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub voice: bool,
    #[serde(alias = "SMS")]
    pub sms: bool,
    #[serde(alias = "MMS")]
    pub mms: bool,
}

/// Numbers of the account, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub numbers: Vec<IncomingNumber>,
    /// The page limit was not reached: a number that is not here does not belong to the account.
    pub complete: bool,
}

/// A Messaging Service and its settings for incoming messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessagingService {
    pub sid: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub friendly_name: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub inbound_request_url: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub inbound_method: String,
    /// Twilio calls the webhook of each number.
    #[serde(default)]
    pub use_inbound_webhook_on_number: bool,
}

#[derive(Deserialize)]
struct Page {
    incoming_phone_numbers: Vec<IncomingNumber>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

impl Client {
    /// Reads at most `max_pages` pages of a thousand of the account's numbers; `like` selects those that contain it.
    pub async fn list_numbers(
        &self,
        account: &Account,
        like: Option<&str>,
        max_pages: usize,
    ) -> Result<Numbers, LookupError> {
        let mut url = self.url(account, &["IncomingPhoneNumbers.json"]);
        url.query_pairs_mut().append_pair("PageSize", PAGE_SIZE);
        if let Some(like) = like {
            url.query_pairs_mut().append_pair("PhoneNumber", like);
        }
        let mut listed = Numbers::default();
        let mut next: Option<Url> = Some(url);
        for _ in 0..max_pages {
            let Some(url) = next else { break };
            let page: Page = self.look_up(account, self.http.get(url), PAGE_MAX_BYTES).await?;
            listed.numbers.extend(page.incoming_phone_numbers);
            let elsewhere = |_| LookupError::Unreadable { why: "what follows is said to be elsewhere".to_owned() };
            next = page.next_page_uri.map(|uri| self.same_base(&uri).map_err(elsewhere)).transpose()?;
        }
        listed.complete = next.is_none();
        Ok(listed)
    }

    /// Sets the webhook for a number's incoming messages (POST), and nothing else.
    pub async fn set_sms_webhook(
        &self,
        account: &Account,
        number_sid: &str,
        sms_url: &str,
    ) -> Result<IncomingNumber, LookupError> {
        let mut params = Params::default();
        params.push("SmsUrl", sms_url);
        params.push("SmsMethod", "POST");
        let request = self
            .http
            .post(self.url(account, &["IncomingPhoneNumbers", &format!("{number_sid}.json")]))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(params.encode());
        self.look_up(account, request, BODY_MAX_BYTES).await
    }

    /// Fetches a Messaging Service.
    pub async fn fetch_service(&self, account: &Account, sid: &str) -> Result<MessagingService, LookupError> {
        let url = self.url_at(Host::Messaging, &["v1", "Services", sid]);
        self.look_up(account, self.http.get(url), BODY_MAX_BYTES).await
    }
}
