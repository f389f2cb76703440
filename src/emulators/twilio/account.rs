//! The account resource, and its balance, which never changes.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answer::{self, rfc2822};
use super::carrier::Carrier;
use super::request::Authenticated;

/// Fetches `AC….json`, without the token.
pub async fn fetch(State(carrier): State<Carrier>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(account) = file.strip_suffix(".json") else { return answer::not_found(&file) };
    if !carrier.authenticates(account, &headers) {
        return answer::unauthorized();
    }
    let since = rfc2822(carrier.0.started_at);
    let below = |name: &str| format!("/2010-04-01/Accounts/{account}/{name}.json");
    Json(json!({
        "sid": account,
        "owner_account_sid": account,
        "friendly_name": "Recado's built-in carrier",
        "status": "active",
        "type": "Full",
        "auth_token": null,
        "date_created": since,
        "date_updated": since,
        "subresource_uris": {
            "messages": below("Messages"),
            "incoming_phone_numbers": below("IncomingPhoneNumbers"),
            "balance": below("Balance"),
        },
        "uri": format!("/2010-04-01/Accounts/{account}.json"),
    }))
    .into_response()
}

/// Fetches the balance.
pub async fn balance(Authenticated(account): Authenticated<String>) -> Response {
    Json(json!({"account_sid": account, "balance": "100.00", "currency": "USD"})).into_response()
}
