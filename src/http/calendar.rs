//! `GET /calendar/{token}.ics`: the appointments of a member of staff, for calendars that subscribe. The token is the
//! secret.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use crate::features::appointments::feed;

/// Answers 404 for every bad token, so that nobody learns whether it existed.
pub async fn calendar(State(state): State<AppState>, Path(file): Path<String>, asked: HeaderMap) -> Response {
    let Some(token) = file.strip_suffix(".ics") else { return StatusCode::NOT_FOUND.into_response() };
    let feed = match feed::open(&state.store, state.directory.key(), token).await {
        Ok(Some(feed)) => feed,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(%error, "a calendar waits for the database");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == feed.etag));
    let headers = [(header::ETAG, feed.etag), (header::CACHE_CONTROL, "private, no-cache".to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")], feed.text).into_response()
}
