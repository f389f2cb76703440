//! The header fields that every response of the public listener has.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::AppState;

/// A browser that has once come by HTTPS does so for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the fields. A handler that says itself how its response may be kept is left alone.
pub async fn add(State(state): State<AppState>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if state.directory.platform().app_url.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}
