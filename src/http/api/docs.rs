//! The API's description, and a page to try it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, serve};

use crate::http::AppState;

/// The page brings its own scripts and styles, and talks to this server alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(Clone)]
struct Docs {
    description: Arc<str>,
    config: Arc<Config<'static>>,
}

pub fn routes(description: OpenApi) -> Router<AppState> {
    let description = description.to_json().unwrap_or_default().into();
    // The page uses no external validator.
    let config = Config::from("/api/openapi.json").validator_url("none").persist_authorization(false);
    let docs = Docs { description, config: Arc::new(config) };
    Router::new()
        .route("/api/openapi.json", get(openapi))
        .route("/api/docs", get(async || Redirect::permanent("/api/docs/")))
        .route("/api/docs/", get(async |docs: Extension<Docs>| file(&docs, "")))
        .route("/api/docs/{*file}", get(async |Path(path): Path<String>, docs: Extension<Docs>| file(&docs, &path)))
        .layer(Extension(docs))
}

async fn openapi(State(_): State<AppState>, Extension(docs): Extension<Docs>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], docs.description.to_string()).into_response()
}

fn file(docs: &Docs, path: &str) -> Response {
    match serve(path, docs.config.clone()) {
        Ok(Some(file)) => {
            let headers = [
                (header::CONTENT_TYPE, file.content_type.as_str()),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, file.bytes.to_vec()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
