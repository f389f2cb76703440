//! Health checks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::AppState;
use crate::store::StoreError;

/// The largest backlog that is counted.
pub const BACKLOG_COUNT_MAX: usize = 100_000;

/// Liveness: the process answers, with its instance. It asks nothing else.
pub async fn health(State(state): State<AppState>) -> Json<Value> {
    Json(json!({"status": "ok", "timestamp": state.clock.now(), "instance": &*state.instance}))
}

/// Readiness: the database can be read and written. Shows the backlog and the number of paused accounts.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
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
            tracing::warn!(%error, "not ready");
            let body = json!({"status": "unavailable", "timestamp": timestamp, "database": error.to_string()});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}
