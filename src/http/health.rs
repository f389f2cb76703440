//! Health checks.

use axum::Json;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::AppState;
use crate::store::StoreError;
use crate::telemetry;

/// The largest backlog that is counted.
pub const BACKLOG_COUNT_MAX: usize = 100_000;

/// Liveness: the process answers, with its instance. It asks nothing else.
pub async fn health(State(state): State<AppState>) -> Json<Value> {
    Json(json!({"status": "ok", "timestamp": state.clock.now(), "instance": &*state.instance}))
}

/// Readiness: the database can be read and written. What waits, and what is wrong, is told to operators alone.
pub async fn ready(State(state): State<AppState>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if is_operator(&state, &headers) {
        return ready_in_detail(State(state)).await;
    }
    let timestamp = state.clock.now();
    let answers = if state.store.writer().is_alive() { state.store.ping().await } else { Err(StoreError::Closed) };
    match answers {
        Ok(()) => (StatusCode::OK, Json(json!({"status": "ready", "timestamp": timestamp}))),
        Err(error) => {
            log_unready(&state, &error);
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unavailable", "timestamp": timestamp})))
        }
    }
}

fn is_operator(state: &AppState, headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = state.directory.key().operator_token();
    given.is_some_and(|given| given.as_bytes().ct_eq(token.expose_secret().as_bytes()).into())
}

/// The metrics, for Prometheus.
pub async fn metrics(State(handle): State<PrometheusHandle>) -> impl IntoResponse {
    let (media_type, page) = telemetry::render(&handle);
    ([(CONTENT_TYPE, media_type)], page)
}

/// Readiness, with the backlog, the number of paused accounts, and what is wrong. For the operators' listener.
pub async fn ready_in_detail(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    let timestamp = state.clock.now();
    let store = &state.store;
    let backlog =
        if store.writer().is_alive() { store.backlog(BACKLOG_COUNT_MAX).await } else { Err(StoreError::Closed) };
    match backlog {
        Ok(backlog) => {
            let paused = state.circuits.paused();
            let body = json!({
                "status": "ready", "timestamp": timestamp, "database": "ok", "backlog": backlog,
                "paused_accounts": paused,
            });
            (StatusCode::OK, Json(body))
        }
        Err(error) => {
            log_unready(&state, &error);
            let body = json!({"status": "unavailable", "timestamp": timestamp, "database": error.to_string()});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

fn log_unready(state: &AppState, error: &StoreError) {
    if let Some(more) = state.throttle.admit("not ready", state.clock.now()) {
        tracing::warn!(%error, more, "not ready");
    }
}
