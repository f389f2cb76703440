//! The emulator's own routes: what customers do, and faults on demand.
//!
//! The routes need no credentials. The emulator listens on loopback only, and refuses requests that a browser could
//! send for a foreign page: requests with an `Origin`, for another `Host` (a name that resolves to this machine), or
//! with a body other than JSON.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::carrier::{Carrier, Inbound};
use super::faults::{Fault, FaultError};
use super::feed::FeedMessage;
use super::inbound::{CustomerText, TextError};
use super::messages::Resource;
use super::number_store::NumberConfig;
use super::store::Direction;
use super::validate::is_loopback_host;
use crate::domain::status::DeliveryStatus;

/// Refuses requests that do not come from a program on this machine.
pub async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "web pages may not use the carrier's own routes").into_response();
    }
    if !headers.get(header::HOST).is_none_or(|host| host.to_str().is_ok_and(names_this_machine)) {
        return (StatusCode::FORBIDDEN, "use http://127.0.0.1 or http://localhost").into_response();
    }
    let has_body = has_body(headers);
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if has_body && !json.trim_start().to_ascii_lowercase().starts_with("application/json") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json").into_response();
    }
    next.run(request).await
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// Checks a `Host` header, with or without a port.
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback_host(name)
}

#[derive(Serialize)]
struct ShownNumber {
    number: String,
    account_sid: String,
    label: String,
    sms_url: Option<String>,
    whatsapp_url: Option<String>,
    voice_url: Option<String>,
}

impl From<NumberConfig> for ShownNumber {
    fn from(config: NumberConfig) -> Self {
        let NumberConfig { account_sid, number, label, sms_url, whatsapp_url, voice_url, .. } = config;
        Self { number, account_sid, label, sms_url, whatsapp_url, voice_url }
    }
}

/// Lists the numbers.
pub async fn numbers(State(carrier): State<Carrier>) -> Response {
    Json(carrier.0.numbers.all().into_iter().map(ShownNumber::from).collect::<Vec<_>>()).into_response()
}

/// Accepts a customer's message.
pub async fn text(State(carrier): State<Carrier>, Json(text): Json<CustomerText>) -> Result<Response, TextError> {
    #[derive(Serialize)]
    struct Taken {
        seq: u64,
        message: FeedMessage,
    }
    let message = carrier.receive(&text)?;
    Ok((StatusCode::CREATED, Json(Taken { seq: message.seq, message: message.into() })).into_response())
}

impl IntoResponse for TextError {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

/// Stores a customer's message without a webhook.
pub async fn inbound(State(carrier): State<Carrier>, Json(inbound): Json<Inbound>) -> Response {
    let message = carrier.add_inbound(inbound);
    (StatusCode::CREATED, Json(Resource::new(&message))).into_response()
}

/// The customer opens a WhatsApp message.
pub async fn read(State(carrier): State<Carrier>, Path(sid): Path<String>) -> Response {
    let store = carrier.0.store();
    let found = store.find(&sid).cloned();
    drop(store);
    let Some(message) = found else { return (StatusCode::NOT_FOUND, "there is no such message").into_response() };
    if message.direction == Direction::Inbound || !message.channel().spec().reads {
        return (StatusCode::CONFLICT, "only WhatsApp messages to a customer are read").into_response();
    }
    match message.status {
        DeliveryStatus::Read => {}
        DeliveryStatus::Delivered => {
            let read = carrier.0.change_if(&sid, DeliveryStatus::Delivered, DeliveryStatus::Read);
            read.into_iter().for_each(|message| carrier.0.report_soon(message));
        }
        status if status.is_final() => return (StatusCode::CONFLICT, "it did not arrive").into_response(),
        // Its delivery is reported first.
        _ => drop(carrier.0.change(&sid, |message| message.read_early = true)),
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Activates a fault.
pub async fn order_fault(State(carrier): State<Carrier>, Json(fault): Json<Fault>) -> Result<StatusCode, FaultError> {
    carrier.add_fault(fault)?;
    Ok(StatusCode::CREATED)
}

/// Lists the active faults.
pub async fn show_faults(State(carrier): State<Carrier>) -> Json<Vec<Fault>> {
    Json(carrier.0.faults.all())
}

/// Clears the faults.
pub async fn clear_faults(State(carrier): State<Carrier>) -> StatusCode {
    carrier.clear_faults();
    StatusCode::NO_CONTENT
}

impl IntoResponse for FaultError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_named() {
        for good in ["127.0.0.1", "127.0.0.1:8010", "localhost:8010", "[::1]:8010", "[::1]"] {
            assert!(names_this_machine(good), "{good}");
        }
        for bad in ["example.com", "example.com:8010", "127.0.0.1.example.com", "192.168.1.2:8010", ""] {
            assert!(!names_this_machine(bad), "{bad}");
        }
    }
}
