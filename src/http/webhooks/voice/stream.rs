//! A call's media stream: the token in the path is good for one turn of one call, once.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, State};
use axum::response::Response;

use crate::domain::RefusalKind;
use crate::http::{AppState, WebhookRejection};
use crate::integrations::media_stream::{from_axum, limited};

pub async fn open(
    State(state): State<AppState>,
    Path(token): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, WebhookRejection> {
    let result = open_stream(&state, &token, upgrade).await;
    state.record_webhook("stream", result)
}

async fn open_stream(state: &AppState, token: &str, upgrade: WebSocketUpgrade) -> Result<Response, WebhookRejection> {
    let unverified =
        || WebhookRejection::unverified(RefusalKind::Proof, "this stream's URL was not made here, or was used before");
    let (call, n) = state.voice.live.parse_token(token).ok_or_else(unverified)?;
    let (tenant, call) = state.store.begin_stream(call, n).await?.ok_or_else(unverified)?;
    let tenant = state.directory.now().by_id(tenant).cloned().ok_or_else(unverified)?;
    let voice = state.voice.clone();
    Ok(limited(upgrade).on_upgrade(async move |socket| voice.live.run(tenant, call, from_axum(socket)).await))
}
