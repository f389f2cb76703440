//! Twilio's list of messages, for reconciliation and catch-up.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Deserializer};

use super::{Account, Answer, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES, RequestFailure};

/// Twilio's largest page.
pub(super) const PAGE_SIZE: &str = "1000";

/// Selects messages; `None` sets no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub to: Option<String>,
    pub from: Option<String>,
    /// Only messages sent on this day (UTC) or later. A queued message has no such date and may be missing: prefer
    /// `since`.
    pub date_sent_from: Option<NaiveDate>,
    /// Only messages created at this instant (to the second) or later. Unlike the other conditions, this one ends the
    /// walk.
    pub since: Option<DateTime<Utc>>,
}

/// A message in Twilio's API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessageResource {
    pub sid: String,
    pub status: String,
    /// `inbound`, `outbound-api`, `outbound-call` or `outbound-reply`.
    pub direction: String,
    /// Absent until a Messaging Service has chosen a number.
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub body: String,
    /// To the second.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<DateTime<Utc>>,
    /// To the second; absent while queued.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_sent: Option<DateTime<Utc>>,
    #[serde(default)]
    pub error_code: Option<u32>,
    #[serde(default)]
    pub messaging_service_sid: Option<String>,
    /// Twilio writes these numbers as texts.
    #[serde(default, deserialize_with = "number_or_zero")]
    pub num_media: u32,
    #[serde(default, deserialize_with = "number_or_zero")]
    pub num_segments: u32,
}

/// Messages, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    pub messages: Vec<MessageResource>,
    /// `None` if every matching message is here. Otherwise the page limit was reached: a missing message may exist.
    pub rest: Option<NextPage>,
    /// Twilio's time of the first page, to the second.
    pub date: Option<DateTime<Utc>>,
}

impl MessageList {
    /// True if the list is complete.
    pub const fn complete(&self) -> bool {
        self.rest.is_none()
    }
}

/// The next page of a list; see [`Client::list_next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextPage(Url);

/// A medium of a message, for example a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMedia {
    pub url: String,
    pub content_type: String,
}

/// The list could not be read: nothing follows from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("Twilio could not be asked for its list ({why}): it is asked again later")]
    Unreachable { why: String },
    #[error("Twilio is busy (HTTP {http_status}): it is asked again later")]
    Busy { http_status: u16, retry_after: Option<Duration> },
    #[error("Twilio refuses the credentials (HTTP {http_status}: {message}): check the account's SID and auth token")]
    Unauthorized { http_status: u16, message: String },
    #[error("Twilio refused to list (HTTP {http_status}): {message}")]
    Refused { http_status: u16, message: String },
    #[error("Twilio's list could not be read ({why}): if this lasts, check what stands at Twilio's base URL")]
    Unreadable { why: String },
    /// Only for lists that must be complete.
    #[error(
        "Twilio's list has more than {max_pages} pages of {PAGE_SIZE}: ask for less, by a number or a span of time"
    )]
    TooLong { max_pages: usize },
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<MessageResource>,
    #[serde(deserialize_with = "required_option")]
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct MediaPage {
    media_list: Vec<MediaResource>,
}

#[derive(Deserialize)]
struct MediaResource {
    uri: String,
    content_type: String,
}

impl Client {
    /// Reads at most `max_pages` pages of a thousand.
    pub async fn list_messages(
        &self,
        account: &Account,
        filter: &MessageFilter,
        max_pages: usize,
    ) -> Result<MessageList, ListError> {
        self.list_next(account, filter, NextPage(self.first_page(account, filter)), max_pages).await
    }

    /// Continues an incomplete list with the same filter.
    pub async fn list_next(
        &self,
        account: &Account,
        filter: &MessageFilter,
        rest: NextPage,
        max_pages: usize,
    ) -> Result<MessageList, ListError> {
        let mut listing = MessageList::default();
        let mut next = Some(rest.0);
        for _ in 0..max_pages {
            let Some(url) = next else { break };
            let (page, date) = self.get_dated::<Page>(account, self.http.get(url), PAGE_MAX_BYTES).await?;
            listing.date = listing.date.or(date);
            let total = page.messages.len();
            let recent = |message: &MessageResource| filter.since.is_none_or(|since| !older(message, since));
            let before = listing.messages.len();
            listing.messages.extend(page.messages.into_iter().filter(recent));
            // Pages are ordered by sending time, which may lag behind creation: only a page with older messages alone
            // ends the walk.
            let past = filter.since.is_some() && total > 0 && listing.messages.len() == before;
            next = match page.next_page_uri {
                Some(uri) if !past => Some(self.same_base(&uri)?),
                _ => None,
            };
        }
        listing.rest = next.map(NextPage);
        Ok(listing)
    }

    /// Fetches a message; `None` if Twilio has no such message.
    pub async fn fetch_message(&self, account: &Account, sid: &str) -> Result<Option<MessageResource>, ListError> {
        let url = self.url(account, &["Messages", &format!("{sid}.json")]);
        match self.get(account, self.http.get(url), BODY_MAX_BYTES).await {
            Ok(message) => Ok(Some(message)),
            Err(ListError::Refused { http_status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the media of a message, with the same URLs as its webhook: at most ten, so one page.
    /// <https://www.twilio.com/docs/messaging/api/media-resource>
    pub async fn list_media(&self, account: &Account, sid: &str) -> Result<Vec<MessageMedia>, ListError> {
        let url = self.url(account, &["Messages", sid, "Media.json"]);
        let page: MediaPage = self.get(account, self.http.get(url), BODY_MAX_BYTES).await?;
        let medium = |one: MediaResource| {
            let url = self.same_base(one.uri.trim_end_matches(".json"))?;
            Ok(MessageMedia { url: url.to_string(), content_type: one.content_type })
        };
        page.media_list.into_iter().map(medium).collect()
    }

    fn first_page(&self, account: &Account, filter: &MessageFilter) -> Url {
        let mut url = self.url(account, &["Messages.json"]);
        let mut query = url.query_pairs_mut();
        query.append_pair("PageSize", PAGE_SIZE);
        if let Some(to) = &filter.to {
            query.append_pair("To", to);
        }
        if let Some(from) = &filter.from {
            query.append_pair("From", from);
        }
        if let Some(day) = filter.date_sent_from {
            query.append_pair("DateSent>", &day.format("%Y-%m-%d").to_string());
        }
        drop(query);
        url
    }

    /// Resolves the next page. It must have the same base, because the request carries the credentials.
    pub(super) fn same_base(&self, uri: &str) -> Result<Url, ListError> {
        match self.base.join(uri) {
            Ok(url) if url.origin() == self.base.origin() && url.path().starts_with("/2010-04-01/Accounts/") => Ok(url),
            _ => Err(ListError::Unreadable { why: "what follows is said to be elsewhere".to_owned() }),
        }
    }

    pub(super) async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        account: &Account,
        request: RequestBuilder,
        max_bytes: usize,
    ) -> Result<T, ListError> {
        self.get_dated(account, request, max_bytes).await.map(|(found, _)| found)
    }

    /// Like [`Client::get`], with Twilio's time of the answer.
    pub(super) async fn get_dated<T: for<'de> Deserialize<'de>>(
        &self,
        account: &Account,
        request: RequestBuilder,
        max_bytes: usize,
    ) -> Result<(T, Option<DateTime<Utc>>), ListError> {
        let answer = match self.call(account, request, max_bytes).await {
            Ok(answer) => answer,
            Err(RequestFailure::NotSent(why) | RequestFailure::Unknown(why)) => {
                return Err(ListError::Unreachable { why });
            }
        };
        if !answer.status.is_success() {
            return Err(classify(&answer));
        }
        let body = answer.body.map_err(|why| ListError::Unreachable { why })?;
        let found = serde_json::from_slice(&body).map_err(|error| ListError::Unreadable { why: error.to_string() })?;
        Ok((found, answer.date))
    }
}

fn classify(answer: &Answer) -> ListError {
    let http_status = answer.status.as_u16();
    let error = answer.api_error();
    let code = error.as_ref().and_then(|error| error.code);
    let message = error.map_or_else(|| "no error of Twilio's".to_owned(), |error| error.message);
    match answer.status {
        StatusCode::UNAUTHORIZED => ListError::Unauthorized { http_status, message },
        _ if code == Some(20003) => ListError::Unauthorized { http_status, message },
        StatusCode::TOO_MANY_REQUESTS => ListError::Busy { http_status, retry_after: answer.retry_after },
        status if status.is_server_error() => ListError::Busy { http_status, retry_after: answer.retry_after },
        _ => ListError::Refused { http_status, message },
    }
}

/// Compares whole seconds, the precision of Twilio. A message without a date is not old.
fn older(message: &MessageResource, since: DateTime<Utc>) -> bool {
    message.date_created.is_some_and(|created| created.timestamp() < since.timestamp())
}

/// Reads a field that may be null but must be there: a page that does not say whether more follows is no list.
pub(super) fn required_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

pub(super) fn rfc2822<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    DateTime::parse_from_rfc2822(&text).map(|at| Some(at.to_utc())).map_err(serde::de::Error::custom)
}

pub(super) fn text_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn number_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new(crate::integrations::http::client().unwrap(), "https://api.twilio.com").unwrap()
    }

    #[test]
    fn a_resource_is_read() {
        let json = r#"{"sid":"SM1","status":"queued","direction":"outbound-api","from":null,"to":"+34600111222","body":null,
            "date_created":"Sat, 21 Nov 2026 08:00:00 +0000","date_sent":null,"error_code":null,"num_media":"0",
            "num_segments":"2","messaging_service_sid":"MG1","price":null,"subresource_uris":{}}"#;
        let message: MessageResource = serde_json::from_str(json).unwrap();
        assert_eq!(message.date_created.unwrap().to_rfc3339(), "2026-11-21T08:00:00+00:00");
        assert_eq!((message.from, message.body.as_str(), message.num_segments), (None, "", 2));
    }

    #[test]
    fn the_first_page_asks_for_what_is_filtered() {
        let account = Account { sid: "AC1".into(), token: "t".into() };
        let filter = MessageFilter {
            to: Some("whatsapp:+34600111222".into()),
            from: Some("+1".into()),
            date_sent_from: NaiveDate::from_ymd_opt(2026, 11, 21),
            since: None,
        };
        let query = "PageSize=1000&To=whatsapp%3A%2B34600111222&From=%2B1&DateSent%3E=2026-11-21";
        assert_eq!(client().first_page(&account, &filter).query(), Some(query));
    }

    #[test]
    fn the_next_page_stays_with_twilio() {
        let client = client();
        let good = "/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PASM1";
        assert_eq!(client.same_base(good).unwrap().as_str(), format!("https://api.twilio.com{good}"));
        for bad in [
            "//evil.example/2010-04-01/Accounts/AC1",
            "https://evil.example/2010-04-01/Accounts/",
            "/other",
            "http://api.twilio.com/2010-04-01/Accounts/",
        ] {
            assert!(client.same_base(bad).is_err(), "{bad}");
        }
    }
}
