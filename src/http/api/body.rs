//! Extractors: a request's body, path and query as types, or a problem that says what is expected.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::caller::OfTenant;
use super::problem::Problem;
use super::quotas::Import;
use crate::domain::hex;
use crate::features::campaigns::sheet::FILE_MAX_BYTES;
use crate::http::AppState;

/// The largest body.
pub const BODY_MAX_BYTES: usize = 256 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The largest table.
const TABLE_MAX_BYTES: usize = FILE_MAX_BYTES as usize;
const TABLE_WITHIN: Duration = Duration::from_secs(60);
/// The longest idempotency key.
const KEY_MAX_CHARS: usize = 255;
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A JSON body, with a hash over method, URL and body that tells requests apart.
pub struct Body<T> {
    pub value: T,
    pub hash: String,
    /// The header `Idempotency-Key`.
    pub key: Option<String>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        if !is_of_type(&request, "application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "no_json",
                "send JSON, with 'Content-Type: application/json'",
            ));
        }
        let Body { value, hash, key } = read(request, BODY_MAX_BYTES, BODY_WITHIN).await?;
        let value = axum::Json::<T>::from_bytes(&value).map_err(|rejection| invalid_json(&rejection))?.0;
        Ok(Self { value, hash, key })
    }
}

/// A table (CSV) as bytes, of an import that is under way until this is dropped.
pub struct Table(pub Body<Bytes>, pub Import);

impl FromRequest<AppState> for Table {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_of_type(&request, "text/csv") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "no_csv",
                "send a table as CSV, with 'Content-Type: text/csv'",
            ));
        }
        // The extractor of the caller comes before that of the body.
        let Some(OfTenant(tenant)) = request.extensions().get::<OfTenant>().copied() else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "send a token that holds"));
        };
        let import = state.quotas.begin_import(tenant)?;
        Ok(Self(read(request, TABLE_MAX_BYTES, TABLE_WITHIN).await?, import))
    }
}

fn is_of_type(request: &Request, wanted: &str) -> bool {
    let given = request.headers().get(axum::http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split(';').next()).map(str::trim);
    given.is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

async fn read(request: Request, max: usize, within: Duration) -> Result<Body<Bytes>, Problem> {
    let key = key_of(&request)?;
    let mut hash = Sha256::new();
    hash.update(format!("{} {}\n", request.method(), request.uri()));
    let read = tokio::time::timeout(within, axum::body::to_bytes(request.into_body(), max)).await;
    let late = |_| {
        let detail = format!("the body did not come within {} seconds", within.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)
    };
    let value = read.map_err(late)?.map_err(|_| {
        let detail = format!("the body has more than {max} bytes, or was cut off");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    })?;
    hash.update(&value);
    Ok(Body { value, hash: hex(hash.finalize()), key })
}

fn key_of(request: &Request) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_MAX_CHARS);
    let detail = format!("Idempotency-Key has 1 to {KEY_MAX_CHARS} visible ASCII characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::bad_request(detail))
}

fn invalid_json(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(error) => Problem::unfit("not_such_body", error.body_text()),
        other => Problem::bad_request(other.body_text()),
    }
}

/// Parameters of the URL's path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|error: PathRejection| Problem::bad_request(error.body_text()))?.0))
    }
}

/// Parameters of the URL's query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        Ok(Self(query.map_err(|error: QueryRejection| Problem::bad_request(error.body_text()))?.0))
    }
}
