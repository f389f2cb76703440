//! Answers: Twilio's errors, its pages, and the faults of an answer.

use std::future::pending;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::faults::FaultKind;
use super::validate::Refusal;
use crate::domain::{Clock, Timestamp};
use crate::integrations::twilio::form::Params;

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;
/// The wait that a throttled client gets.
const RETRY_AFTER_S: u16 = 1;
const DRIP_INTERVAL: Duration = Duration::from_millis(100);

/// `{"code": 21211, "message": "…", "more_info": "…", "status": 400}`
pub fn error(status: StatusCode, code: u32, message: &str) -> Response {
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.http_status).unwrap_or(StatusCode::BAD_REQUEST);
        error(status, self.code, &self.message)
    }
}

/// Returns Twilio's 401.
pub fn unauthorized() -> Response {
    error(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
}

/// Returns Twilio's 404 for a resource.
pub fn not_found(path: &str) -> Response {
    Refusal::not_found(path).into_response()
}

/// Returns Twilio's 400 with a message.
pub fn bad_request(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, 20001, message)
}

/// Returns Twilio's 400 for a page token that it has not given.
pub fn unknown_page() -> Response {
    bad_request("The PageToken is invalid: follow next_page_uri of the page before.")
}

fn internal_error() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred")
}

fn busy(status: StatusCode, code: u32, message: &str) -> Response {
    let mut response = error(status, code, message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// Returns the answer of a fault that strikes before the request is accepted.
pub async fn fail_before(fault: Option<FaultKind>) -> Option<Response> {
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

/// Returns 201 with the new resource, or the response of a fault.
pub async fn created(resource: &impl Serialize, fault: Option<FaultKind>, clock: &Clock) -> Response {
    match fault {
        Some(FaultKind::Error500AfterAccept) => internal_error(),
        Some(FaultKind::DropAfterAccept) => dropped(),
        Some(FaultKind::HangAfterAccept) => pending().await,
        Some(FaultKind::Drip) => {
            let body = serde_json::to_vec(resource).unwrap_or_default();
            (StatusCode::CREATED, dripping(body, clock.clone())).into_response()
        }
        _ => (StatusCode::CREATED, Json(resource)).into_response(),
    }
}

/// No answer: a body that fails at once makes hyper close the connection before it writes the head.
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

/// The requested page of a list.
pub struct PageQuery {
    pub size: usize,
    pub number: u64,
    /// The last SID of the previous page.
    pub after: Option<String>,
    /// The query without its position in the list.
    query_params: Params,
}

impl PageQuery {
    /// Reads the paging parameters of a query.
    pub fn from_query(query: &Params) -> Self {
        let size = query.filled("PageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE_SIZE);
        Self {
            size: size.clamp(1, PAGE_SIZE_MAX),
            number: query.filled("Page").and_then(|page| page.parse().ok()).unwrap_or(0),
            // A token of another kind names nothing.
            after: query.filled("PageToken").map(|token| token.strip_prefix("PA").unwrap_or_default().to_owned()),
            query_params: query.iter().filter(|(key, _)| !matches!(*key, "Page" | "PageToken")).collect(),
        }
    }

    /// Returns one page of an ordered list, and the SID of its last item if more follow; `None` for a page token that
    /// names no item.
    pub fn cut<T>(&self, all: impl Iterator<Item = T>, sid: impl Fn(&T) -> &str) -> Option<(Vec<T>, Option<String>)> {
        let mut all = all.peekable();
        if let Some(after) = &self.after {
            all.by_ref().find(|one| sid(one) == after)?;
        }
        let page: Vec<T> = all.by_ref().take(self.size).collect();
        let last = page.last().filter(|_| all.peek().is_some()).map(|last| sid(last).to_owned());
        Some((page, last))
    }

    /// Returns the list's fields besides its items; `last` is the SID before the next page, if there is one.
    pub fn meta(&self, path: &str, count: usize, last: Option<&str>) -> PageMeta {
        let uri = |number: u64, after: Option<&str>| {
            let mut query = self.query_params.clone();
            if query.get("PageSize").is_none() {
                query.push("PageSize", &self.size.to_string());
            }
            query.push("Page", &number.to_string());
            if let Some(after) = after {
                query.push("PageToken", &format!("PA{after}"));
            }
            format!("{path}?{}", query.encode())
        };
        let start = self.number as usize * self.size;
        PageMeta {
            page: self.number,
            page_size: self.size,
            start,
            end: (start + count).saturating_sub(1),
            uri: uri(self.number, self.after.as_deref()),
            first_page_uri: uri(0, None),
            // Only the first page can be returned to: the start of the previous page is unknown.
            previous_page_uri: (self.number > 0).then(|| uri(0, None)),
            next_page_uri: last.map(|last| uri(self.number + 1, Some(last))),
        }
    }
}

/// The paging fields of the 2010 API.
#[derive(Serialize)]
pub struct PageMeta {
    pub page: u64,
    pub page_size: usize,
    pub start: usize,
    pub end: usize,
    pub uri: String,
    pub first_page_uri: String,
    pub previous_page_uri: Option<String>,
    pub next_page_uri: Option<String>,
}

/// Formats a time for the 2010 API.
pub fn rfc2822(at: Timestamp) -> String {
    at.to_utc().to_rfc2822()
}
