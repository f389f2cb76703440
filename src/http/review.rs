//! `/r/{token}`: the page of a review link. The customer gives a score, then writes a public review or a private feedback.
//!
//! Opening the page scores nothing, since scanners and message previews open links, too: a button posts the score. The
//! first score counts. Each step is an event, stored before the answer, once for each link. The page has no script, no
//! cookie and nothing from other servers; texts of customers and businesses are escaped.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::AppState;
use crate::domain::placeholders::escape_html;
use crate::domain::{Event, EventKind};
use crate::integrations::twilio::form::Params;
use crate::store::StoreError;
use crate::tenants::Tenant;

/// The blueprint whose parameters decide what follows the score.
pub const RULE: &str = "review request";
/// The longest feedback, in characters; longer ones are cut.
pub const FEEDBACK_CHARS: usize = 2_000;
const BODY_MAX_BYTES: usize = 32 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(5);
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A valid link, with its tenant.
struct Visit {
    tenant: Arc<Tenant>,
    /// The event that the link was made for.
    asked: Event,
    spanish: bool,
}

/// Shows the page of a review link.
pub async fn show(State(state): State<AppState>, Path(token): Path<String>, method: Method) -> Response {
    let shown = async {
        let Some(visit) = Visit::of(&state, &token).await? else { return Ok(not_found()) };
        let scored = visit.step(&state, EventKind::REVIEW_SCORED).await?;
        if scored.is_none() && method == Method::GET {
            visit.note(&state, EventKind::REVIEW_OPENED, json!({})).await?;
        }
        visit.page(&state, scored).await
    };
    answered(shown.await)
}

/// Stores a score or a feedback, and shows the next page.
pub async fn submit(State(state): State<AppState>, Path(token): Path<String>, request: Request<Body>) -> Response {
    let body = tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), BODY_MAX_BYTES)).await;
    let form = match body {
        Ok(Ok(body)) => Params::parse(&body).ok(),
        _ => None,
    };
    let Some(form) = form else { return StatusCode::BAD_REQUEST.into_response() };
    let done = async {
        let Some(visit) = Visit::of(&state, &token).await? else { return Ok(not_found()) };
        if let Some(score) = form.get("score").and_then(score_of) {
            visit.note(&state, EventKind::REVIEW_SCORED, json!({"score": score})).await?;
        }
        // Read again: the first score is the one that counts.
        let scored = visit.step(&state, EventKind::REVIEW_SCORED).await?;
        let text = form.filled("feedback").map(clean).filter(|text| !text.is_empty());
        if let (Some(scored), Some(text)) = (&scored, text) {
            let score = &scored.data["score"];
            visit.note(&state, EventKind::REVIEW_FEEDBACK, json!({"score": score, "text": text})).await?;
        }
        visit.page(&state, scored).await
    };
    answered(done.await)
}

impl Visit {
    /// Finds the request of a token; `None` for every bad token.
    async fn of(state: &AppState, token: &str) -> Result<Option<Self>, StoreError> {
        let rules = state.pipeline.rules();
        let Some(id) = rules.links().event(token, state.clock.now()) else { return Ok(None) };
        let Some(asked) = state.store.event_of_link(id).await? else { return Ok(None) };
        let Some(tenant) = state.directory.now().by_id(asked.tenant).cloned() else { return Ok(None) };
        let Some(contact) = asked.contact else { return Ok(None) };
        let known = state.store.contact_facts(tenant.id, &[contact], None).await?.0;
        let chosen = known.get(&contact).and_then(|contact| contact.fields.get("language")).and_then(Value::as_str);
        let spanish = chosen.unwrap_or(&tenant.facts.language).starts_with("es");
        Ok(Some(Self { tenant, asked, spanish }))
    }

    fn key(&self, kind: &EventKind) -> String {
        format!("{kind}:{}", self.asked.id)
    }

    /// The event of a step, if it has been done.
    async fn step(&self, state: &AppState, kind: EventKind) -> Result<Option<Event>, StoreError> {
        state.store.event_of_key(self.tenant.id, &self.key(&kind)).await
    }

    /// Stores a step, unless it has been done.
    async fn note(&self, state: &AppState, kind: EventKind, mut data: Value) -> Result<(), StoreError> {
        data["request"] = self.asked.id.to_string().into();
        if let Some(appointment) = self.asked.data.get("appointment") {
            data["appointment"] = appointment.clone();
        }
        let event = Event {
            id: state.store.ids().next(),
            tenant: self.tenant.id,
            dedupe_key: Some(self.key(&kind)),
            kind,
            channel: None,
            contact: self.asked.contact,
            occurred_at: state.clock.now(),
            depth: 0,
            data,
        };
        state.pipeline.tell(&event).await
    }

    async fn page(&self, state: &AppState, scored: Option<Event>) -> Result<Response, StoreError> {
        let Some(scored) = scored else { return Ok(self.html(&self.ask_score())) };
        let score = scored.data["score"].as_u64().unwrap_or_default();
        let thanks = paragraph(self.pick("Thank you!", "¡Gracias!"));
        if let Some(url) = self.public_page(state, score) {
            let ask = self.pick("Would you tell others, too?", "¿Se lo cuentas también a otros?");
            let link = format!(
                "<p><a rel=\"noopener noreferrer\" href=\"{}\">{}</a></p>",
                escape_html(&url),
                self.pick("Write a public review", "Escribir una reseña pública")
            );
            return Ok(self.html(&format!("{thanks}{}{link}", paragraph(ask))));
        }
        if self.step(state, EventKind::REVIEW_FEEDBACK).await?.is_some() {
            return Ok(self.html(&thanks));
        }
        let ask =
            self.pick("What could we do better? Only we read this.", "¿Qué podemos mejorar? Solo lo leemos nosotros.");
        let send = self.pick("Send", "Enviar");
        let form = format!(
            "<form method=\"post\"><p><label>{ask}<br><textarea name=\"feedback\" rows=\"6\" cols=\"34\" \
             maxlength=\"{FEEDBACK_CHARS}\" required></textarea></label></p><p><button>{send}</button></p></form>"
        );
        Ok(self.html(&format!("{thanks}{form}")))
    }

    /// The public review page, where the business has one for this score.
    fn public_page(&self, state: &AppState, score: u64) -> Option<String> {
        let rules = state.pipeline.rules();
        let param = |name| rules.param(RULE, name, &self.tenant.facts);
        let from = param("min_score").and_then(|from| from.as_u64()).unwrap_or_default();
        let url = param("review_url").and_then(|url| url.as_str().map(str::to_owned))?;
        let web = url.starts_with("https://") || url.starts_with("http://");
        (web && score >= from).then_some(url)
    }

    fn ask_score(&self) -> String {
        let ask =
            self.pick("How was it? From 1 (bad) to 5 (very good):", "¿Qué tal ha ido? De 1 (mal) a 5 (muy bien):");
        let button = |score| format!("<button name=\"score\" value=\"{score}\">{score}</button> ");
        format!("{}<form method=\"post\"><p>{}</p></form>", paragraph(ask), (1..=5).map(button).collect::<String>())
    }

    const fn pick<'t>(&self, english: &'t str, spanish: &'t str) -> &'t str {
        if self.spanish { spanish } else { english }
    }

    fn html(&self, inner: &str) -> Response {
        let name = escape_html(&self.tenant.facts.name);
        let page = format!(
            "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{name}</title><h1>{name}</h1>{inner}</html>",
            self.pick("en", "es")
        );
        (HEADERS, page).into_response()
    }
}

/// The token does not leak to the public page, and the page is neither cached nor indexed.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::HeaderName::from_static("x-robots-tag"), "noindex"),
];

fn answered(result: Result<Response, StoreError>) -> Response {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "a review waits for the database");
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    })
}

fn not_found() -> Response {
    let text = "<!doctype html><meta charset=\"utf-8\"><title>404</title><p>This link is not good (any more). \
                Este enlace no es válido.</p>";
    (StatusCode::NOT_FOUND, HEADERS, text).into_response()
}

fn score_of(text: &str) -> Option<u8> {
    text.parse().ok().filter(|score| (1..=5).contains(score))
}

/// Cuts a text to its longest form, without control characters.
fn clean(text: &str) -> String {
    let plain = text.chars().filter(|c| *c == '\n' || !c.is_control());
    plain.take(FEEDBACK_CHARS).collect::<String>().trim().to_owned()
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape_html(text))
}
