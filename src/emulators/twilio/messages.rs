//! The Messages resource: create, list, fetch, update, delete, and its media.
//!
//! After <https://www.twilio.com/docs/messaging/api/message-resource>.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::{self, PageMeta, PageQuery, rfc2822};
use super::callback_queue::Next;
use super::carrier::Carrier;
use super::faults::On;
use super::request::{Authenticated, FormBody, ListQuery, Readable};
use super::store::{Conditions, Direction, Message, bare};
use super::validate::{self, Refusal, TEST_SENDER};
use crate::domain::channel::Channel;
use crate::domain::segments;
use crate::domain::status::DeliveryStatus;
use crate::integrations::twilio::codes;
use crate::integrations::twilio::form::Params;

/// Creates a message.
pub async fn create(
    State(carrier): State<Carrier>,
    Authenticated(account): Authenticated<String>,
    body: Bytes,
) -> Response {
    let request_faults = carrier.0.faults.draw(On::Create, &account, &carrier.0.random);
    if let Some(response) = answer::fail_before(request_faults.answer).await {
        return response;
    }
    let Ok(form) = Params::parse(&body) else { return answer::bad_request("The request body is not a form.") };
    let message = match carrier.accept(&account, &form) {
        Ok(message) => message,
        Err(refusal) => return refusal.into_response(),
    };
    if message.status == DeliveryStatus::Scheduled {
        if !carrier.0.later(message.send_at.unwrap_or(message.created_at), Next::Leaves(message.sid.clone())) {
            carrier.0.remove(&message.sid);
            return Refusal::new(21611, "The carrier has no room for more scheduled messages.".to_owned())
                .into_response();
        }
    } else if !carrier.is_test(&message) {
        carrier.0.deliver(message.clone(), request_faults.callbacks).await;
    }
    answer::created(&Resource::new(&message), request_faults.answer, &carrier.0.clock).await
}

impl Carrier {
    /// Accepts a message, or refuses it.
    fn accept(&self, account: &str, form: &Params) -> Result<Message, Refusal> {
        let now = self.0.clock.now();
        validate::check(form, now)?;
        let own = |key: &str| form.filled(key).map(str::to_owned);
        let (from, to) = (own("From"), own("To").unwrap_or_default());
        let service = own("MessagingServiceSid");
        if let Some(from) = from.as_deref().filter(|from| self.0.strict && !self.may_send(account, from)) {
            let text = format!("The 'From' phone number {from} is not a message-capable number of this account.");
            return Err(Refusal::new(21606, text));
        }
        let sender = from.clone().or_else(|| self.0.numbers.first_of(account)).unwrap_or_default();
        if Channel::of_address(&to).0 == Channel::Sms && self.0.consent.opted_out(&sender, &to) {
            return Err(Refusal::new(21610, "Attempt to send to unsubscribed recipient".to_owned()));
        }
        let media_urls: Vec<String> = form.all("MediaUrl").map(str::to_owned).collect();
        let sid = self.new_sid(if media_urls.is_empty() { "SM" } else { "MM" });
        let mut message = Message::new(sid, account.to_owned(), Direction::OutboundApi, now);
        if let Some(sid) = own("ContentSid") {
            let variables = own("ContentVariables");
            let rendered = self.render(account, &sid, variables.as_deref().unwrap_or("{}"))?;
            (message.content_sid, message.content_variables) = (Some(sid), variables);
            message.body = rendered.body.clone();
            message.template = Some(rendered);
        } else {
            let body = own("Body").unwrap_or_default();
            let smart = form.get("SmartEncoded").is_some_and(|smart| smart.eq_ignore_ascii_case("true"));
            message.body = if smart { segments::smart_encode(&body) } else { body };
        }
        message.send_at = validate::send_at(form, now)?;
        message.status = match (&message.send_at, &service) {
            (Some(_), _) => DeliveryStatus::Scheduled,
            (None, Some(_)) if from.is_none() => DeliveryStatus::Accepted,
            _ => DeliveryStatus::Queued,
        };
        message.messaging_service_sid = service;
        (message.from, message.to, message.media_urls) = (from, to, media_urls);
        message.status_callback = own("StatusCallback");
        let message = self.0.push(message);
        self.0.taken.send_modify(|taken| *taken += 1);
        Ok(message)
    }

    /// True for messages from Twilio's test number: they are neither delivered nor reported, unless the account owns
    /// it.
    fn is_test(&self, message: &Message) -> bool {
        message
            .from
            .as_deref()
            .is_some_and(|from| bare(from) == TEST_SENDER && !self.0.numbers.owns(&message.account_sid, TEST_SENDER))
    }
}

/// Lists messages.
pub async fn list(
    State(carrier): State<Carrier>,
    Readable(account): Readable<String>,
    ListQuery(query): ListQuery,
) -> Response {
    let conditions = Conditions {
        account: &account,
        to: query.filled("To"),
        from: query.filled("From"),
        sent_on: day(&query, "DateSent"),
        sent_on_or_before: day(&query, "DateSent<"),
        sent_on_or_after: day(&query, "DateSent>"),
    };
    let page = PageQuery::from_query(&query);
    let store = carrier.0.store();
    if page.after.as_deref().is_some_and(|sid| store.find(sid).is_none()) {
        return answer::unknown_page();
    }
    let (messages, more) = store.page(&conditions, page.after.as_deref(), page.size);
    drop(store);
    let last = messages.last().filter(|_| more).map(|last| last.sid.as_str());
    let meta = page.meta(&format!("/2010-04-01/Accounts/{account}/Messages.json"), messages.len(), last);
    Json(Page { meta, messages: messages.iter().map(Resource::new).collect() }).into_response()
}

/// Returns the day of a date or a time; Twilio's libraries send either.
fn day<'a>(query: &'a Params, key: &str) -> Option<&'a str> {
    query.filled(key).map(|at| at.get(..10).unwrap_or(at))
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    meta: PageMeta,
    messages: Vec<Resource<'a>>,
}

/// Fetches a message.
pub async fn fetch(State(carrier): State<Carrier>, Readable((account, file)): Readable<(String, String)>) -> Response {
    match carrier.named(&account, &file) {
        Ok(message) => Json(Resource::new(&message)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Cancels a scheduled message, or redacts a message.
pub async fn update(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
    FormBody(form): FormBody,
) -> Response {
    let message = match carrier.named(&account, &file) {
        Ok(message) => message,
        Err(refusal) => return refusal.into_response(),
    };
    let changed = match (form.get("Status"), form.get("Body")) {
        (Some("canceled"), _) => carrier.cancel(&message).await,
        (Some(other), _) => Err(Refusal::new(20001, format!("The Status {other} cannot be set; canceled can."))),
        (None, Some("")) => carrier.redact(&message),
        (None, Some(_)) => Err(Refusal::new(20001, "The Body can only be made empty.".to_owned())),
        (None, None) => Ok(message),
    };
    match changed {
        Ok(message) => Json(Resource::new(&message)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Deletes a message that is complete.
pub async fn delete(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
) -> Response {
    match carrier.named(&account, &file).and_then(|message| complete(&message).map(|()| message)) {
        Ok(message) => {
            carrier.0.remove(&message.sid);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Refuses the change of a message that is still in progress.
fn complete(message: &Message) -> Result<(), Refusal> {
    if message.status.is_final() {
        return Ok(());
    }
    let text = "Cannot delete this resource before it is complete.".to_owned();
    Err(Refusal { http_status: 409, ..Refusal::new(20009, text) })
}

impl Carrier {
    async fn cancel(&self, message: &Message) -> Result<Message, Refusal> {
        // It may be sent at this moment: only one of the two changes its status.
        let canceled = self.0.change_if(&message.sid, DeliveryStatus::Scheduled, DeliveryStatus::Canceled);
        let canceled = canceled.ok_or_else(|| Refusal::new(30409, "This message cannot be canceled.".to_owned()))?;
        self.0.report_at_once(canceled.clone()).await;
        Ok(canceled)
    }

    fn redact(&self, message: &Message) -> Result<Message, Refusal> {
        complete(message)?;
        let redacted = self.0.change(&message.sid, |message| {
            message.body.clear();
            message.template = None;
            message.content_variables = None;
        });
        redacted.ok_or_else(|| Refusal::not_found(&message.sid))
    }

    /// Returns the account's message that `SM….json` names.
    fn named(&self, account: &str, file: &str) -> Result<Message, Refusal> {
        let sid = file.strip_suffix(".json").unwrap_or(file);
        let store = self.0.store();
        let found = store.find(sid).filter(|message| message.account_sid == account).cloned();
        drop(store);
        found.ok_or_else(|| Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/Messages/{file}")))
    }
}

/// Lists a message's media. The content is not stored: every medium is a picture.
pub async fn media(State(carrier): State<Carrier>, Readable((account, sid)): Readable<(String, String)>) -> Response {
    let count = carrier.named(&account, &sid).map_or(0, |message| message.media_urls.len());
    let list = (0..count).map(|index| {
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}/Media/ME{index:032x}.json");
        serde_json::json!({"sid": format!("ME{index:032x}"), "parent_sid": sid, "content_type": "image/jpeg", "uri": uri})
    });
    Json(serde_json::json!({"media_list": list.collect::<Vec<_>>(), "next_page_uri": null})).into_response()
}

/// A message as Twilio's API returns it.
#[derive(Serialize)]
pub struct Resource<'a> {
    sid: &'a str,
    account_sid: &'a str,
    messaging_service_sid: Option<&'a str>,
    from: Option<&'a str>,
    to: &'a str,
    body: &'a str,
    status: &'static str,
    direction: &'static str,
    num_segments: String,
    num_media: String,
    date_created: String,
    date_updated: String,
    date_sent: Option<String>,
    error_code: Option<u32>,
    error_message: Option<&'static str>,
    price: Option<&'a str>,
    price_unit: &'static str,
    api_version: &'static str,
    subresource_uris: serde_json::Value,
    uri: String,
}

impl<'a> Resource<'a> {
    /// Formats a message.
    pub fn new(message: &'a Message) -> Self {
        let path = format!("/2010-04-01/Accounts/{}/Messages/{}", message.account_sid, message.sid);
        Self {
            sid: &message.sid,
            account_sid: &message.account_sid,
            messaging_service_sid: message.messaging_service_sid.as_deref(),
            from: message.from.as_deref(),
            to: &message.to,
            body: &message.body,
            status: message.status.as_str(),
            direction: message.direction.as_str(),
            num_segments: segments::count(&message.body).segments.to_string(),
            num_media: message.media_urls.len().to_string(),
            date_created: rfc2822(message.created_at),
            date_updated: rfc2822(message.updated_at),
            date_sent: message.sent_at.map(rfc2822),
            error_code: message.error_code,
            error_message: message.error_code.map(error_message),
            price: None,
            price_unit: "USD",
            api_version: "2010-04-01",
            subresource_uris: serde_json::json!({"media": format!("{path}/Media.json")}),
            uri: format!("{path}.json"),
        }
    }
}

/// The description of a code.
pub fn error_message(code: u32) -> &'static str {
    codes::lookup(code).map_or("see https://www.twilio.com/docs/api/errors", |known| known.meaning)
}
