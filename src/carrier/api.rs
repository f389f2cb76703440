//! The routes.

use std::future::pending;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::faults::{Fault, FaultError, FaultKind, On};
use super::store::Conditions;
use super::validate::{self, Refusal};
use super::{Carrier, Inbound, Message};
use crate::domain::Clock;
use crate::domain::segments;
use crate::domain::status::DeliveryStatus;
use crate::twilio::form::Params;

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;
/// What a throttled client is told to wait.
const RETRY_AFTER_S: u16 = 1;
const DRIP_INTERVAL: Duration = Duration::from_millis(100);

pub async fn create(
    State(carrier): State<Carrier>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !carrier.authenticates(&account, &headers) {
        return unauthorized();
    }
    let strike = carrier.0.faults.strike(On::Create, &account, &carrier.0.random);
    if let Some(response) = fail_before(strike.answer).await {
        return response;
    }
    let Ok(form) = Params::parse(&body) else {
        return error(StatusCode::BAD_REQUEST, 20001, "The request body is not a form.");
    };
    if let Err(Refusal { code, message }) = validate::check(&form) {
        return error(StatusCode::BAD_REQUEST, code, &message);
    }
    let message = carrier.accept(account, &form);
    carrier.0.deliver(message.clone(), strike.callbacks).await;
    answer_accepted(&message, strike.answer, &carrier.0.clock).await
}

pub async fn list(
    State(carrier): State<Carrier>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = carrier.refuse_read(&account, &headers).await {
        return response;
    }
    let Ok(query) = Params::parse(query.unwrap_or_default().as_bytes()) else {
        return error(StatusCode::BAD_REQUEST, 20001, "The query is not a form.");
    };
    let conditions = Conditions {
        account: &account,
        to: query.filled("To"),
        from: query.filled("From"),
        sent_on: query.filled("DateSent"),
        sent_on_or_before: query.filled("DateSent<"),
        sent_on_or_after: query.filled("DateSent>"),
    };
    let size = query.filled("PageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
    let before = query.filled("PageToken").and_then(|token| token.strip_prefix("PA"));
    let (messages, more) = carrier.store().page(&conditions, before, size);
    let number: u64 = query.filled("Page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let next_page_uri = messages.last().filter(|_| more).map(|last| next_page(&account, &query, number + 1, &last.sid));
    Json(Page { page: number, page_size: size, next_page_uri, messages: messages.iter().map(Resource::of).collect() })
        .into_response()
}

pub async fn fetch(
    State(carrier): State<Carrier>,
    Path((account, message)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = carrier.refuse_read(&account, &headers).await {
        return response;
    }
    let sid = message.strip_suffix(".json").unwrap_or(&message);
    let store = carrier.store();
    match store.find(sid).filter(|message| message.account_sid == account) {
        Some(message) => Json(Resource::of(message)).into_response(),
        None => error(StatusCode::NOT_FOUND, 20404, "The requested resource was not found."),
    }
}

/// The content itself is not kept: every medium is called a picture.
pub async fn media(
    State(carrier): State<Carrier>,
    Path((account, sid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = carrier.refuse_read(&account, &headers).await {
        return response;
    }
    let count = carrier
        .store()
        .find(&sid)
        .filter(|message| message.account_sid == account)
        .map_or(0, |message| message.media_urls.len());
    let list = (0..count).map(|index| {
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}/Media/ME{index:032x}.json");
        serde_json::json!({"sid": format!("ME{index:032x}"), "parent_sid": sid, "content_type": "image/jpeg", "uri": uri})
    });
    Json(serde_json::json!({"media_list": list.collect::<Vec<_>>(), "next_page_uri": null})).into_response()
}

pub async fn inbound(State(carrier): State<Carrier>, Json(inbound): Json<Inbound>) -> Response {
    let message = carrier.add_inbound(inbound);
    (StatusCode::CREATED, Json(Resource::of(&message))).into_response()
}

pub async fn order_fault(State(carrier): State<Carrier>, Json(fault): Json<Fault>) -> Result<StatusCode, FaultError> {
    carrier.add_fault(fault)?;
    Ok(StatusCode::CREATED)
}

pub async fn show_faults(State(carrier): State<Carrier>) -> Json<Vec<Fault>> {
    Json(carrier.0.faults.all())
}

pub async fn clear_faults(State(carrier): State<Carrier>) -> StatusCode {
    carrier.clear_faults();
    StatusCode::NO_CONTENT
}

impl IntoResponse for FaultError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

impl Carrier {
    fn authenticates(&self, account: &str, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        self.0.accounts.get(account).is_some_and(|known| given == Some(known.authorization.as_bytes()))
    }

    async fn refuse_read(&self, account: &str, headers: &HeaderMap) -> Option<Response> {
        if !self.authenticates(account, headers) {
            return Some(unauthorized());
        }
        let strike = self.0.faults.strike(On::List, account, &self.0.random);
        fail_before(strike.answer).await
    }

    fn accept(&self, account_sid: String, form: &Params) -> Message {
        let own = |key: &str| form.filled(key).map(str::to_owned);
        let from = own("From");
        let media_urls: Vec<String> = form.all("MediaUrl").map(str::to_owned).collect();
        let message = Message {
            sid: self.new_sid(if media_urls.is_empty() { "SM" } else { "MM" }),
            account_sid,
            messaging_service_sid: own("MessagingServiceSid"),
            status: if from.is_some() { DeliveryStatus::Queued } else { DeliveryStatus::Accepted },
            from,
            to: own("To").unwrap_or_default(),
            body: own("Body").unwrap_or_default(),
            media_urls,
            content_sid: own("ContentSid"),
            content_variables: own("ContentVariables"),
            status_callback: own("StatusCallback"),
            created_at: self.0.clock.now(),
            sent_at: None,
        };
        self.store().push(message.clone());
        self.0.taken.send_modify(|taken| *taken += 1);
        message
    }
}

/// The answer of a fault that strikes before anything is taken.
async fn fail_before(fault: Option<FaultKind>) -> Option<Response> {
    match fault? {
        FaultKind::Throttle => Some(busy(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests")),
        FaultKind::Unavailable503 => Some(busy(StatusCode::SERVICE_UNAVAILABLE, 20503, "Service Unavailable")),
        FaultKind::Error500 => Some(internal_error()),
        FaultKind::Unauthorized => Some(unauthorized()),
        FaultKind::DropBeforeAccept => Some(dropped()),
        FaultKind::Hang => pending().await,
        _ => None,
    }
}

async fn answer_accepted(message: &Message, fault: Option<FaultKind>, clock: &Clock) -> Response {
    match fault {
        Some(FaultKind::Error500AfterAccept) => internal_error(),
        Some(FaultKind::DropAfterAccept) => dropped(),
        Some(FaultKind::HangAfterAccept) => pending().await,
        Some(FaultKind::Drip) => {
            let body = serde_json::to_vec(&Resource::of(message)).unwrap_or_default();
            (StatusCode::CREATED, dripping(body, clock.clone())).into_response()
        }
        _ => (StatusCode::CREATED, Json(Resource::of(message))).into_response(),
    }
}

/// `{"code": 21211, "message": "…", "more_info": "…", "status": 400}`
fn error(status: StatusCode, code: u32, message: &str) -> Response {
    #[derive(Serialize)]
    struct ApiError<'a> {
        code: u32,
        message: &'a str,
        more_info: String,
        status: u16,
    }
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    (status, Json(ApiError { code, message, more_info, status: status.as_u16() })).into_response()
}

fn unauthorized() -> Response {
    error(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
}

fn internal_error() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred")
}

fn busy(status: StatusCode, code: u32, message: &str) -> Response {
    let mut response = error(status, code, message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// No answer: a body that fails at once makes hyper close the connection before it has written the head.
fn dropped() -> Response {
    let fails = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped on demand")) });
    Body::from_stream(fails).into_response()
}

fn dripping(body: Vec<u8>, clock: Clock) -> Body {
    Body::from_stream(futures_util::stream::unfold((body.into_iter(), clock), |(mut rest, clock)| async move {
        clock.sleep(DRIP_INTERVAL).await;
        rest.next().map(|byte| (Ok::<_, std::convert::Infallible>(Bytes::from(vec![byte])), (rest, clock)))
    }))
}

fn next_page(account: &str, query: &Params, number: u64, last: &str) -> String {
    let kept = query.iter().filter(|(key, _)| !matches!(*key, "Page" | "PageToken"));
    let mut next: Params = kept.collect();
    next.push("Page", &number.to_string());
    next.push("PageToken", &format!("PA{last}"));
    format!("/2010-04-01/Accounts/{account}/Messages.json?{}", next.encode())
}

#[derive(Serialize)]
struct Page<'a> {
    page: u64,
    page_size: usize,
    next_page_uri: Option<String>,
    messages: Vec<Resource<'a>>,
}

/// A message as Twilio writes it.
#[derive(Serialize)]
struct Resource<'a> {
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
    error_message: Option<&'a str>,
    price: Option<&'a str>,
    price_unit: &'static str,
    api_version: &'static str,
    uri: String,
}

impl<'a> Resource<'a> {
    fn of(message: &'a Message) -> Self {
        let created = message.created_at.to_utc().to_rfc2822();
        let inbound = message.status == DeliveryStatus::Received;
        Self {
            sid: &message.sid,
            account_sid: &message.account_sid,
            messaging_service_sid: message.messaging_service_sid.as_deref(),
            from: message.from.as_deref(),
            to: &message.to,
            body: &message.body,
            status: message.status.as_str(),
            direction: if inbound { "inbound" } else { "outbound-api" },
            num_segments: segments::count(&message.body).segments.to_string(),
            num_media: message.media_urls.len().to_string(),
            date_updated: created.clone(),
            date_created: created,
            date_sent: message.sent_at.map(|at| at.to_utc().to_rfc2822()),
            error_code: None,
            error_message: None,
            price: None,
            price_unit: "USD",
            api_version: "2010-04-01",
            uri: format!("/2010-04-01/Accounts/{}/Messages/{}.json", message.account_sid, message.sid),
        }
    }
}
