//! Idempotency keys: a repeat gets the first answer and changes nothing.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::body::Body;
use super::caller::Caller;
use super::problem::Problem;
use crate::domain::Ids;
use crate::domain::id::{Id, noun};
use crate::http::AppState;
use crate::store::Begun;

/// The header of an answer that was given before.
const REPEATED: &str = "idempotency-replayed";

/// The header of requests that write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes; the body's extractor reads the header")]
pub struct IdempotencyKey {
    /// A repeat with the same key changes nothing and gets the same answer
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    key: Option<String>,
}

/// Does `work` once for each key. It gets the id of what it creates; an object that exists under this id was created by
/// an earlier try that gave no answer. Without a key every request does its work.
pub async fn once<In, Out: Serialize>(
    state: &AppState,
    caller: &Caller,
    body: Body<In>,
    work: impl AsyncFnOnce(Uuid, In) -> Result<(StatusCode, Out), Problem>,
) -> Result<Response, Problem> {
    let store = &state.store;
    let tenant = caller.0.id;
    let Some(key) = body.key else {
        let (status, made) = work(new_id(store.ids()), body.value).await?;
        return Ok((status, axum::Json(made)).into_response());
    };
    let id = match store.begin_idempotent(tenant, &key, &body.hash).await? {
        Begun::Work { id } => id,
        Begun::Done { status, body } => return Ok(answer(status, body, true)),
        Begun::UnderWay => {
            let detail = "a request with this Idempotency-Key is under way: ask again in a few seconds";
            return Err(Problem::new(StatusCode::CONFLICT, "under_way", detail));
        }
        Begun::Other => {
            let detail = "another request came with this Idempotency-Key within 24 hours: give each its own";
            return Err(Problem::unfit("key_reused", detail));
        }
    };
    let (status, text) = match work(id, body.value).await {
        Ok((status, made)) => (status.as_u16(), serde_json::to_string(&made).unwrap_or_default()),
        Err(problem) if problem.status() < 500 => {
            (problem.status(), serde_json::to_string(&problem).unwrap_or_default())
        }
        Err(problem) => {
            // A repeat may succeed.
            store.end_idempotent(tenant, &key, None).await?;
            return Err(problem);
        }
    };
    store.end_idempotent(tenant, &key, Some((status, &text))).await?;
    Ok(answer(status, text, false))
}

fn new_id(ids: &Ids) -> Uuid {
    let id: Id<noun::Event> = ids.next();
    id.uuid()
}

fn answer(status: u16, body: String, repeated: bool) -> Response {
    let content_type = if status < 400 { "application/json" } else { "application/problem+json" };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if repeated {
        response.headers_mut().insert(REPEATED, HeaderValue::from_static("true"));
    }
    response
}
