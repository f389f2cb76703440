//! The account resource, and its balance, which never changes.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{self, PageMeta, PageQuery, rfc2822};
use super::carrier::Carrier;
use super::request::{Authenticated, ListQuery};

/// Lists the accounts that the credentials see: their own, if it is as asked for. There are no subaccounts.
pub async fn list(State(carrier): State<Carrier>, ListQuery(query): ListQuery, headers: HeaderMap) -> Response {
    let Some(account) = carrier.account_of(&headers) else { return answer::unauthorized() };
    let page = PageQuery::from_query(&query);
    let own = resource(&carrier, &account);
    let fits = |key: &str, field: &str| query.filled(key).is_none_or(|asked| own[field] == asked);
    let accounts =
        if fits("FriendlyName", "friendly_name") && fits("Status", "status") { vec![own.clone()] } else { vec![] };
    let sid = |account: &Value| account["sid"].as_str().unwrap_or_default().to_owned();
    let accounts: Vec<(String, Value)> = accounts.into_iter().map(|account| (sid(&account), account)).collect();
    let Some((found, last)) = page.cut(accounts.iter(), |(sid, _)| sid) else { return answer::unknown_page() };
    let meta = page.meta("/2010-04-01/Accounts.json", found.len(), last.as_deref());
    Json(Page { meta, accounts: found.into_iter().map(|(_, account)| account).collect() }).into_response()
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    meta: PageMeta,
    accounts: Vec<&'a Value>,
}

/// Fetches `AC….json`, without the token.
pub async fn fetch(State(carrier): State<Carrier>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(account) = file.strip_suffix(".json") else { return answer::not_found(&file) };
    if !carrier.authenticates(account, &headers) {
        return answer::unauthorized();
    }
    Json(resource(&carrier, account)).into_response()
}

fn resource(carrier: &Carrier, account: &str) -> Value {
    let since = rfc2822(carrier.0.started_at);
    let below = |name: &str| format!("/2010-04-01/Accounts/{account}/{name}.json");
    json!({
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
            "calls": below("Calls"),
            "recordings": below("Recordings"),
            "available_phone_numbers": below("AvailablePhoneNumbers"),
            "incoming_phone_numbers": below("IncomingPhoneNumbers"),
            "balance": below("Balance"),
        },
        "uri": format!("/2010-04-01/Accounts/{account}.json"),
    })
}

/// Fetches the balance.
pub async fn balance(Authenticated(account): Authenticated<String>) -> Response {
    Json(json!({"account_sid": account, "balance": "100.00", "currency": "USD"})).into_response()
}
