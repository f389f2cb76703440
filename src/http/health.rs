//! Is it there, and is it well.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::AppState;
use crate::store::StoreError;

/// Backlogs are counted to here; more is more.
pub const BACKLOG_COUNT_MAX: usize = 100_000;

pub fn routes() -> Router<AppState> {
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

/// The process answers, and which one it is; asks nothing of anybody.
async fn health(State(state): State<AppState>) -> Json<Value> {
    Json(json!({"status": "ok", "timestamp": state.clock.now(), "instance": &*state.instance}))
}

/// The database answers and can be written, too; how much waits, and how many accounts' credentials are refused.
async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
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
